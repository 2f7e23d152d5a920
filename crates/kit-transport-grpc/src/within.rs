//! The present, and work with a limit of time, whose timer is made only if the work has to wait.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

#[cfg(feature = "server")]
use kit_base::caught;
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
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => match deadline {
            None => Poll::Pending,
            Some(deadline) => timer.get_or_insert_with(|| asleep(deadline)).as_mut().poll(cx).map(|()| None),
        },
    })
    .await
}

/// What users' work gives within the deadline. It is dropped at the deadline, or with this, and may panic then: it has nothing
/// more to say, and its caller is served by a connection that others share.
///
/// # Errors
/// Those of the work, and that of the deadline.
#[cfg(feature = "server")]
pub(crate) async fn in_time<F, T>(deadline: Option<Deadline>, work: Pin<Box<F>>) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>> + ?Sized,
{
    let mut work = Quiet(Some(work));
    let Some(running) = &mut work.0 else { return Err(passed()) };
    by(deadline, running.as_mut()).await.unwrap_or_else(|| Err(passed()))
}

/// What may panic when it is dropped.
#[cfg(feature = "server")]
struct Quiet<F>(Option<F>);

#[cfg(feature = "server")]
impl<F> Drop for Quiet<F> {
    fn drop(&mut self) {
        let work = self.0.take();
        // The panic hook has told of it.
        let _ = caught(|| drop(work));
    }
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
