//! A request, as far as it may be sent again.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request};
use http_body::Body as _;
use kit_base::wire::GRPC_TIMEOUT;
use kit_base::{Error, Origin, Timeout};
use tonic::body::Body;

use super::upload::Next;
use crate::within::{now, passed};

/// A request on its way.
pub(super) struct Outgoing {
    pub(super) head: Parts,
    pub(super) body: Content,
    /// When it began to wait.
    waiting: Option<Instant>,
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
            return Self { head, body: Content::Whole(Bytes::new()), waiting: None };
        }
        let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await;
        let body = match &first {
            Poll::Ready(Some(Ok(frame))) if body.is_end_stream() => match frame.data_ref() {
                Some(data) => Content::Whole(data.clone()),
                None => Content::Streamed(first, body),
            },
            _ => Content::Streamed(first, body),
        };
        Self { head, body, waiting: None }
    }

    /// It cannot leave at once.
    pub(super) fn waits(&mut self) {
        self.waiting.get_or_insert_with(now);
    }

    /// Tells the time that is left to it, after it has waited: the server would work for a call that is over.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn tell_time_left(&mut self) -> Result<(), Error> {
        let Some(since) = self.waiting.take() else { return Ok(()) };
        let Some(timeout) = self.head.headers.get_mut(GRPC_TIMEOUT) else { return Ok(()) };
        let Some(Timeout(left)) = timeout.to_str().ok().and_then(|timeout| timeout.parse().ok()) else { return Ok(()) };
        let left = left.saturating_sub(now().saturating_duration_since(since));
        if left.is_zero() {
            return Err(passed().with_origin(Origin::NotSent));
        }
        if let Ok(left) = HeaderValue::try_from(Timeout(left).to_string()) {
            *timeout = left;
        }
        Ok(())
    }
}
