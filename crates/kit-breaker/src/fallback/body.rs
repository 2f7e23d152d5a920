//! The body of an HTTP answer, or of the fallback's.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of an answer, or the one that a [`Fallback`](crate::Fallback) gave instead.
    #[derive(Debug)]
    pub struct FallbackBody<A, B> {
        #[pin]
        either: Either<A, B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = Projection]
    enum Either<A, B> {
        Answer { #[pin] body: A },
        Substitute { #[pin] body: B },
    }
}

impl<A, B> FallbackBody<A, B> {
    pub(crate) const fn answer(body: A) -> Self {
        Self { either: Either::Answer { body } }
    }

    pub(crate) const fn substitute(body: B) -> Self {
        Self { either: Either::Substitute { body } }
    }
}

impl<A: Default, B> Default for FallbackBody<A, B> {
    fn default() -> Self {
        Self::answer(A::default())
    }
}

impl<A: Body, B: Body<Data = A::Data, Error: Into<A::Error>>> Body for FallbackBody<A, B> {
    type Data = A::Data;
    type Error = A::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<A::Data>, A::Error>>> {
        match self.project().either.project() {
            Projection::Answer { body } => body.poll_frame(cx),
            Projection::Substitute { body } => body.poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.either {
            Either::Answer { body } => body.is_end_stream(),
            Either::Substitute { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.either {
            Either::Answer { body } => body.size_hint(),
            Either::Substitute { body } => body.size_hint(),
        }
    }
}
