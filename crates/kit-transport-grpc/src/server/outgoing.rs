//! The items of an answer that streams, in their frames.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use kit_base::{Error, Streaming};

use crate::EncodeOutcome;
use crate::frame::Framer;

/// A stream as its codec writes it. It ends after the error that ended the stream, whatever the codec made of that, and after
/// one of the codec's own.
pub(super) struct Encoded<C, Res> {
    items: Option<Streaming<Res>>,
    codec: Arc<C>,
    framer: Framer,
}

impl<C, Res> Encoded<C, Res> {
    pub(super) fn new(items: Streaming<Res>, codec: Arc<C>, framer: Framer) -> Self {
        Self { items: Some(items), codec, framer }
    }
}

impl<C: EncodeOutcome<Res>, Res> Stream for Encoded<C, Res> {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(items) = &mut self.items else { return Poll::Ready(None) };
        let outcome = ready!(Pin::new(items).poll_next(cx));
        let failed = matches!(outcome, Some(Err(_)));
        let frame =
            outcome.map(|outcome| self.codec.encode_outcome(outcome).and_then(|message| self.framer.frame(&message)));
        if failed || !matches!(frame, Some(Ok(_))) {
            self.items = None;
        }
        Poll::Ready(frame)
    }
}
