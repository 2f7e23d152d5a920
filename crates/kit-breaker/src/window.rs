//! What a rate is measured over.

mod calls;
mod slices;
mod tally;

use std::time::Duration;

pub(crate) use calls::Calls;
pub(crate) use slices::Slices;
pub use tally::Tally;

/// What a rate of failures or of slow calls is measured over. All of them begin empty when the circuit closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Window {
    /// The last so many calls, 1 to 10,000.
    Calls(u32),
    /// The calls that ended within this time, 1 ms to a day. It moves on in tenths of itself.
    Time(Duration),
    /// All calls since the circuit closed, or was last [cleared](crate::Settings::clear_every).
    #[doc(alias = "Counts")]
    Whole,
}

/// A window that is counted in, without a lock.
#[derive(Debug)]
pub(crate) enum Counter {
    Calls(Calls),
    Slices(Slices),
}

impl Counter {
    /// Counts what fails, and if asked for what is slow.
    pub(crate) fn new(window: Window, slow: bool) -> Self {
        let counter = match window {
            Window::Calls(calls) => Self::Calls(Calls::new(calls)),
            Window::Time(time) => Self::Slices(Slices::sliding(time)),
            Window::Whole => Self::Slices(Slices::whole()),
        };
        match counter {
            Self::Calls(calls) if slow => Self::Calls(calls.and_slow()),
            Self::Slices(slices) if slow => Self::Slices(slices.and_slow()),
            counter => counter,
        }
    }

    /// Counts a call that this generation let in.
    pub(crate) fn record(&self, generation: u32, now: u64, failed: bool, slow: bool) {
        match self {
            Self::Calls(calls) => calls.record(generation, failed, slow),
            Self::Slices(slices) => slices.record(generation, now, failed, slow),
        }
    }

    /// What was counted in this generation.
    pub(crate) fn tally(&self, generation: u32, now: u64) -> Tally {
        match self {
            Self::Calls(calls) => calls.tally(generation),
            Self::Slices(slices) => slices.tally(generation, now),
        }
    }
}
