//! A stream that goes between tonic and kit: it ends with its first error, and by the deadline.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use kit_base::{Deadline, Error, caught};

use crate::expiring::{Expire, Expiring};
use crate::within::{now, passed};

/// The items of a stream until its end, its first error, or the deadline; what made them is dropped at that moment, also where
/// nobody asks for more.
pub(crate) struct Until<S, E, O> {
    going: Option<Expiring<Going<S, E, O>>>,
    deadline: Option<Deadline>,
}

/// A stream that is not over.
struct Going<S, E, O> {
    items: Pin<Box<S>>,
    theirs: fn(E) -> O,
    ours: fn(Error) -> O,
}

impl<S, E, O> Until<S, E, O>
where
    S: Send + 'static,
    E: 'static,
    O: Send + 'static,
{
    /// With what becomes of an error of the stream, and of one that is ours: the deadline, or a panic.
    pub(crate) fn new(items: S, deadline: Option<Deadline>, theirs: fn(E) -> O, ours: fn(Error) -> O) -> Self {
        let mut going = Expiring::new(Going { items: Box::pin(items), theirs, ours });
        if let Some(deadline) = deadline {
            going.end_at(deadline);
        }
        Self { going: Some(going), deadline }
    }
}

impl<S, T, E, O> Going<S, E, O>
where
    S: Stream<Item = Result<T, E>>,
{
    fn poll_next(&mut self, deadline: Option<Deadline>, cx: &mut Context<'_>) -> Poll<Option<Result<T, O>>> {
        // Asked before the items, or a stream that never waits would go on.
        if deadline.is_some_and(|deadline| deadline.has_passed(now())) {
            return Poll::Ready(Some(Err((self.ours)(passed()))));
        }
        match caught(|| self.items.as_mut().poll_next(cx)) {
            Ok(polled) => polled.map(|item| item.map(|item| item.map_err(self.theirs))),
            Err(panic) => Poll::Ready(Some(Err((self.ours)(panic)))),
        }
    }
}

impl<S, E, O> Going<S, E, O> {
    /// What is dropped may panic, and has nothing more to say.
    fn close(self) -> fn(Error) -> O {
        let _ = caught(|| drop(self.items));
        self.ours
    }
}

impl<S, E, O> Expire for Going<S, E, O> {
    type End = O;

    fn expire(self) -> O {
        self.close()(passed())
    }
}

impl<S, T, E, O> Stream for Until<S, E, O>
where
    S: Stream<Item = Result<T, E>>,
{
    type Item = Result<T, O>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let deadline = self.deadline;
        let Some(going) = &self.going else { return Poll::Ready(None) };
        let polled = going.poll(cx, |held, cx| {
            let Some(going) = held else { return Poll::Pending };
            let item = ready!(going.poll_next(deadline, cx));
            if !matches!(item, Some(Ok(_))) {
                held.take().map(Going::close);
            }
            Poll::Ready(item)
        });
        let item = ready!(polled).unwrap_or_else(|end| Some(Err(end)));
        if !matches!(item, Some(Ok(_))) {
            self.going = None;
        }
        Poll::Ready(item)
    }
}

impl<S, E, O> Drop for Until<S, E, O> {
    fn drop(&mut self) {
        if let Some(going) = self.going.as_ref().and_then(Expiring::take) {
            going.close();
        }
    }
}
