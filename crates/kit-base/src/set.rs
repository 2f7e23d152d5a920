//! A set of instances that shares what it does not change.

use std::fmt;
use std::sync::Arc;

use crate::{Instance, Instances};

/// How many instances a chunk holds at most.
const CHUNK: usize = 64;

/// The instances of a service, sorted by id, each id once. Cheap to clone; a set made from another by one change shares
/// with it all chunks but one, so that who follows the changes of ten thousand instances need not look at each.
#[derive(Clone, Default)]
pub struct InstanceSet {
    chunks: Arc<[Arc<[Arc<Instance>]>]>,
}

impl InstanceSet {
    /// The instances in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
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
    #[must_use = "the set itself stays as it is"]
    pub fn with(&self, id: &str, instance: Option<Instance>) -> Self {
        let after = self.chunks.partition_point(|chunk| chunk.last().is_some_and(|last| *last.id < *id));
        let place = after.min(self.chunks.len().saturating_sub(1));
        let mut chunk = self.chunks.get(place).map_or_else(Vec::new, |chunk| chunk.to_vec());
        let found = chunk.binary_search_by(|held| (*held.id).cmp(id));
        let range = found.map_or_else(|at| at..at, |at| at..at + 1);
        chunk.splice(range, instance.map(Arc::new));
        let mut chunks = self.chunks.to_vec();
        // Halves leave room for more.
        let size = if chunk.len() > CHUNK { CHUNK / 2 } else { CHUNK };
        chunks.splice(place..(place + 1).min(chunks.len()), chunk.chunks(size).map(Arc::from));
        Self { chunks: chunks.into() }
    }

    /// A set of these. What this set holds already is shared; of several with one id the last one counts.
    pub(crate) fn renewed(&self, mut instances: Vec<Instance>) -> Self {
        if !instances.is_sorted_by(|a, b| a.id < b.id) {
            instances.reverse();
            instances.sort_by(|a, b| a.id.cmp(&b.id));
            instances.dedup_by(|later, earlier| later.id == earlier.id);
        }
        let mut held = self.iter().peekable();
        let instances = instances.into_iter().map(|instance| {
            while held.next_if(|held| held.id < instance.id).is_some() {}
            held.next_if(|held| ***held == instance).map_or_else(|| Arc::new(instance), Arc::clone)
        });
        Self { chunks: instances.collect::<Vec<_>>().chunks(CHUNK).map(Arc::from).collect() }
    }
}

impl PartialEq for InstanceSet {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chunks, &other.chunks) || self.iter().eq(other.iter())
    }
}

impl Eq for InstanceSet {}

impl From<InstanceSet> for Instances {
    fn from(set: InstanceSet) -> Self {
        Self::Known(set)
    }
}

impl FromIterator<Instance> for InstanceSet {
    fn from_iter<I: IntoIterator<Item = Instance>>(instances: I) -> Self {
        Self::default().renewed(instances.into_iter().collect())
    }
}

impl fmt::Debug for InstanceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
