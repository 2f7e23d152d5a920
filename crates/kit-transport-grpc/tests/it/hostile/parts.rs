//! A body of given parts, for services that are called without HTTP between.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};

/// Some data, and trailers perhaps.
pub(super) struct Parts {
    pub(super) data: VecDeque<Bytes>,
    pub(super) trailers: Option<HeaderMap>,
}

impl Parts {
    /// The bytes, in parts of this length.
    pub(super) fn of(bytes: Vec<u8>, length: usize) -> Self {
        let mut rest = Bytes::from(bytes);
        let mut data = VecDeque::new();
        while !rest.is_empty() {
            data.push_back(rest.split_to(length.min(rest.len())));
        }
        Self { data, trailers: None }
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.pop_front().map(Frame::data);
        let frame = data.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }
}
