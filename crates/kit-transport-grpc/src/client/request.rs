//! The body of a request: one message.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// One message in its frame, as the body of a request.
pub(super) struct One(pub(super) Bytes);

impl Body for One {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match std::mem::take(&mut self.0) {
            frame if frame.is_empty() => Poll::Ready(None),
            frame => Poll::Ready(Some(Ok(Frame::data(frame)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        // The length is not told: a frame tells its own.
        SizeHint::default()
    }
}
