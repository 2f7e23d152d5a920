//! A boxed stream of messages.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::hold::{end, on_drop};
use crate::{Cause, Error, Hold, Judgement, StreamEnd};

/// A stream of messages, boxed; each item may be the error that ends it.
///
/// *Cancellation:* dropping it cancels the call that it belongs to, and gives back every permit that rides in it.
pub struct Streaming<T> {
    inner: Pin<Box<dyn Stream<Item = Result<T, Error>> + Send>>,
}

impl<T> Streaming<T> {
    /// Boxes a stream.
    pub fn new(stream: impl Stream<Item = Result<T, Error>> + Send + 'static) -> Self {
        Self { inner: Box::pin(stream) }
    }

    /// The next message; nothing at the end.
    ///
    /// # Errors
    /// The error that ended the stream.
    pub async fn message(&mut self) -> Result<Option<T>, Error> {
        poll_fn(|cx| self.inner.as_mut().poll_next(cx)).await.transpose()
    }

    /// The same stream, holding this until its end, its error, or its drop.
    pub fn held_by<H: Hold>(self, hold: H) -> Self
    where
        T: Send + 'static,
    {
        let mut hold = Some(hold);
        on_drop(&mut hold, Cause::Left);
        Self::new(Held { stream: self, hold })
    }
}

impl<T> Stream for Streaming<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.as_mut().poll_next(cx)
    }
}

impl<T> fmt::Debug for Streaming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").finish_non_exhaustive()
    }
}

struct Held<T, H> {
    stream: Streaming<T>,
    hold: Option<H>,
}

// A hold is only ever moved out, never polled in place.
impl<T, H> Unpin for Held<T, H> {}

impl<T, H: Hold> Stream for Held<T, H> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { stream, hold } = &mut *self;
        on_drop(hold, Cause::Panicked);
        let item = Pin::new(stream).poll_next(cx);
        on_drop(hold, Cause::Left);
        let item = ready!(item);
        match &item {
            None => end(hold, &StreamEnd::Complete(None)),
            Some(Err(error)) => end(hold, &StreamEnd::Failed(Judgement::of(error))),
            Some(Ok(_)) => {}
        }
        Poll::Ready(item)
    }
}
