//! An answer that streams, on its way out: its items, its error within, its deadline, its end.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http::HeaderMap;
use kit_base::{Deadline, Error, Streaming, caught};
use tokio::time::Sleep;

use super::answer::passed;
use super::hooks::Riding;
use crate::Form;
use crate::codec::{EncodeError, Encoded};
use crate::expiring::Expiring;
use crate::within::{asleep, later, now};

/// The frames of an answer that streams. Whatever happens, it ends once: with the last item, with an error, with the
/// deadline, or when it is dropped. What the endpoint made is dropped at that moment.
pub(super) struct Streamed {
    /// What the endpoint still has to say; nothing once that is over.
    items: Option<Expiring<Items>>,
    /// The first item, which the head has waited for.
    first: Option<Bytes>,
    error: Option<EncodeError>,
    idle: Option<Idle>,
    deadline: Option<(Deadline, Pin<Box<Sleep>>)>,
    riding: Option<Riding>,
}

type Items = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

fn poll_next(items: &Expiring<Items>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
    items.look(|items| match items {
        Some(items) => items.as_mut().poll_next(cx),
        None => Poll::Ready(Some(Err(passed()))),
    })
}

/// What keeps the connection alive.
struct Idle {
    bytes: Bytes,
    every: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Streamed {
    /// The items in their form, and the headers of that form.
    pub(super) fn new<T>(items: Streaming<T>, form: Form<T>, keep_alive: Duration) -> (Self, HeaderMap)
    where
        T: 'static,
    {
        let Form { headers, encode, error, idle } = form;
        let idle = idle.map(|bytes| Idle { bytes, every: keep_alive, timer: asleep(keep_alive) });
        let items: Items = Box::pin(Encoded::new(items, encode));
        let items = Some(Expiring::new(items));
        (Self { items, first: None, error, idle, deadline: None, riding: None }, headers)
    }

    /// Waits for the first item, so that an error in its place becomes an answer of its own.
    ///
    /// # Errors
    /// What came in place of the first item.
    pub(super) async fn wait_for_first(&mut self) -> Result<(), Error> {
        let Some(items) = &mut self.items else { return Ok(()) };
        match std::future::poll_fn(|cx| poll_next(items, cx)).await.transpose()? {
            None => self.items = None,
            first => self.first = first,
        }
        Ok(())
    }

    /// What is to be known at the end.
    pub(super) fn ride(&mut self, deadline: Option<Deadline>, riding: Riding) {
        if let (Some(deadline), Some(items)) = (deadline, &mut self.items) {
            items.end_at(deadline);
            self.deadline = Some((deadline, asleep(deadline.left(now()))));
        }
        self.riding = Some(riding);
    }

    pub(super) const fn is_over(&self) -> bool {
        self.items.is_none() && self.first.is_none()
    }

    pub(super) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if let Some(first) = self.first.take() {
            return self.send(first);
        }
        let Some(items) = &mut self.items else {
            self.end(None);
            return Poll::Ready(None);
        };
        // Asked before the items, or a stream that never waits would go on.
        if let Some((deadline, _)) = &self.deadline {
            if deadline.has_passed(now()) {
                return self.fail(passed());
            }
        }
        match caught(|| poll_next(items, cx)) {
            Err(panic) => self.fail(panic),
            Ok(Poll::Ready(Some(Err(error)))) => self.fail(error),
            Ok(Poll::Ready(Some(Ok(bytes)))) => {
                if let Some(idle) = &mut self.idle {
                    idle.timer.as_mut().reset(later(idle.every));
                }
                self.send(bytes)
            }
            Ok(Poll::Ready(None)) => {
                self.close();
                self.end(None);
                Poll::Ready(None)
            }
            Ok(Poll::Pending) => self.poll_timers(cx),
        }
    }

    fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if let Some((_, timer)) = &mut self.deadline {
            if timer.as_mut().poll(cx).is_ready() {
                return self.fail(passed());
            }
        }
        let Some(idle) = &mut self.idle else { return Poll::Pending };
        if idle.timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        idle.timer.as_mut().reset(later(idle.every));
        let bytes = idle.bytes.clone();
        self.send(bytes)
    }

    fn send(&mut self, bytes: Bytes) -> Poll<Option<Result<Bytes, Error>>> {
        if let Some(riding) = &mut self.riding {
            riding.bytes += bytes.len();
        }
        Poll::Ready(Some(Ok(bytes)))
    }

    /// The error as the last frame, or as the end of the transfer where the form has no place for it.
    fn fail(&mut self, error: Error) -> Poll<Option<Result<Bytes, Error>>> {
        self.close();
        if let Some(riding) = &self.riding {
            riding.failed(&error);
        }
        let written = self.error.as_ref().and_then(|write| caught(|| write(&error)).ok());
        if let (Some(written), Some(riding)) = (&written, &mut self.riding) {
            riding.bytes += written.len();
        }
        self.end(Some(&error));
        Poll::Ready(Some(written.ok_or(error)))
    }

    /// Drops what the endpoint made, which may panic.
    fn close(&mut self) {
        let items = self.items.take();
        // It has been told by the panic hook; what the endpoint had to say is said.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(items)));
    }

    fn end(&mut self, error: Option<&Error>) {
        if let Some(riding) = self.riding.take() {
            riding.end(error);
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        let over = self.is_over();
        self.close();
        // All was sent, and nobody is bound to ask once more. Else the caller left.
        if over {
            self.end(None);
        }
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed").field("over", &self.is_over()).finish_non_exhaustive()
    }
}
