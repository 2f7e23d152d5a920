//! An endpoint behind a bulkhead: how a call gets its place, and gives it back.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use kit_base::{
    Call, Classify, Deadline, End, Endpoint, Error, Event, Gate, Guarded, Judgement, Now, Observer, Origin,
    RequestParts,
};
use tokio::time::timeout_at;

use super::Bulkhead;
use super::entered::{Entered, Turn};
use super::room::{Entry, Place, Room, Waiter};

/// An endpoint behind a bulkhead; see [`Bulkhead`].
pub struct Bulkheaded<E, O = ()> {
    bulkhead: Bulkhead<O>,
    inner: Guarded<E, Door, Unjudged>,
}

impl<E, O> Bulkheaded<E, O> {
    pub(crate) const fn new(bulkhead: Bulkhead<O>, inner: Guarded<E, Door, Unjudged>) -> Self {
        Self { bulkhead, inner }
    }
}

impl<E: Clone, O> Clone for Bulkheaded<E, O> {
    fn clone(&self) -> Self {
        Self { bulkhead: self.bulkhead.clone(), inner: self.inner.clone() }
    }
}

impl<E, O> fmt::Debug for Bulkheaded<E, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkheaded").field("bulkhead", &self.bulkhead).finish_non_exhaustive()
    }
}

impl<Req, E, O> Endpoint<Req> for Bulkheaded<E, O>
where
    E: Endpoint<Req, Response: 'static, Error: From<Error> + 'static>,
    Req: Call<E::Response> + RequestParts + 'static,
    O: Observer + 'static,
{
    type Response = <Guarded<E, Door, Unjudged> as Endpoint<Req>>::Response;
    type Error = E::Error;

    fn call(&self, req: Req) -> impl Future<Output = Result<Self::Response, E::Error>> + Send {
        match self.bulkhead.enter(&req) {
            // The place is taken, and from here on the guard gives it back.
            Ok(None) => Entered::Inside { inner: self.inner.call(req) },
            Ok(Some(turn)) => Entered::Waits {
                turn,
                go_in: Some(move |place: Place| {
                    place.take();
                    self.inner.call(req)
                }),
            },
            Err(error) => Entered::Refused { error: Some(error) },
        }
    }
}

impl<O: Observer> Bulkhead<O> {
    fn tell(&self, what: &'static str) {
        self.settings.observer.observe(&Event::new("bulkhead", what, &self.settings.name));
    }

    /// Takes a place, or gives what is to be waited for before it is there.
    #[inline]
    fn enter(&self, req: &impl RequestParts) -> Result<Option<Turn<'_>>, Error> {
        let deadline = self.deadline(req)?;
        match self.room().enter(self.settings.queue) {
            Entry::Inside => Ok(None),
            Entry::Waits(waiter) => {
                self.tell("queued");
                let wait = self.settings.wait.map(|wait| Deadline::after(now(), wait));
                Ok(Some(Box::pin(self.wait_for(waiter, deadline, wait))))
            }
            Entry::Full(taken, waiting) => Err(self.full(taken, waiting)),
        }
    }

    /// The deadline of a call that is not over yet.
    fn deadline(&self, req: &impl RequestParts) -> Result<Option<Deadline>, Error> {
        if req.deadline(self.settings.any).is_none() {
            return Ok(None);
        }
        let now = now();
        match req.deadline(now) {
            Some(deadline) if deadline.has_passed(now) => Err(self.expired("the deadline has passed before the call")),
            deadline => Ok(deadline),
        }
    }

    async fn wait_for(
        &self,
        mut waiter: Waiter,
        deadline: Option<Deadline>,
        wait: Option<Deadline>,
    ) -> Result<Place, Error> {
        let place = match deadline.into_iter().chain(wait).min() {
            Some(until) => timeout_at(until.instant().into(), waiter.turn()).await.unwrap_or(None),
            None => waiter.turn().await,
        };
        let by_deadline = deadline.is_some_and(|deadline| wait.is_none_or(|wait| deadline <= wait));
        match place {
            // This task may have got to run too late.
            Some(place) if !deadline.is_some_and(|deadline| deadline.has_passed(now())) => Ok(place),
            None if !by_deadline => {
                self.tell("expired");
                let waited = self.settings.wait.unwrap_or_default();
                Err(refusal(format!("no place became free within {waited:?}")))
            }
            _ => Err(self.expired("the deadline has passed in the queue of a bulkhead")),
        }
    }

    #[cold]
    fn expired(&self, message: &'static str) -> Error {
        self.tell("expired");
        Error::deadline_exceeded(message).with_origin(Origin::NotSent)
    }

    #[cold]
    fn full(&self, taken: usize, waiting: usize) -> Error {
        self.tell("refused");
        refusal(format!("the bulkhead is full: {taken} calls run, and {waiting} wait"))
    }
}

fn refusal(message: String) -> Error {
    Error::resource_exhausted(message).with_reason("BULKHEAD_FULL").with_origin(Origin::LocalRefusal)
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The gate that holds the place of a call that has one, and gives it back.
#[derive(Debug)]
pub struct Door(Arc<Room>);

impl Door {
    pub(crate) fn new(at_most: usize) -> Self {
        Self(Room::new(at_most))
    }

    pub(crate) fn room(&self) -> &Arc<Room> {
        &self.0
    }
}

impl<Req, Res, Err> Gate<Req, Res, Err> for Door {
    type Permit = ();

    #[inline]
    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        Ok(())
    }

    #[inline]
    fn finish(&self, (): (), _: &End<'_>) {
        self.0.leave();
    }
}

/// A place is given back whatever the outcome, so nobody needs to look at it.
#[derive(Debug)]
pub struct Unjudged;

impl<Req, Res, Err> Classify<Req, Res, Err> for Unjudged {
    fn judge(&self, _: &Result<Res, Err>) -> Judgement {
        Judgement::SUCCESS
    }
}
