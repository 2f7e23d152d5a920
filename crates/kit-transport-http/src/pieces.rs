//! A body as it comes, piece by piece: of a request on a server, of an answer on a client.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_core::Stream;
use http_body::Body;
use kit_base::{Error, Streaming};
use pin_project_lite::pin_project;
use tokio::time::Sleep;

use crate::within::{asleep, later};

/// An error of a body, as tower and axum have it.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// Whether the error, or what lies behind it, is such a one.
pub(crate) fn has_cause(error: &(dyn StdError + 'static), is: impl Fn(&(dyn StdError + 'static)) -> bool) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if is(error) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether this is a limit of time of the connection, or of whoever serves it.
pub(crate) fn is_timed_out(error: &(dyn StdError + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

/// A body that is read as it comes. Nothing of it is kept: whoever does not read on holds the sender up.
///
/// *Cancellation:* dropped before its end, it breaks the transfer off.
pub struct Pieces {
    stream: Streaming<Bytes>,
    item_limit: usize,
}

impl Pieces {
    /// A body of these pieces, in items of at most so many bytes; for testing decoders.
    #[must_use]
    pub const fn new(stream: Streaming<Bytes>, item_limit: usize) -> Self {
        Self { stream, item_limit }
    }

    /// The most bytes that one item may have. A decoder that gathers items of several pieces has to keep it.
    #[must_use]
    pub const fn item_limit(&self) -> usize {
        self.item_limit
    }

    /// The pieces, as they come: their bounds mean nothing.
    #[must_use]
    pub fn into_stream(self) -> Streaming<Bytes> {
        self.stream
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces").field("item_limit", &self.item_limit).finish_non_exhaustive()
    }
}

pin_project! {
    /// The data of a body, its errors made ours.
    pub(crate) struct Reading<B, W> {
        #[pin]
        body: B,
        wrong: W,
    }
}

impl<B, W> Reading<B, W> {
    pub(crate) const fn new(body: B, wrong: W) -> Self {
        Self { body, wrong }
    }
}

impl<B, W> Stream for Reading<B, W>
where
    B: Body<Error: Into<BoxError>>,
    W: Fn(BoxError) -> Error,
{
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            let Some(frame) = ready!(this.body.as_mut().poll_frame(cx)) else { return Poll::Ready(None) };
            match frame.map(http_body::Frame::into_data) {
                Err(error) => return Poll::Ready(Some(Err((this.wrong)(error.into())))),
                Ok(Ok(mut data)) if data.has_remaining() => {
                    return Poll::Ready(Some(Ok(data.copy_to_bytes(data.remaining()))));
                }
                // Trailers, or nothing.
                Ok(_) => {}
            }
        }
    }
}

/// A stream of which each item must come within a time, counted from when it is asked for.
pub(crate) struct Timely<T> {
    stream: Option<Streaming<T>>,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    late: fn(Duration) -> Error,
}

impl<T> Timely<T> {
    pub(crate) const fn new(stream: Streaming<T>, limit: Duration, late: fn(Duration) -> Error) -> Self {
        Self { stream: Some(stream), limit, timer: None, waiting: false, late }
    }

    /// Whether the item that is asked for is late.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let timer = self.timer.get_or_insert_with(|| asleep(self.limit));
        if !std::mem::replace(&mut self.waiting, true) {
            timer.as_mut().reset(later(self.limit));
        }
        timer.as_mut().poll(cx).is_ready()
    }
}

impl<T> Stream for Timely<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(stream) = &mut this.stream else { return Poll::Ready(None) };
        let item = match Pin::new(stream).poll_next(cx) {
            Poll::Pending if this.is_late(cx) => Some(Err((this.late)(this.limit))),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(item) => item,
        };
        this.waiting = false;
        if !matches!(item, Some(Ok(_))) {
            this.stream = None;
        }
        Poll::Ready(item)
    }
}
