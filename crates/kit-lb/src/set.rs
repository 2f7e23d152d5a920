//! The set from which calls are balanced: immutable, replaced as a whole, and made from the last one at little cost.

use std::fmt;
use std::sync::Arc;

use kit_base::Instance;

use crate::alias::{Alias, below};
use crate::record::{Live, Stats};

/// The instances that can be called now: those that have a connection and a weight above zero, in the order of their ids.
///
/// A [`Choice`](crate::Choice) takes one of them.
pub struct Set<C, K> {
    /// Where the callable ones are, in the order of their ids.
    places: Box<[Place]>,
    chunks: Box<[Arc<Chunk<C, K>>]>,
    /// Draws a chunk by the weights in it; nothing while all weights are the same.
    by_weight: Option<Alias>,
}

/// One instance of a [`Set`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

/// Chunks have up to 64 instances.
const BITS: u32 = 7;

/// How many are looked at for one that need not be passed over, when the choice has not found one: a bound on what a pick costs
/// while nearly all are dead.
const SCAN: usize = 64;

impl Place {
    fn new(chunk: usize, entry: usize) -> Self {
        Self((chunk as u32) << BITS | entry as u32)
    }

    fn chunk(self) -> usize {
        (self.0 >> BITS) as usize
    }

    fn entry(self) -> usize {
        (self.0 & ((1 << BITS) - 1)) as usize
    }
}

/// A chunk of the instances that discovery told, with their connections.
pub(crate) struct Chunk<C, K> {
    /// The same one means that nothing has changed.
    pub(crate) source: Arc<[Arc<Instance>]>,
    pub(crate) entries: Box<[Entry<C, K>]>,
    /// How many have no connection.
    pub(crate) failed: usize,
    /// Those that can be called, by their place in the chunk.
    callable: Box<[u8]>,
    weights: Weights,
}

/// An instance and its connection; none while that cannot be made.
pub(crate) struct Entry<C, K> {
    pub(crate) instance: Arc<Instance>,
    pub(crate) live: Option<Live<C, K>>,
}

/// The weights of a chunk's callable instances.
enum Weights {
    Same(u32),
    Differ(Alias, u64),
}

impl<C, K> Chunk<C, K> {
    pub(crate) fn new(source: &Arc<[Arc<Instance>]>, entries: Box<[Entry<C, K>]>) -> Self {
        let failed = entries.iter().filter(|entry| entry.live.is_none()).count();
        let callable = |entry: &Entry<C, K>| entry.live.is_some() && entry.instance.weight > 0;
        let callable: Box<[u8]> = (0..=u8::MAX).zip(&entries).filter(|(_, e)| callable(e)).map(|(at, _)| at).collect();
        let weights: Vec<u64> = callable.iter().map(|at| entries[*at as usize].instance.weight.into()).collect();
        let weights = match weights.split_first() {
            Some((first, others)) if others.iter().any(|weight| weight != first) => {
                Weights::Differ(Alias::new(&weights), weights.iter().sum())
            }
            Some((first, _)) => Weights::Same(*first as u32),
            None => Weights::Same(0),
        };
        Self { source: Arc::clone(source), entries, failed, callable, weights }
    }

    fn weight(&self) -> u64 {
        match self.weights {
            Weights::Same(weight) => u64::from(weight) * self.callable.len() as u64,
            Weights::Differ(_, total) => total,
        }
    }
}

impl<C, K> Set<C, K> {
    pub(crate) fn new(chunks: Vec<Arc<Chunk<C, K>>>) -> Self {
        let mut places = Vec::with_capacity(chunks.iter().map(|chunk| chunk.callable.len()).sum());
        for (at, chunk) in chunks.iter().enumerate() {
            places.extend(chunk.callable.iter().map(|entry| Place::new(at, usize::from(*entry))));
        }
        let mut each = chunks.iter().filter(|chunk| !chunk.callable.is_empty()).map(|chunk| match chunk.weights {
            Weights::Same(weight) => Some(weight),
            Weights::Differ(..) => None,
        });
        let first = each.next().unwrap_or(Some(0));
        let differ = first.is_none() || each.any(|weight| weight != first);
        let by_weight = differ.then(|| Alias::new(&chunks.iter().map(|chunk| chunk.weight()).collect::<Vec<_>>()));
        Self { places: places.into(), chunks: chunks.into(), by_weight }
    }

    pub(crate) fn chunks(&self) -> &[Arc<Chunk<C, K>>] {
        &self.chunks
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none. A choice is never asked then.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The one with this number in the order of the ids; numbers beyond the end begin anew.
    #[inline]
    pub fn nth(&self, number: usize) -> Place {
        self.places.get(number % self.places.len().max(1)).copied().unwrap_or(Place(0))
    }

    /// One by chance, each as likely as any other.
    #[inline]
    pub fn draw(&self) -> Place {
        self.at(below(fastrand::u32(..).into(), self.len()))
    }

    /// One by chance, as likely as its share of the weights.
    #[inline]
    pub fn draw_by_weight(&self) -> Place {
        let Some(by_weight) = &self.by_weight else { return self.draw() };
        let at = by_weight.draw(fastrand::u64(..));
        let Some(chunk) = self.chunks.get(at) else { return self.draw() };
        let entry = match &chunk.weights {
            Weights::Same(_) => below(fastrand::u32(..).into(), chunk.callable.len()),
            Weights::Differ(alias, _) => alias.draw(fastrand::u64(..)),
        };
        chunk.callable.get(entry).map_or_else(|| self.draw(), |entry| Place::new(at, usize::from(*entry)))
    }

    /// Two by chance, as likely as their shares of the weights. Different ones where all weights are the same and there is
    /// more than one.
    #[inline]
    pub fn draw_two(&self) -> (Place, Place) {
        if self.by_weight.is_some() {
            return (self.draw_by_weight(), self.draw_by_weight());
        }
        let (bits, len) = (fastrand::u64(..), self.len());
        let one = below(bits >> 32, len);
        let other = below(bits & u64::from(u32::MAX), len.saturating_sub(1).max(1));
        // Of the others: those from the first one on are one place further.
        (self.at(one), self.at(other + usize::from(other >= one && len > 1)))
    }

    /// The instance.
    #[inline]
    pub fn instance(&self, place: Place) -> Option<&Instance> {
        self.entry(place).map(|entry| &*entry.instance)
    }

    /// How many calls run on it; streams that are read are calls.
    #[inline]
    pub fn in_flight(&self, place: Place) -> u64 {
        self.record(place).map_or(0, Stats::in_flight)
    }

    /// Whether the first is less loaded than the second: fewer calls in flight for each part of its weight.
    #[inline]
    pub fn is_less_loaded(&self, first: Place, second: Place) -> bool {
        let (one, two) = (self.in_flight(first), self.in_flight(second));
        if self.by_weight.is_none() {
            return one < two;
        }
        let weight = |place| self.instance(place).map_or(1, |instance| u128::from(instance.weight));
        u128::from(one) * weight(second) < u128::from(two) * weight(first)
    }

    /// The next one in the order of the ids that need not be passed over; the same one where that is none of [`SCAN`].
    #[cold]
    pub(crate) fn next_awake(&self, place: Place) -> Place {
        let next = self.places.binary_search_by_key(&place.0, |place| place.0).map_or(0, |at| at + 1);
        let (before, after) = self.places.split_at(next);
        let others = after.iter().chain(before).take(SCAN);
        others.copied().find(|other| !self.rests(*other)).unwrap_or(place)
    }

    #[inline]
    fn at(&self, number: usize) -> Place {
        self.places.get(number).copied().unwrap_or(Place(0))
    }

    #[inline]
    fn entry(&self, place: Place) -> Option<&Entry<C, K>> {
        self.chunks.get(place.chunk())?.entries.get(place.entry())
    }

    #[inline]
    fn record(&self, place: Place) -> Option<&Stats> {
        Some(&self.live(place)?.gate().stats)
    }

    #[inline]
    pub(crate) fn live(&self, place: Place) -> Option<&Live<C, K>> {
        self.entry(place)?.live.as_ref()
    }

    #[inline]
    pub(crate) fn rests(&self, place: Place) -> bool {
        self.record(place).is_some_and(Stats::rests)
    }
}

impl<C, K> fmt::Debug for Set<C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Set").field("len", &self.len()).finish_non_exhaustive()
    }
}
