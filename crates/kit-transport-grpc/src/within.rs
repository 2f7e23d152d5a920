//! The present, and work with a limit of time, whose timer is made only if the work has to wait.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Instant;

use kit_base::{Deadline, Error};
use tokio::time::{Sleep, sleep_until};

/// The present, by tokio's clock, which tests can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// What the work gives, unless the deadline passes first.
pub(crate) async fn by<F: Future + ?Sized>(deadline: Option<Deadline>, mut work: Pin<&mut F>) -> Option<F::Output> {
    let mut timer = None;
    poll_fn(|cx| match work.as_mut().poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => match deadline {
            None => std::task::Poll::Pending,
            Some(deadline) => timer.get_or_insert_with(|| asleep(deadline)).as_mut().poll(cx).map(|()| None),
        },
    })
    .await
}

/// A timer, boxed, so that what need not wait carries no room for one.
#[cold]
pub(crate) fn asleep(deadline: Deadline) -> Pin<Box<Sleep>> {
    Box::pin(sleep_until(deadline.instant().into()))
}

/// The error of a deadline that has passed.
pub(crate) fn passed() -> Error {
    Error::deadline_exceeded("the deadline of the call has passed")
}
