//! One of several instances to choose from.

use std::fmt;
use std::sync::Arc;

use kit_base::Instance;

use crate::record::Live;
use crate::set::Entry;

/// An instance that can be called: one of a [`Set`](crate::Set).
pub struct Candidate<C, K> {
    instance: Arc<Instance>,
    pub(crate) live: Live<C, K>,
    /// Above zero. Here too, where it is at hand for each choice.
    pub(crate) weight: u32,
}

impl<C, K> Candidate<C, K> {
    /// Of an entry that has a connection and a weight above zero.
    pub(crate) fn of(Entry { instance, live }: &Entry<C, K>) -> Option<Self> {
        let (live, weight) = (live.clone()?, instance.weight);
        (weight > 0).then(|| Self { instance: Arc::clone(instance), live, weight })
    }

    /// The instance.
    #[inline]
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// How many calls run on it; streams that are read are calls.
    #[inline]
    pub fn in_flight(&self) -> u64 {
        self.live.gate().stats.in_flight()
    }

    /// Whether it is less loaded than the other one: fewer calls in flight for each part of its weight.
    #[inline]
    pub fn is_less_loaded(&self, than: &Self) -> bool {
        // Less than 2^31 calls run at a time.
        let load = |of: &Self, by: &Self| of.live.gate().stats.running().wrapping_mul(by.weight.into());
        load(self, than) < load(than, self)
    }

    #[inline]
    pub(crate) fn rests(&self) -> bool {
        self.live.gate().stats.rests()
    }
}

impl<C, K> fmt::Debug for Candidate<C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, weight, .. } = self;
        f.debug_struct("Candidate").field("id", &instance.id).field("weight", weight).finish_non_exhaustive()
    }
}
