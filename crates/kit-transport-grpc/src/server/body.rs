//! The body of an answer: messages, then the status in trailers.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};
use kit_base::Error;
use kit_base::wire::GRPC_STATUS;

use super::Routes;
use super::foreign::AnswerBody;
use super::streamed::Streamed;
use crate::metadata::put_over;

/// The body of an answer.
///
/// Its error is never made, but by the body of a [fallback](crate::GrpcServer::fallback_service): what goes wrong in a call is
/// told by the status in the trailers. *Cancellation:* dropping it drops what the
/// endpoint was doing.
#[derive(Debug, Default)]
pub struct Body(Content);

#[derive(Debug, Default)]
enum Content {
    /// Nothing, or nothing more.
    #[default]
    Empty,
    /// One message, and the trailers that the endpoint brings.
    Message(Bytes, Option<Box<HeaderMap>>),
    /// The trailers of a success.
    Trailers(Option<Box<HeaderMap>>),
    /// The text of an answer that is not gRPC.
    Text(Bytes),
    /// Messages as they come, and their trailers.
    Stream(Box<Streamed>),
    /// That of another service, and who is told of its error.
    Other(AnswerBody, Routes),
}

impl Body {
    pub(super) fn message(frame: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self(Content::Message(frame, trailers.filter(|trailers| !trailers.is_empty()).map(Box::new)))
    }

    pub(super) fn other(body: AnswerBody, routes: &Routes) -> Self {
        Self(Content::Other(body, routes.clone()))
    }

    pub(super) fn text(text: Bytes) -> Self {
        Self(Content::Text(text))
    }

    pub(super) fn stream(streamed: Streamed) -> Self {
        Self(Content::Stream(Box::new(streamed)))
    }

    /// The bytes of its message; nothing of a stream.
    pub(super) fn len(&self) -> usize {
        match &self.0 {
            Content::Message(frame, _) | Content::Text(frame) => frame.len(),
            Content::Empty | Content::Trailers(_) | Content::Stream(_) | Content::Other(..) => 0,
        }
    }

    /// The stream, if it is one.
    pub(super) fn streamed_mut(&mut self) -> Option<&mut Streamed> {
        if let Content::Stream(streamed) = &mut self.0 { Some(streamed) } else { None }
    }

    /// The trailers that the endpoint brings, if there are any.
    pub(super) fn trailers(&self) -> Option<&HeaderMap> {
        match &self.0 {
            Content::Message(_, trailers) | Content::Trailers(trailers) => trailers.as_deref(),
            Content::Stream(streamed) => streamed.trailers.as_ref(),
            Content::Empty | Content::Text(_) | Content::Other(..) => None,
        }
    }

    /// The same, to change them.
    pub(super) fn trailers_mut(&mut self) -> Option<&mut HeaderMap> {
        match &mut self.0 {
            Content::Message(_, trailers) | Content::Trailers(trailers) => Some(trailers.get_or_insert_default()),
            Content::Stream(streamed) => Some(streamed.trailers.get_or_insert_default()),
            Content::Empty | Content::Text(_) | Content::Other(..) => None,
        }
    }
}

/// The trailers of a success.
pub(super) fn ok(metadata: Option<&HeaderMap>) -> HeaderMap {
    // More than a map has room for panics.
    let names = 1 + metadata.map_or(0, HeaderMap::keys_len);
    let mut trailers = HeaderMap::try_with_capacity(names).unwrap_or_default();
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    if let Some(metadata) = metadata {
        put_over(&mut trailers, metadata);
    }
    trailers
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Content::Other(body, routes) = &mut self.0 {
            let frame = ready!(Pin::new(body).poll_frame(cx));
            if let Some(Err(error)) = &frame {
                routes.settings().tell(&kit_base::Context::new(), error);
            }
            return Poll::Ready(frame);
        }
        if let Some(streamed) = self.streamed_mut() {
            let frame = ready!(streamed.poll_frame(cx));
            if frame.is_trailers() {
                self.0 = Content::Empty;
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        let (frame, next) = match mem::take(&mut self.0) {
            Content::Empty | Content::Stream(_) | Content::Other(..) => return Poll::Ready(None),
            Content::Text(text) => (Frame::data(text), Content::Empty),
            Content::Message(frame, trailers) => (Frame::data(frame), Content::Trailers(trailers)),
            Content::Trailers(trailers) => (Frame::trailers(ok(trailers.as_deref())), Content::Empty),
        };
        self.0 = next;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Empty => true,
            Content::Text(text) => text.is_empty(),
            Content::Message(..) | Content::Trailers(_) | Content::Stream(_) => false,
            Content::Other(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Empty => SizeHint::with_exact(0),
            Content::Text(text) => SizeHint::with_exact(text.len() as u64),
            Content::Message(..) | Content::Trailers(_) | Content::Stream(_) => SizeHint::default(),
            Content::Other(body, _) => body.size_hint(),
        }
    }
}
