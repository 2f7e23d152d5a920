//! A stream that goes between tonic and kit: it ends with its first error, and by the deadline.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use kit_base::{Deadline, Error, caught};
use tokio::time::Sleep;

use crate::within::{asleep, now, passed};

/// The items of a stream until its end, its first error, or the deadline; what made them is dropped at that moment.
pub(crate) struct Until<S, E, O> {
    items: Option<Pin<Box<S>>>,
    timer: Option<(Deadline, Pin<Box<Sleep>>)>,
    theirs: fn(E) -> O,
    ours: fn(Error) -> O,
}

impl<S, E, O> Until<S, E, O> {
    /// With what becomes of an error of the stream, and of one that is ours: the deadline, or a panic.
    pub(crate) fn new(items: S, deadline: Option<Deadline>, theirs: fn(E) -> O, ours: fn(Error) -> O) -> Self {
        let timer = deadline.map(|deadline| (deadline, asleep(deadline)));
        Self { items: Some(Box::pin(items)), timer, theirs, ours }
    }
}

impl<S, T, E, O> Stream for Until<S, E, O>
where
    S: Stream<Item = Result<T, E>>,
{
    type Item = Result<T, O>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { items, timer, theirs, ours } = &mut *self;
        let Some(inner) = items else { return Poll::Ready(None) };
        // Asked before the items, or a stream that never waits would go on.
        let late = timer.as_ref().is_some_and(|(deadline, _)| deadline.has_passed(now()));
        let polled = if late { Ok(Poll::Pending) } else { caught(|| inner.as_mut().poll_next(cx)) };
        let item = match polled {
            Ok(Poll::Ready(item)) => item.map(|item| item.map_err(theirs)),
            Err(panic) => Some(Err(ours(panic))),
            Ok(Poll::Pending) => {
                let over = late || timer.as_mut().is_some_and(|(_, timer)| timer.as_mut().poll(cx).is_ready());
                if !over {
                    return Poll::Pending;
                }
                Some(Err(ours(passed())))
            }
        };
        if !matches!(item, Some(Ok(_))) {
            let over = items.take();
            // What is dropped may panic, and has nothing more to say.
            let _ = caught(|| drop(over));
        }
        Poll::Ready(item)
    }
}
