//! How one of several instances is chosen.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::{Candidate, Set};

/// Chooses the instance of a call. Called for each call and from any thread: it must not wait, and should not allocate.
///
/// ```
/// use kit_lb::{Candidate, Choice, Set};
///
/// /// Always the first in the order of the ids.
/// struct First;
///
/// impl Choice for First {
///     fn choose<'s, C, K>(&self, set: &'s Set<C, K>) -> Option<&'s Candidate<C, K>> {
///         set.nth(0)
///     }
/// }
/// ```
#[doc(alias = "Balancer")]
pub trait Choice: Send + Sync + 'static {
    /// One of the set; nothing if it is empty or none will do, and the call fails as if there were none. It is asked up to four
    /// times for a call, while what it chooses is to be passed over.
    fn choose<'s, C, K>(&self, set: &'s Set<C, K>) -> Option<&'s Candidate<C, K>>;
}

/// One after the other, in the order of their ids, from the first on; weights are not regarded, except that a weight of 0
/// means no calls. Go kit: `lb.NewRoundRobin`.
#[doc(alias = "NewRoundRobin")]
#[derive(Debug, Default)]
pub struct RoundRobin {
    calls: AtomicU32,
}

impl RoundRobin {
    /// From the first instance on.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Choice for RoundRobin {
    #[inline]
    fn choose<'s, C, K>(&self, set: &'s Set<C, K>) -> Option<&'s Candidate<C, K>> {
        // A call that finds none does not count, so that the first one that is made goes to the first instance.
        if set.is_empty() { None } else { set.nth(self.calls.fetch_add(1, Relaxed)) }
    }
}

/// By chance, each as likely as any other; weights are not regarded, except that a weight of 0 means no calls. Go kit:
/// `lb.NewRandom`, without a seed.
#[doc(alias = "NewRandom")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl Choice for Random {
    #[inline]
    fn choose<'s, C, K>(&self, set: &'s Set<C, K>) -> Option<&'s Candidate<C, K>> {
        set.draw()
    }
}

/// By chance, each as likely as its share of the weights.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weighted;

impl Choice for Weighted {
    #[inline]
    fn choose<'s, C, K>(&self, set: &'s Set<C, K>) -> Option<&'s Candidate<C, K>> {
        set.draw_by_weight()
    }
}

/// Of two by chance, as likely as their shares of the weights, the one with fewer calls in flight for its weight; of two
/// that are alike the first.
///
/// So an idle fleet gets calls by its weights, and an instance that has become slow gets fewer. Source: Mitzenmacher, "The
/// power of two choices in randomized load balancing", 2001.
#[doc(alias = "P2c")]
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastLoaded;

impl Choice for LeastLoaded {
    // A call of its own would cost a tenth of the pick.
    #[inline(always)]
    fn choose<'s, C, K>(&self, set: &'s Set<C, K>) -> Option<&'s Candidate<C, K>> {
        let (one, other) = set.draw_two()?;
        Some(if other.is_less_loaded(one) { other } else { one })
    }
}
