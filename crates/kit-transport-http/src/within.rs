//! The present, and work with a limit of time, whose timer is made only if the work has to wait.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use kit_base::Deadline;

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

async fn at_once<F: Future>(mut work: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
