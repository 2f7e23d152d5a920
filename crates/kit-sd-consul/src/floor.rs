//! A floor under the time between queries, so that no answer of the agent can make a watcher spin.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How many queries may follow each other at once.
pub(crate) const BURST: u32 = 5;

/// A token bucket of [`BURST`] queries, filled at one an interval. Kept as the time at which it would be full again
/// (the "theoretical arrival time" of the generic cell rate algorithm, ITU-T I.371).
pub(crate) struct Floor {
    interval: Duration,
    full_at: Instant,
}

impl Floor {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, full_at: Instant::now() }
    }

    /// Waits until a query may be made, and takes it. *Cancellation:* none is taken.
    pub(crate) async fn pass(&mut self) {
        let burst = self.interval * (BURST - 1);
        while self.full_at > Instant::now() + burst {
            sleep_until(self.full_at - burst).await;
        }
        self.full_at = self.full_at.max(Instant::now()) + self.interval;
    }
}
