//! A request, as far as it may be sent again.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use http::Request;
use http::request::Parts;
use http_body::Body as _;
use tonic::body::Body;

use super::upload::Next;

/// A request on its way.
pub(super) struct Outgoing {
    pub(super) head: Parts,
    pub(super) body: Content,
}

pub(super) enum Content {
    /// One message, or none, which can be sent again if the server has not taken it.
    Whole(Bytes),
    /// What comes as it comes, with what has come of it.
    Streamed(Poll<Next>, Body),
}

impl Outgoing {
    pub(super) async fn of(request: Request<Body>) -> Self {
        let (head, mut body) = request.into_parts();
        if body.is_end_stream() {
            return Self { head, body: Content::Whole(Bytes::new()) };
        }
        let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await;
        let body = match &first {
            Poll::Ready(Some(Ok(frame))) if body.is_end_stream() => match frame.data_ref() {
                Some(data) => Content::Whole(data.clone()),
                None => Content::Streamed(first, body),
            },
            _ => Content::Streamed(first, body),
        };
        Self { head, body }
    }
}
