//! Clocks for tests: one moved by hand, and tokio's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kit_base::Clock;

/// A clock that stands still until the test moves it. Clones are the same clock.
///
/// ```
/// use std::time::Duration;
///
/// use kit_base::Clock;
/// use kit_testing::clock::ManualClock;
///
/// let clock = ManualClock::new();
/// let start = clock.now();
/// clock.clone().advance(Duration::from_secs(30));
/// assert_eq!(clock.now() - start, Duration::from_secs(30));
/// ```
///
/// It moves what *reads* a clock. What *sleeps* uses tokio's timer: for that, pause tokio's clock, and give
/// [`tokio_clock`] to what reads.
#[derive(Clone, Debug)]
pub struct ManualClock {
    start: Instant,
    /// Nanoseconds since the start: enough for 584 years.
    elapsed: Arc<AtomicU64>,
}

impl ManualClock {
    /// A new clock. It starts at some moment, which is the same for its whole life.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now(), elapsed: Arc::default() }
    }

    /// Moves the time forward.
    ///
    /// # Panics
    ///
    /// When the sum of all steps is over 584 years.
    pub fn advance(&self, step: Duration) {
        let moved = self.elapsed.fetch_update(Ordering::AcqRel, Ordering::Acquire, |elapsed| {
            u64::try_from(step.as_nanos()).ok().and_then(|step| elapsed.checked_add(step))
        });
        assert!(moved.is_ok(), "a manual clock cannot be advanced by {step:?}: it ends after 584 years");
    }

    /// How far it was moved since its start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.elapsed.load(Ordering::Acquire))
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.start + self.elapsed()
    }
}

/// Tokio's clock as a kit clock: real time, or virtual time where the test has paused it.
///
/// In a paused test, time stands still while there is something to do, and jumps to the next timer when all tasks
/// wait. So a test of an hour takes a millisecond and gives the same result each time. Pausing needs tokio's feature
/// `test-util` in your `[dev-dependencies]`:
///
/// ```
/// use std::time::Duration;
///
/// use kit_base::Clock;
/// use kit_testing::clock::tokio_clock;
///
/// # /*
/// #[tokio::test(start_paused = true)]
/// # */
/// async fn an_hour_passes_at_once() {
///     let clock = tokio_clock();
///     let start = clock.now();
///     tokio::time::sleep(Duration::from_secs(3600)).await;
///     assert_eq!(clock.now() - start, Duration::from_secs(3600));
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
/// #     .block_on(an_hour_passes_at_once());
/// ```
///
/// Waiting for a socket counts as having nothing to do: under a paused clock, a timeout around a call to another
/// *process* or thread fires at once. Pause it only where both ends live in the test.
#[must_use]
pub fn tokio_clock() -> impl Clock + Copy + std::fmt::Debug + 'static {
    now as fn() -> Instant
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
