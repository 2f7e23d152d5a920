//! The present, and work with a limit of time, whose timer is made only if the work has to wait.

use std::future::{poll_fn, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use kit_base::{Deadline, Error, catch_panic};
use tokio::time::{Sleep, sleep_until};

/// The present, by tokio's clock, which tests can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// What the work gives, unless it takes longer.
pub(crate) async fn within<F: Future>(limit: Duration, work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    match at_once(work.as_mut()).await {
        None => tokio::time::timeout(limit, work).await.ok(),
        done => done,
    }
}

/// What the work gives, unless the deadline passes first.
pub(crate) async fn by<F: Future>(deadline: Deadline, work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    match at_once(work.as_mut()).await {
        None => tokio::time::timeout_at(deadline.instant().into(), work).await.ok(),
        done => done,
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

/// What `poll` gives, or the error that stands for its panic.
///
/// # Errors
/// The panic, as [`catch_panic`] tells it.
pub(crate) fn caught<T>(poll: impl FnOnce() -> T) -> Result<T, Error> {
    let polled = catch_panic(|| ready(Ok(poll())));
    match pin!(polled).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(polled) => polled,
        Poll::Pending => Err(Error::internal("what is ready was not")),
    }
}

async fn at_once<F: Future>(mut work: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
