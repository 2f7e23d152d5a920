//! What a layer under test is made with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kit_base::Clock;

use crate::clock::ManualClock;

/// What the checker has for a layer: the clock that it may read, and a counter for the ends that it sees.
#[derive(Debug)]
pub struct Setup {
    clock: LawsClock,
    clock_was_taken: AtomicBool,
    ends: Ends,
}

impl Setup {
    pub(crate) fn new(clock: LawsClock) -> Self {
        Self { clock, clock_was_taken: AtomicBool::new(false), ends: Ends::default() }
    }

    /// The clock of the check. A layer that takes a clock must get this one; what sleeps uses tokio's timer as always.
    #[must_use]
    pub fn clock(&self) -> LawsClock {
        self.clock_was_taken.store(true, Ordering::Relaxed);
        self.clock.clone()
    }

    /// The counter that a layer's hook moves at the end of each call; see [`Laws::tells_ends`](super::Laws::tells_ends).
    #[must_use]
    pub fn ends(&self) -> Ends {
        self.ends.clone()
    }

    pub(crate) fn clock_was_taken(&self) -> bool {
        self.clock_was_taken.load(Ordering::Relaxed)
    }

    /// Moves the clock of a run with threads. In the other runs the clock is tokio's.
    pub(crate) fn advance(&self, step: Duration) {
        if let LawsClock(Source::Manual(clock)) = &self.clock {
            clock.advance(step);
        }
    }
}

/// The clock of a run: tokio's, which is paused; among threads one that stands still unless the checker moves it. Clones are
/// the same clock.
#[derive(Clone, Debug)]
pub struct LawsClock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// Tokio's, which is paused.
    Tokio,
    Manual(ManualClock),
}

impl LawsClock {
    pub(crate) fn tokio() -> Self {
        Self(Source::Tokio)
    }

    pub(crate) fn manual() -> Self {
        Self(Source::Manual(ManualClock::new()))
    }
}

impl Clock for LawsClock {
    fn now(&self) -> Instant {
        match &self.0 {
            Source::Tokio => tokio::time::Instant::now().into_std(),
            Source::Manual(clock) => clock.now(),
        }
    }
}

/// Counts the ends of calls that a layer sees. Clones are the same counter.
#[derive(Clone, Debug, Default)]
pub struct Ends(Arc<AtomicUsize>);

impl Ends {
    /// The layer has seen the end of a call.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}
