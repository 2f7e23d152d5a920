//! A panic in user code becomes an answer.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::Error;

/// Turns a panic in `make`, or in the future that it makes, into an error of the kind `Internal` and the reason `PANIC`.
/// The text of the panic stays on this side, as the message of the error.
///
/// Generated endpoints do this around each method. The panic hook has run by then, so the panic is in the log.
pub fn catch_panic<F, T, E>(make: impl FnOnce() -> F) -> CatchPanic<F>
where
    F: Future<Output = Result<T, E>>,
    E: From<Error>,
{
    let state = match catch_unwind(AssertUnwindSafe(make)) {
        Ok(inner) => State::Running { inner },
        Err(panic) => State::Panicked { error: Some(error_of(&*panic)) },
    };
    CatchPanic { state }
}

pin_project! {
    /// The future of [`catch_panic`].
    #[derive(Debug)]
    pub struct CatchPanic<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = Projection]
    #[derive(Debug)]
    enum State<F> {
        Running { #[pin] inner: F },
        Panicked { error: Option<Error> },
    }
}

impl<F, T, E> Future for CatchPanic<F>
where
    F: Future<Output = Result<T, E>>,
    E: From<Error>,
{
    type Output = Result<T, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        match self.project().state.project() {
            Projection::Running { inner } => match catch_unwind(AssertUnwindSafe(|| inner.poll(cx))) {
                Ok(poll) => poll,
                Err(panic) => Poll::Ready(Err(error_of(&*panic).into())),
            },
            Projection::Panicked { error } => {
                let error = error.take().expect("a future is not polled after it has completed");
                Poll::Ready(Err(error.into()))
            }
        }
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
