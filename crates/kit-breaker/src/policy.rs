//! A rule of the user's own for when a circuit opens.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::word::is_older;

/// A rule of your own for when a circuit opens. It runs under a lock, so it should be quick.
///
/// It is told only what counts in a closed circuit: callers' faults, calls that were left, and probes are not. What it panics
/// with is lost, and counts as [`Decision::Stay`].
pub trait Policy: Send {
    /// A call went well.
    fn success(&mut self, now: Instant);

    /// A call failed; should the circuit open?
    fn failure(&mut self, now: Instant) -> Decision;

    /// A probe failed or was given up, and the circuit opens again: for how long? For the time that the settings say, unless it
    /// answers. Not asked where the peer has said it.
    fn reopen(&mut self, now: Instant) -> Option<Duration> {
        let _ = now;
        None
    }

    /// The circuit is closed again, or was cleared: what was before does not count any more. Told with the first call that
    /// counts from then on.
    fn reset(&mut self, now: Instant);
}

/// What a [`Policy`] says to a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the breaker must follow every decision")]
pub enum Decision {
    /// The circuit stays closed.
    Stay,
    /// It opens, for the time that the settings say.
    Open,
    /// It opens for this time, cut to 1 ms to 30 days.
    OpenFor(Duration),
}

/// A policy, and the generation of the circuit that it has seen last.
pub(crate) struct Seat {
    policy: Mutex<(u32, Box<dyn Policy>)>,
    /// Whether it was told of a failure since it was reset.
    failed: AtomicBool,
}

impl Seat {
    pub(crate) fn new(policy: Box<dyn Policy>) -> Self {
        Self { policy: Mutex::new((0, policy)), failed: AtomicBool::new(false) }
    }

    pub(crate) fn has_seen_a_failure(&self) -> bool {
        self.failed.load(Relaxed)
    }

    pub(crate) fn record(&self, generation: u32, failed: bool, now: Instant) -> Decision {
        let mut seat = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, policy) = &mut *seat;
        if is_older(generation, *seen) {
            return Decision::Stay;
        }
        let anew = generation != *seen;
        *seen = generation;
        if failed || anew {
            self.failed.store(failed, Relaxed);
        }
        let told = std::panic::AssertUnwindSafe(|| {
            if anew {
                policy.reset(now);
            }
            if failed {
                return policy.failure(now);
            }
            policy.success(now);
            Decision::Stay
        });
        std::panic::catch_unwind(told).unwrap_or(Decision::Stay)
    }

    pub(crate) fn reopen(&self, now: Instant) -> Option<Duration> {
        let mut seat = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = std::panic::AssertUnwindSafe(|| seat.1.reopen(now));
        std::panic::catch_unwind(asked).unwrap_or(None)
    }
}
