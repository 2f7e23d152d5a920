//! The body of a request, as the service gets it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Limited;
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use crate::error::BoxError;
use crate::waiting::Patience;

pin_project! {
    /// The body of a request: a stream that reads from the connection as it is polled, and never buffers.
    ///
    /// Data arrives as [`Bytes`]. Over [`Server::body_limit`](crate::Server::body_limit) it ends with an
    /// [`http_body_util::LengthLimitError`], which axum's extractors answer with 413; if it comes more slowly than
    /// [`Server::body_rate`](crate::Server::body_rate), with a [`BodyTooSlow`](crate::BodyTooSlow). A client that
    /// breaks off ends it with an error too, so a body that ended without one is complete.
    #[derive(Debug)]
    pub struct RequestBody {
        #[pin]
        inner: Limited<Incoming>,
        patience: Option<Patience>,
    }
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, limit: Option<usize>, patience: Option<Patience>) -> Self {
        Self { inner: Limited::new(incoming, limit.unwrap_or(usize::MAX)), patience }
    }

    fn is_given_up(&self) -> bool {
        self.patience.as_ref().is_some_and(Patience::is_over)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let Some(patience) = this.patience else { return this.inner.poll_frame(cx) };
        if patience.is_over() {
            return Poll::Ready(None);
        }
        let polled = this.inner.as_mut().poll_frame(cx);
        if let Poll::Ready(frame) = &polled {
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            patience.over(data.map_or(0, Bytes::len), frame.is_some() && !this.inner.is_end_stream());
            return polled;
        }
        patience.poll_over(cx).map(|error| Some(Err(error.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.is_given_up() || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_given_up() { SizeHint::with_exact(0) } else { self.inner.size_hint() }
    }
}
