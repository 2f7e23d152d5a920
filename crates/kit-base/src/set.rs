//! A set of instances that shares what it does not change.

use std::sync::Arc;
use std::{fmt, iter, mem};

use crate::Instance;

/// How many instances a chunk holds at most.
const CHUNK: usize = 64;

/// The instances of a service, sorted by id, each id once. Cheap to clone. A set that is published after another shares
/// with it every chunk that is the same, so that who follows the changes of ten thousand instances need not look at each.
#[derive(Clone, Default)]
pub struct InstanceSet {
    chunks: Arc<[Arc<[Arc<Instance>]>]>,
}

impl InstanceSet {
    /// The instances in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.iter_from(0)
    }

    fn iter_from(&self, chunk: usize) -> impl Iterator<Item = &Arc<Instance>> {
        self.chunks[chunk..].iter().flat_map(|chunk| chunk.iter())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The chunks that sets share: 1 to 64 instances each. The same `Arc` is the same instances.
    pub fn chunks(&self) -> &[Arc<[Arc<Instance>]>] {
        &self.chunks
    }

    /// The same set with this in the place of the instance of this id, or without it.
    pub(crate) fn with(&self, id: &str, instance: Option<Instance>) -> Self {
        let after = self.chunks.partition_point(|chunk| *chunk[0].id <= *id);
        let place = after.saturating_sub(1);
        let held = self.chunks.get(place).cloned().unwrap_or_default();
        let mut run = held.to_vec();
        let found = run.binary_search_by(|held| (*held.id).cmp(id));
        let range = found.map_or_else(|at| at..at, |at| at..at + 1);
        run.splice(range, instance.map(Arc::new));
        let mut chunks = self.chunks.to_vec();
        chunks.splice(place..(place + 1).min(chunks.len()), cut(&held, &run));
        Self { chunks: chunks.into() }
    }

    /// A set of these, which are put in order. What this set holds already is shared; of several with one id the last one
    /// counts. Only what is new is taken, and left empty.
    pub(crate) fn renewed(&self, instances: &mut Vec<Instance>) -> Self {
        if !instances.is_sorted_by(|a, b| a.id < b.id) {
            instances.reverse();
            instances.sort_by(|a, b| a.id.cmp(&b.id));
            instances.dedup_by(|later, earlier| later.id == earlier.id);
        }
        let (mut chunks, mut rest) = (Vec::with_capacity(self.chunks.len()), &mut **instances);
        // Each chunk takes what comes before the next one, the last one all that is left.
        let nexts = self.chunks.iter().skip(1).map(|next| Some(&*next[0].id)).chain([None]);
        for (held, next) in iter::zip(&*self.chunks, nexts) {
            let is_over = |after: &Instance| next.is_some_and(|next| *after.id >= *next);
            let same = rest.len() >= held.len() && rest.get(held.len()).is_none_or(is_over);
            let same = same && iter::zip(&**held, &*rest).all(|(held, instance)| **held == *instance);
            let end = if same { held.len() } else { rest.partition_point(|instance| !is_over(instance)) };
            let (run, others) = mem::take(&mut rest).split_at_mut(end);
            chunks.extend(if same { vec![Arc::clone(held)] } else { cut(held, &share(held, run)) });
            rest = others;
        }
        chunks.extend(cut(&Arc::default(), &share(&[], rest)));
        Self { chunks: chunks.into() }
    }
}

/// A run of instances: those that are held already, and the others taken out.
fn share(held: &[Arc<Instance>], run: &mut [Instance]) -> Vec<Arc<Instance>> {
    let mut held = held.iter().peekable();
    let share = |instance: &mut Instance| {
        while held.next_if(|held| held.id < instance.id).is_some() {}
        let same = held.next_if(|held| ***held == *instance).cloned();
        same.unwrap_or_else(|| Arc::new(mem::replace(instance, Instance::new("", ""))))
    };
    run.iter_mut().map(share).collect()
}

/// A run of instances in the place of a chunk: the chunk itself where it is the same, else one or more, of even sizes.
fn cut(held: &Arc<[Arc<Instance>]>, run: &[Arc<Instance>]) -> Vec<Arc<[Arc<Instance>]>> {
    let pieces = run.len().div_ceil(CHUNK).max(1);
    let size = run.len().div_ceil(pieces).max(1);
    run.chunks(size).map(|run| if *run == **held { Arc::clone(held) } else { Arc::from(run) }).collect()
}

/// Looks into no chunk that both share from the beginning on.
impl PartialEq for InstanceSet {
    fn eq(&self, other: &Self) -> bool {
        let shared = iter::zip(&*self.chunks, &*other.chunks).take_while(|(a, b)| Arc::ptr_eq(a, b)).count();
        self.iter_from(shared).eq(other.iter_from(shared))
    }
}

impl Eq for InstanceSet {}

impl FromIterator<Instance> for InstanceSet {
    fn from_iter<I: IntoIterator<Item = Instance>>(instances: I) -> Self {
        Self::default().renewed(&mut instances.into_iter().collect())
    }
}

impl fmt::Debug for InstanceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
