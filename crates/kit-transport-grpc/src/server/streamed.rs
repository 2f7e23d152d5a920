//! An answer that streams, on its way out: its messages, then the status, whatever it was that ended them.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http::HeaderMap;
use http_body::Frame;
use kit_base::{Deadline, Error, caught};

use super::answer::passed;
use super::body::ok;
use super::hooks::Exchange;
use crate::expiring::{Expire, Expiring};
use crate::within::{by, now};

/// How long the head waits for a first message.
///
/// An answer that fails before its first message is one without a head of its own, which clients may try again by themselves
/// (gRFC A6), so the head waits. A caller that waits for the head, and only then does what the stream is to tell of, must not
/// wait long: so this is short.
const FIRST: Duration = Duration::from_millis(100);

type Items = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// The frames of an answer that streams. It ends once, with trailers: after the last message, by an error, at the deadline; or
/// it is dropped. What the endpoint made is dropped, and the finalizers run, at that moment.
pub(super) struct Streamed {
    going: Expiring<Going>,
    /// The first message, which the head has waited for.
    first: Option<Bytes>,
    /// The trailers of a success.
    pub(super) trailers: Option<HeaderMap>,
    deadline: Option<Deadline>,
}

/// A stream that is not over.
struct Going {
    items: Items,
    exchange: Option<Exchange>,
}

impl Streamed {
    pub(super) fn new(
        frames: impl Stream<Item = Result<Bytes, Error>> + Send + 'static,
        trailers: Option<HeaderMap>,
    ) -> Self {
        let going = Going { items: Box::pin(frames), exchange: None };
        Self { going: Expiring::new(going), first: None, trailers, deadline: None }
    }

    /// Waits for the first message, but not long.
    ///
    /// # Errors
    /// What came in its place.
    pub(super) async fn wait_for_first(&mut self) -> Result<(), Error> {
        let first = pin!(poll_fn(|cx| self.going.look(|going| match going {
            Some(going) => going.items.as_mut().poll_next(cx),
            None => Poll::Ready(None),
        })));
        self.first = match by(Some(Deadline::after(now(), FIRST)), first).await {
            // An end is the stream's to tell again.
            None | Some(None) => None,
            Some(Some(frame)) => Some(frame?),
        };
        Ok(())
    }

    /// The head is ready: what is to be known at the end rides along.
    pub(super) fn ride(&mut self, exchange: Exchange) {
        self.deadline = exchange.context.deadline();
        self.going.look(|going| {
            if let Some(going) = going {
                going.exchange = Some(exchange);
            }
        });
        if let Some(deadline) = self.deadline {
            self.going.end_at(deadline);
        }
    }

    /// The next message, or the trailers, which are the last that comes.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Frame<Bytes>> {
        if let Some(first) = self.first.take() {
            self.going.look(|going| going.map(|going| going.count(&first)));
            return Poll::Ready(Frame::data(first));
        }
        let (deadline, trailers) = (self.deadline, &self.trailers);
        let polled = self.going.poll(cx, |held, cx| {
            let Some(going) = held else { return Poll::Pending };
            let end = match ready!(going.poll_next(deadline, cx)) {
                Some(Ok(frame)) => return Poll::Ready(Frame::data(frame)),
                Some(Err(error)) => Some(error),
                None => None,
            };
            let ended = held.take().map(|going| going.end(end.as_ref(), trailers.as_ref()));
            Poll::Ready(Frame::trailers(ended.unwrap_or_default()))
        });
        Poll::Ready(ready!(polled).unwrap_or_else(Frame::trailers))
    }
}

impl Going {
    fn poll_next(&mut self, deadline: Option<Deadline>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        // Asked before the messages, or a stream that never waits would go on.
        if deadline.is_some_and(|deadline| deadline.has_passed(now())) {
            return Poll::Ready(Some(Err(passed())));
        }
        let polled = caught(|| self.items.as_mut().poll_next(cx));
        let polled = polled.unwrap_or_else(|panic| Poll::Ready(Some(Err(panic))));
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.count(frame);
        }
        polled
    }

    fn count(&mut self, frame: &Bytes) {
        if let Some(exchange) = &mut self.exchange {
            exchange.bytes += frame.len();
        }
    }

    /// The trailers of this end; those of the endpoint are for a success.
    fn end(self, error: Option<&Error>, of_success: Option<&HeaderMap>) -> HeaderMap {
        let exchange = self.close();
        let mut trailers = if error.is_none() { ok(of_success) } else { HeaderMap::new() };
        if let Some(mut exchange) = exchange {
            if let Some(error) = error {
                exchange.write_error(error, &mut trailers);
            }
            exchange.finish(error);
        }
        trailers
    }

    /// Drops what the endpoint made, which may panic: that has been told by the panic hook, and what the endpoint had to say is
    /// said.
    fn close(self) -> Option<Exchange> {
        let _ = caught(|| drop(self.items));
        self.exchange
    }
}

impl Expire for Going {
    /// The trailers.
    type End = HeaderMap;

    fn expire(self) -> HeaderMap {
        self.end(Some(&passed()), None)
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        // The exchange after the rest: it then tells that the caller left.
        drop(self.going.take().map(Going::close));
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed").finish_non_exhaustive()
    }
}
