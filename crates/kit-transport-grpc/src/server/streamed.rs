//! An answer that streams, on its way out: its messages, then the status, whatever it was that ended them.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http::HeaderMap;
use http_body::Frame;
use kit_base::{Deadline, Error, caught};
use tokio::time::Sleep;

use super::answer::passed;
use super::body::ok;
use super::hooks::Exchange;
use crate::expiring::Expiring;
use crate::within::{asleep, by, now};

/// How long the head waits for a first message.
///
/// An answer that fails before its first message is one without a head of its own, which clients may try again by themselves
/// (gRFC A6), so the head waits. A caller that waits for the head, and only then does what the stream is to tell of, must not
/// wait long: so this is short.
const FIRST: Duration = Duration::from_millis(100);

type Items = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// The frames of an answer that streams. It ends once, with trailers: after the last message, by an error, at the deadline; or
/// it is dropped. What the endpoint made is dropped at that moment.
pub(super) struct Streamed {
    /// What the endpoint still has to say; nothing once that is over.
    items: Option<Expiring<Items>>,
    /// The first message, which the head has waited for.
    first: Option<Bytes>,
    /// The trailers of a success.
    pub(super) trailers: Option<HeaderMap>,
    deadline: Option<(Deadline, Pin<Box<Sleep>>)>,
    exchange: Option<Exchange>,
}

impl Streamed {
    pub(super) fn new(
        frames: impl Stream<Item = Result<Bytes, Error>> + Send + 'static,
        trailers: Option<HeaderMap>,
    ) -> Self {
        let items: Items = Box::pin(frames);
        Self { items: Some(Expiring::new(items)), first: None, trailers, deadline: None, exchange: None }
    }

    /// Waits for the first message, but not long.
    ///
    /// # Errors
    /// What came in its place.
    pub(super) async fn wait_for_first(&mut self) -> Result<(), Error> {
        let Some(items) = &mut self.items else { return Ok(()) };
        let first = std::pin::pin!(poll_fn(|cx| poll_next(items, cx)));
        match by(Some(Deadline::after(now(), FIRST)), first).await {
            None => {}
            Some(Some(frame)) => self.first = Some(frame?),
            Some(None) => self.items = None,
        }
        Ok(())
    }

    /// The head is ready: what is to be known at the end rides along.
    pub(super) fn ride(&mut self, exchange: Exchange) {
        if let (Some(deadline), Some(items)) = (exchange.context.deadline(), &mut self.items) {
            items.end_at(deadline);
            self.deadline = Some((deadline, asleep(deadline)));
        }
        self.exchange = Some(exchange);
    }

    /// The next message, or the trailers, which are the last that comes.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Frame<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(self.message(first));
        }
        let Some(items) = &mut self.items else { return Poll::Ready(self.end(None)) };
        // Asked before the messages, or a stream that never waits would go on.
        if self.deadline.as_ref().is_some_and(|(deadline, _)| deadline.has_passed(now())) {
            return Poll::Ready(self.end(Some(passed())));
        }
        match caught(|| poll_next(items, cx)) {
            Ok(Poll::Ready(Some(Ok(frame)))) => Poll::Ready(self.message(frame)),
            Ok(Poll::Ready(None)) => Poll::Ready(self.end(None)),
            Ok(Poll::Ready(Some(Err(error)))) | Err(error) => Poll::Ready(self.end(Some(error))),
            Ok(Poll::Pending) => {
                let timer = self.deadline.as_mut().map(|(_, timer)| timer.as_mut());
                if timer.is_none_or(|timer| timer.poll(cx).is_pending()) {
                    return Poll::Pending;
                }
                Poll::Ready(self.end(Some(passed())))
            }
        }
    }

    fn message(&mut self, frame: Bytes) -> Frame<Bytes> {
        if let Some(exchange) = &mut self.exchange {
            exchange.bytes += frame.len();
        }
        Frame::data(frame)
    }

    fn end(&mut self, error: Option<Error>) -> Frame<Bytes> {
        self.close();
        let exchange = self.exchange.take();
        // What was meant for a success is not sent with an error.
        let mut trailers = if error.is_none() { ok(self.trailers.as_ref()) } else { HeaderMap::new() };
        if let Some(mut exchange) = exchange {
            if let Some(error) = &error {
                exchange.write_error(error, &mut trailers);
            }
            exchange.finish(error.as_ref());
        }
        Frame::trailers(trailers)
    }

    /// Drops what the endpoint made, which may panic.
    fn close(&mut self) {
        let items = self.items.take();
        // It has been told by the panic hook; what the endpoint had to say is said.
        let _ = caught(|| drop(items));
    }
}

fn poll_next(items: &Expiring<Items>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
    items.look(|items| match items {
        Some(items) => items.as_mut().poll_next(cx),
        None => Poll::Ready(Some(Err(passed()))),
    })
}

impl Drop for Streamed {
    fn drop(&mut self) {
        // Before the exchange, which then tells that the caller left.
        self.close();
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed").field("over", &self.items.is_none()).finish_non_exhaustive()
    }
}
