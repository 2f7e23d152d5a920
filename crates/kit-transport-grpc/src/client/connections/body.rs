//! The body of an answer, which counts as an open call on its connection.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::Authority;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::ConnectionError;

pin_project_lite::pin_project! {
    /// The body of an answer over [`Connections`](crate::Connections). Dropped before its end, it resets the stream.
    #[derive(Debug)]
    pub struct ResponseBody {
        #[pin]
        inner: Incoming,
        authority: Authority,
        open: Open,
    }
}

impl ResponseBody {
    pub(super) fn new(inner: Incoming, authority: Authority, open: Open) -> Self {
        Self { inner, authority, open }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ConnectionError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ConnectionError>>> {
        let this = self.project();
        this.inner.poll_frame(cx).map_err(|error| ConnectionError::broken(this.authority, error))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// One open call among those of its connection.
#[derive(Debug)]
pub(super) struct Open(Arc<AtomicUsize>);

impl Open {
    pub(super) fn new(calls: &Arc<AtomicUsize>) -> Self {
        calls.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(calls))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
