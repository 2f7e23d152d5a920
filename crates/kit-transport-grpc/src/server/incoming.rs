//! A request that streams, on its way in.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http_body::Body as HttpBody;
use kit_base::{Error, Streaming};
use pin_project_lite::pin_project;

use super::message::{BoxError, left};
use crate::DecodeRequest;
use crate::frame::{Deframer, decode};
use crate::messages::{Messages, Next};

pin_project! {
    /// The messages of a request, one in memory at a time. Its end is that of the caller's stream; whatever else ends it is an
    /// error.
    pub(super) struct Incoming<B> {
        #[pin]
        messages: Option<Messages<B>>,
        waited: bool,
    }
}

impl<B> Incoming<B>
where
    B: HttpBody<Error: Into<BoxError>>,
{
    pub(super) fn new(body: B, frames: Deframer) -> Self {
        Self { messages: Some(Messages::new(body, frames)), waited: false }
    }
}

impl<B> Stream for Incoming<B>
where
    B: HttpBody<Error: Into<BoxError>>,
{
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let Some(mut messages) = this.messages.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let end = match ready!(messages.as_mut().poll_next(cx)) {
            Ok(Next::Message(message)) => return Poll::Ready(Some(Ok(message))),
            // hyper takes a stream that was reset with the code NO_ERROR, as some proxies do, for one that has ended. Unlike
            // a body at its end it does not say that it is; so whoever serves gets a turn to see the reset, and drops the call.
            Ok(Next::End(None)) if !*this.waited && !messages.says_end() => {
                *this.waited = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Ok(Next::End(_)) => messages.is_whole().err(),
            Ok(Next::Broken(error)) => Some(left(error.into())),
            Err(error) => Some(error),
        };
        this.messages.set(None);
        Poll::Ready(end.map(Err))
    }
}

/// The requests of those messages.
pub(super) struct Decoded<C, Req> {
    messages: Option<Streaming<Bytes>>,
    codec: Arc<C>,
    _requests: PhantomData<fn() -> Req>,
}

impl<C, Req> Decoded<C, Req> {
    pub(super) fn new(messages: Streaming<Bytes>, codec: Arc<C>) -> Self {
        Self { messages: Some(messages), codec, _requests: PhantomData }
    }
}

impl<C: DecodeRequest<Req>, Req> Stream for Decoded<C, Req> {
    type Item = Result<Req, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(messages) = &mut self.messages else { return Poll::Ready(None) };
        let message = ready!(Pin::new(messages).poll_next(cx));
        let request =
            message.map(|message| message.and_then(decode).and_then(|message| self.codec.decode_request(message)));
        if !matches!(request, Some(Ok(_))) {
            self.messages = None;
        }
        Poll::Ready(request)
    }
}
