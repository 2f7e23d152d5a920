//! Time as a parameter: any `Fn() -> Instant` is a clock.

use std::cell::Cell;
use std::fmt;
use std::time::Instant;

/// A monotonic clock. Any `Fn() -> Instant` is one, tokio's paused clock among them:
/// `|| tokio::time::Instant::now().into_std()`.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Instant;
}

impl<F: Fn() -> Instant + Send + Sync> Clock for F {
    fn now(&self) -> Instant {
        self()
    }
}

/// The clock of the standard library, and the default everywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Monotonic;

impl Clock for Monotonic {
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// The moment at which a stack of gates is entered or left: read from the clock at the first question, then shared by
/// all gates of the stack. A stack that never asks never reads a clock.
pub struct Now<'a> {
    clock: &'a dyn Clock,
    read: Cell<Option<Instant>>,
}

impl<'a> Now<'a> {
    /// The present of `clock`, not read yet.
    pub fn new(clock: &'a dyn Clock) -> Self {
        Self { clock, read: Cell::new(None) }
    }

    /// The moment; the same at every call.
    pub fn get(&self) -> Instant {
        self.read.get().unwrap_or_else(|| {
            let now = self.clock.now();
            self.read.set(Some(now));
            now
        })
    }
}

impl fmt::Debug for Now<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Now").field(&self.read.get()).finish()
    }
}
