//! Counting what becomes of calls.

use std::sync::Arc;

use tokio::sync::watch;

/// What became of a mock's calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallCounts {
    /// Calls that were made.
    pub started: usize,
    /// Calls that were answered, with a response or an error.
    pub finished: usize,
    /// Calls whose future was dropped before its end, polled or not, a panic included.
    pub dropped: usize,
    /// The most calls that were ever under way at the same time.
    pub max_in_flight: usize,
}

impl CallCounts {
    /// Calls that are under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.started - self.finished - self.dropped
    }
}

/// The counts, and those who wait for them.
#[derive(Debug, Default)]
pub(super) struct State(watch::Sender<CallCounts>);

impl State {
    pub(super) fn counts(&self) -> CallCounts {
        *self.0.borrow()
    }

    pub(super) async fn until(&self, reached: impl FnMut(&CallCounts) -> bool) -> CallCounts {
        let mut counts = self.0.subscribe();
        let reached = counts.wait_for(reached).await.map(|counts| *counts);
        reached.expect("the sender is in `self`")
    }
}

/// A call under way. Dropped without `finish`, it counts as dropped.
#[derive(Debug)]
pub(super) struct InFlight {
    state: Arc<State>,
    finished: bool,
}

impl InFlight {
    pub(super) fn start(state: &Arc<State>) -> Self {
        state.0.send_modify(|counts| {
            counts.started += 1;
            counts.max_in_flight = counts.max_in_flight.max(counts.in_flight());
        });
        Self { state: state.clone(), finished: false }
    }

    pub(super) fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.state.0.send_modify(|counts| {
            if self.finished {
                counts.finished += 1;
            } else {
                counts.dropped += 1;
            }
        });
    }
}
