//! The set from which calls are balanced: immutable, replaced as a whole, and made from the last one at little cost.

use std::fmt;
use std::sync::Arc;

use kit_base::{Error, Instance, Snapshot};

use crate::alias::{Alias, below};
use crate::candidate::Candidate;
use crate::record::Live;

/// The instances that can be called now: those that have a connection and a weight above zero, in the order of their ids.
///
/// A [`Choice`](crate::Choice) takes one of them.
pub struct Set<C, K> {
    /// Where they are, in the order of their ids.
    places: Box<[Place]>,
    chunks: Box<[Arc<Chunk<C, K>>]>,
    /// Draws a chunk by the weights in it; nothing while all weights are the same.
    by_weight: Option<Alias>,
    /// What it was made of. Here, so that who finds nothing in it knows why of this very set.
    pub(crate) basis: Basis,
}

/// What discovery said, and why the last connection could not be made, while there is one.
#[derive(Clone, Default)]
pub(crate) struct Basis {
    pub(crate) told: Arc<Snapshot>,
    pub(crate) failure: Option<Arc<Error>>,
}

/// Two of a [`Set`].
pub type Two<'s, C, K> = (&'s Candidate<C, K>, &'s Candidate<C, K>);

/// How many are looked at for one that need not be passed over, when the choice has not found one: a bound on what a pick costs
/// while nearly all are dead.
const SCAN: usize = 64;

/// The numbers of a chunk, and of a candidate in it.
#[derive(Clone)]
struct Place {
    chunk: u32,
    candidate: u32,
}

/// A chunk of the instances that discovery told, with their connections.
pub(crate) struct Chunk<C, K> {
    /// The same one means that nothing has changed.
    pub(crate) source: Arc<[Arc<Instance>]>,
    pub(crate) entries: Box<[Entry<C, K>]>,
    /// How many have no connection.
    pub(crate) failed: usize,
    candidates: Box<[Candidate<C, K>]>,
    weights: Weights,
}

/// An instance and its connection; none while that cannot be made.
pub(crate) struct Entry<C, K> {
    pub(crate) instance: Arc<Instance>,
    pub(crate) live: Option<Live<C, K>>,
}

/// The weights of a chunk's candidates.
enum Weights {
    Same(u32),
    Differ(Alias, u64),
}

impl<C, K> Chunk<C, K> {
    pub(crate) fn new(source: &Arc<[Arc<Instance>]>, entries: Box<[Entry<C, K>]>) -> Self {
        let failed = entries.iter().filter(|entry| entry.live.is_none()).count();
        let candidates: Box<[_]> = entries.iter().filter_map(Candidate::of).collect();
        let weights: Vec<u64> = candidates.iter().map(|candidate| candidate.weight.into()).collect();
        let weights = match weights.split_first() {
            Some((first, others)) if others.iter().any(|weight| weight != first) => {
                Weights::Differ(Alias::new(&weights), weights.iter().sum())
            }
            Some((first, _)) => Weights::Same(*first as u32),
            None => Weights::Same(0),
        };
        Self { source: Arc::clone(source), entries, failed, candidates, weights }
    }

    fn weight(&self) -> u64 {
        match self.weights {
            Weights::Same(weight) => u64::from(weight) * self.candidates.len() as u64,
            Weights::Differ(_, total) => total,
        }
    }
}

impl<C, K> Set<C, K> {
    /// A set of these chunks in the place of an old one.
    pub(crate) fn new(chunks: Vec<Arc<Chunk<C, K>>>, basis: Basis, old: &Self) -> Self {
        let count = |chunk: &Arc<Chunk<C, K>>| chunk.candidates.len();
        let counts = chunks.iter().map(count);
        let places = match counts.clone().eq(old.chunks.iter().map(count)) {
            true => old.places.clone(),
            false => places(counts),
        };
        let mut each = chunks.iter().filter(|chunk| !chunk.candidates.is_empty()).map(|chunk| match chunk.weights {
            Weights::Same(weight) => Some(weight),
            Weights::Differ(..) => None,
        });
        let first = each.next().unwrap_or(Some(0));
        let differ = first.is_none() || each.any(|weight| weight != first);
        let by_weight = differ.then(|| Alias::new(&chunks.iter().map(|chunk| chunk.weight()).collect::<Vec<_>>()));
        Self { places, chunks: chunks.into(), by_weight, basis }
    }

    pub(crate) fn chunks(&self) -> &[Arc<Chunk<C, K>>] {
        &self.chunks
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The one with this number in the order of the ids; numbers beyond the end begin anew.
    #[inline]
    pub fn nth(&self, number: u32) -> Option<&Candidate<C, K>> {
        self.at(number.checked_rem(self.len() as u32)? as usize)
    }

    /// One by chance, each as likely as any other.
    #[inline]
    pub fn draw(&self) -> Option<&Candidate<C, K>> {
        self.at(below(fastrand::u32(..).into(), self.len()))
    }

    /// One by chance, as likely as its share of the weights.
    #[inline]
    pub fn draw_by_weight(&self) -> Option<&Candidate<C, K>> {
        match &self.by_weight {
            Some(by_weight) => self.draw_by(by_weight),
            None => self.draw(),
        }
    }

    #[inline]
    fn draw_by(&self, by_weight: &Alias) -> Option<&Candidate<C, K>> {
        let chunk = self.chunks.get(by_weight.draw(fastrand::u64(..)))?;
        let number = match &chunk.weights {
            Weights::Same(_) => below(fastrand::u32(..).into(), chunk.candidates.len()),
            Weights::Differ(alias, _) => alias.draw(fastrand::u64(..)),
        };
        chunk.candidates.get(number)
    }

    /// Two by chance, as likely as their shares of the weights. Different ones where all weights are the same and there is
    /// more than one.
    #[inline]
    pub fn draw_two(&self) -> Option<Two<'_, C, K>> {
        if let Some(by_weight) = &self.by_weight {
            return self.draw_two_by(by_weight);
        }
        let (bits, len) = (fastrand::u64(..), self.len());
        let one = below(bits >> 32, len);
        let first = self.at(one)?;
        // Of the others: those from the first one on are one place further.
        let other = below(bits & u64::from(u32::MAX), len - 1);
        Some((first, self.at((len - 1).min(other + usize::from(other >= one)))?))
    }

    #[inline(never)]
    fn draw_two_by(&self, by_weight: &Alias) -> Option<Two<'_, C, K>> {
        self.draw_by(by_weight).zip(self.draw_by(by_weight))
    }

    /// Those that come next in the order of the ids, as many as may be looked at.
    pub(crate) fn after(&self, one: &Candidate<C, K>) -> impl Iterator<Item = &Candidate<C, K>> + Clone {
        let is_before =
            |place: &Place| self.in_place(place).is_some_and(|held| held.instance().id <= one.instance().id);
        let (before, after) = self.places.split_at(self.places.partition_point(is_before));
        after.iter().chain(before).take(SCAN).filter_map(|place| self.in_place(place))
    }

    #[inline]
    fn at(&self, number: usize) -> Option<&Candidate<C, K>> {
        self.in_place(self.places.get(number)?)
    }

    #[inline]
    fn in_place(&self, place: &Place) -> Option<&Candidate<C, K>> {
        self.chunks.get(place.chunk as usize)?.candidates.get(place.candidate as usize)
    }
}

/// The places in chunks with so many candidates.
fn places(counts: impl Iterator<Item = usize> + Clone) -> Box<[Place]> {
    let mut places = Vec::with_capacity(counts.clone().sum());
    for (chunk, count) in (0..).zip(counts) {
        places.extend((0..count as u32).map(|candidate| Place { chunk, candidate }));
    }
    places.into()
}

impl<C, K> Default for Set<C, K> {
    fn default() -> Self {
        Self { places: Box::default(), chunks: Box::default(), by_weight: None, basis: Basis::default() }
    }
}

impl<C, K> fmt::Debug for Set<C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Set").field("len", &self.len()).finish_non_exhaustive()
    }
}
