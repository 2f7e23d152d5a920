//! An answer that streams, as it is read: its items, and the status that ends it.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http::response::Parts;
use http_body::Body as HttpBody;
use kit_base::{Deadline, Error};
use pin_project_lite::pin_project;
use tokio::time::Sleep;

use super::call::passed;
use super::hooks::Finalizing;
use super::opening::Opening;
use super::upload::Uploading;
use super::{BoxError, failure};
use crate::DecodeResponse;
use crate::frame::decode;
use crate::messages::{Messages, Next};
use crate::within::{asleep, now};

pin_project! {
    /// The items of an answer. They are over with the status in the trailers, an error, the deadline, or when they are dropped;
    /// all of the call is dropped at that moment.
    pub(super) struct Streamed<B, C, Res> {
        #[pin]
        messages: Option<Messages<B>>,
        codec: Arc<C>,
        going: Option<Going>,
        timer: Option<(Deadline, Pin<Box<Sleep>>)>,
        // Whether there was a message.
        any: bool,
        _items: PhantomData<fn() -> Res>,
    }
}

/// What belongs to a call until it is over.
pub(super) struct Going {
    pub(super) head: Parts,
    pub(super) opening: Opening,
    pub(super) call: Finalizing,
    pub(super) uploading: Option<Uploading>,
}

impl<B, C, Res> Streamed<B, C, Res> {
    /// An answer without messages is over as it is.
    pub(super) fn new(messages: Option<Messages<B>>, codec: Arc<C>, going: Going) -> Self {
        let timer = going.call.context.deadline().map(|deadline| (deadline, asleep(deadline)));
        Self { messages, codec, going: Some(going), timer, any: false, _items: PhantomData }
    }
}

impl<B, C, Res> Streamed<B, C, Res>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
{
    /// The next message, or nothing at the end.
    fn poll_message(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let this = self.project();
        let (Some(messages), Some(going)) = (this.messages.as_pin_mut(), this.going) else {
            return Poll::Ready(Ok(None));
        };
        let Going { head, opening, call, uploading } = going;
        Uploading::poll_with(uploading, cx, |cx| {
            // Asked before the messages, or a stream that never waits would go on.
            if this.timer.as_ref().is_some_and(|(deadline, _)| deadline.has_passed(now())) {
                return Poll::Ready(Err(passed()));
            }
            match read(messages, (head, opening, *this.any), call, cx) {
                Poll::Ready(message) => Poll::Ready(message),
                Poll::Pending => match this.timer {
                    Some((_, timer)) => timer.as_mut().poll(cx).map(|()| Err(passed())),
                    None => Poll::Pending,
                },
            }
        })
    }
}

/// The next message of a body, or the outcome that its trailers tell of.
fn read<B>(
    mut messages: Pin<&mut Messages<B>>,
    (head, opening, any): (&Parts, &Opening, bool),
    call: &Finalizing,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Bytes>, Error>>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
{
    Poll::Ready(match ready!(messages.as_mut().poll_next(cx)).map_err(|error| opening.unreadable(error))? {
        Next::Message(message) => Ok(Some(message)),
        Next::Broken(error) => Err(failure::broken(error.into())),
        Next::End(None) => messages.is_whole().and_then(|()| opening.end(None, any)).map(|()| None),
        Next::End(Some(trailers)) => {
            call.show(&head.headers, &trailers);
            // A status says more than what is wrong with the messages before it.
            opening.end(Some(&trailers), any).and_then(|()| messages.is_whole()).map(|()| None)
        }
    })
}

impl<B, C, Res> Stream for Streamed<B, C, Res>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
    C: DecodeResponse<Res>,
{
    type Item = Result<Res, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let message = ready!(self.as_mut().poll_message(cx)).transpose();
        *self.as_mut().project().any |= matches!(message, Some(Ok(_)));
        let item = message.map(|message| message.and_then(decode).and_then(|m| self.codec.decode_response(m)));
        let deadline = self.timer.as_ref().map(|(deadline, _)| *deadline);
        let item = item.map(|item| item.map_err(|error| failure::settled(error, deadline)));
        if !matches!(item, Some(Ok(_))) {
            let mut this = self.project();
            this.messages.set(None);
            if let Some(Going { call, uploading, .. }) = this.going.take() {
                drop(uploading);
                call.finish(item.as_ref().and_then(|item| item.as_ref().err()));
            }
        }
        Poll::Ready(item)
    }
}
