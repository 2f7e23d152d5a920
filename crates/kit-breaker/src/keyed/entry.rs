//! The circuit of one key.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, fence};
use std::time::Instant;

use kit_base::{Now, Observer};

use crate::breaker::{Breaker, Memory};
use crate::circuit::Nanos;

/// A key and its circuit. The table and the ring hold one `Arc` of it each; more are calls that are under way, or somebody
/// who looks at it.
pub(crate) struct Entry<K, O> {
    pub(super) hash: u64,
    pub(super) key: K,
    pub(super) breaker: Breaker<O>,
    /// When it was last called, in the time of its breaker; not kept up while there is nothing to remember.
    touched: AtomicU64,
    /// Whether it was called since the hand last came by.
    called: AtomicBool,
}

/// What becomes of a circuit whose place somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    /// It holds nothing.
    Goes,
    /// It holds failures, and is idle.
    IsForgotten,
}

const HELD_BY_US: usize = 2;

impl<K, O: Observer> Entry<K, O> {
    pub(super) fn new(hash: u64, key: K, breaker: Breaker<O>, now: Instant) -> Self {
        let touched = AtomicU64::new(breaker.nanos(now));
        Self { hash, key, breaker, touched, called: AtomicBool::new(false) }
    }

    /// Notes the moment of a call, where it matters: elsewhere no clock needs to be read.
    #[inline]
    pub(super) fn touch(&self, now: &Now<'_>) {
        if !self.breaker.is_plain() {
            self.touched.fetch_max(self.breaker.nanos(now.get()), Relaxed);
        }
    }

    /// Notes that it was called, without a write where that is known.
    #[inline]
    pub(super) fn note_call(&self) {
        if !self.called.load(Relaxed) {
            self.called.store(true, Relaxed);
        }
    }

    /// Whether it was called since this was last asked.
    pub(super) fn take_call(&self) -> bool {
        self.called.swap(false, Relaxed)
    }

    /// What becomes of it. It is certain only while nobody can find it.
    pub(super) fn fate(self: &Arc<Self>, idle: Nanos, now: Instant) -> Fate {
        if Arc::strong_count(self) > HELD_BY_US {
            return Fate::Stays;
        }
        // Whoever had it has given it back: what he counted is seen from here on.
        fence(Acquire);
        match self.breaker.memory(now) {
            Memory::Nothing => Fate::Goes,
            Memory::Failures => {
                let unused = self.breaker.nanos(now).saturating_sub(self.touched.load(Relaxed));
                if unused >= idle { Fate::IsForgotten } else { Fate::Stays }
            }
            Memory::Order => Fate::Stays,
        }
    }
}

/// The breaker of one key of a [`Keyed`](crate::Keyed). As long as this is held, its place is not given away.
///
/// Settings that are changed here go when the circuit gives up its place; [`Keyed::change`](crate::Keyed::change) changes those
/// of all keys.
pub struct KeyedBreaker<K, O = ()>(pub(super) Arc<Entry<K, O>>);

impl<K, O> KeyedBreaker<K, O> {
    /// The key.
    pub fn key(&self) -> &K {
        &self.0.key
    }
}

impl<K, O> Deref for KeyedBreaker<K, O> {
    type Target = Breaker<O>;

    fn deref(&self) -> &Breaker<O> {
        &self.0.breaker
    }
}

impl<K, O> Clone for KeyedBreaker<K, O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: fmt::Debug, O> fmt::Debug for KeyedBreaker<K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedBreaker").field("key", &self.0.key).field("breaker", &self.0.breaker).finish()
    }
}
