//! A panic in user code becomes an answer.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use crate::Error;

/// Turns a panic in `make`, or in the future that it makes, into an error of the kind `Internal` and the reason `PANIC`.
/// The text of the panic stays on this side, as the message of the error.
///
/// Generated endpoints do this around each method. The panic hook has run by then, so the panic is in the log.
///
/// # Errors
/// Those of the future, and the panic.
pub async fn catch_panic<F, T, E>(make: impl FnOnce() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    E: From<Error>,
{
    let mut future = pin!(caught(make)?);
    poll_fn(|cx| caught(|| future.as_mut().poll(cx)).unwrap_or_else(|panic| Poll::Ready(Err(panic.into())))).await
}

/// What `work` gives, or the error that stands for its panic, as [`catch_panic`] has it. For what is no future: a poll of a
/// body, a hook, a drop.
///
/// # Errors
/// The panic.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| error_of(&*panic))
}

/// Holds what must learn of a panic that passes through, and tells it when it is dropped; else it is forgotten. Whoever
/// catches the panic may drop the future that it came from at leisure, when the thread is no longer panicking.
pub(crate) struct OnDrop<T, F: FnMut(&mut T)>(pub(crate) T, pub(crate) F);

impl<T, F: FnMut(&mut T)> Drop for OnDrop<T, F> {
    fn drop(&mut self) {
        (self.1)(&mut self.0);
    }
}

/// The error that stands for a panic.
fn error_of(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is no text");
    Error::internal(format!("panicked: {text}")).with_reason("PANIC")
}
