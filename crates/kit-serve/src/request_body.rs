//! The body of a request, as the service gets it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Limited;
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use crate::error::BoxError;

pin_project! {
    /// The body of a request: a stream that reads from the connection as it is polled, and never buffers.
    ///
    /// Data arrives as [`Bytes`]. Over [`Server::body_limit`](crate::Server::body_limit) it ends with an
    /// [`http_body_util::LengthLimitError`], which axum's extractors answer with 413. A client that breaks off ends it
    /// with an error too, so a body that ended without one is complete.
    #[derive(Debug)]
    pub struct RequestBody {
        #[pin]
        inner: Limited<Incoming>,
    }
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, limit: Option<usize>) -> Self {
        Self { inner: Limited::new(incoming, limit.unwrap_or(usize::MAX)) }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().inner.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
