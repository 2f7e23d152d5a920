//! The present, and work with a limit of time, whose timer is made only if the work has to wait.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use kit_base::Deadline;
use tokio::time::{Sleep, sleep_until};

/// The present, by tokio's clock, which tests can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// What the work gives, unless it takes longer.
pub(crate) async fn within<F: Future>(limit: Duration, work: F) -> Option<F::Output> {
    Timer::After(limit).bound(pin!(work)).await
}

/// What the work gives, unless the deadline passes first.
pub(crate) async fn by<F: Future>(deadline: Deadline, work: F) -> Option<F::Output> {
    Timer::At(deadline).bound(pin!(work)).await
}

/// A limit of time, whose timer is made when something has to wait. It is boxed, so that what need not wait carries no room
/// for one.
#[derive(Debug)]
pub(crate) enum Timer {
    After(Duration),
    At(Deadline),
    Runs(Pin<Box<Sleep>>),
}

impl Timer {
    /// What the work gives, unless the time is over first.
    pub(crate) async fn bound<F: Future>(mut self, mut work: Pin<&mut F>) -> Option<F::Output> {
        poll_fn(|cx| self.poll_bound(cx, |cx| work.as_mut().poll(cx))).await
    }

    /// What `poll` gives, or nothing once the time is over.
    pub(crate) fn poll_bound<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Option<T>> {
        match poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll_over(cx).map(|()| None),
        }
    }

    /// Apart, so that it is no part of what need not wait.
    #[cold]
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut timer = match self {
            Self::Runs(timer) => return timer.as_mut().poll(cx),
            Self::After(limit) => asleep(*limit),
            Self::At(deadline) => Box::pin(sleep_until(deadline.instant().into())),
        };
        let over = timer.as_mut().poll(cx);
        *self = Self::Runs(timer);
        over
    }
}

/// When a body that is being sent last moved.
#[derive(Debug)]
pub(crate) struct Moves {
    started: Instant,
    /// Milliseconds from the start to the last move, and one.
    last: AtomicU64,
}

impl Moves {
    pub(crate) const fn since(started: Instant) -> Self {
        Self { started, last: AtomicU64::new(0) }
    }

    pub(crate) fn note(&self) {
        let elapsed = now().saturating_duration_since(self.started).as_millis();
        self.last
            .store(u64::try_from(elapsed).map_or(u64::MAX, |elapsed| elapsed.saturating_add(1)), Ordering::Relaxed);
    }

    /// Nothing where it has not moved yet.
    pub(crate) fn last(&self) -> Option<Instant> {
        let elapsed = self.last.load(Ordering::Relaxed).checked_sub(1)?;
        self.started.checked_add(Duration::from_millis(elapsed))
    }
}

/// The moment this long from now, for a timer. A time too long for the clock is cut to some thirty years.
pub(crate) fn later(wait: Duration) -> tokio::time::Instant {
    Deadline::after(now(), wait).instant().into()
}

/// A timer for this long, which can be set anew.
pub(crate) fn asleep(wait: Duration) -> Pin<Box<Sleep>> {
    Box::pin(sleep_until(later(wait)))
}
