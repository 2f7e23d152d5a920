//! An endpoint whose calls end by their deadline, and the future that sees to it.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use kit_base::{Deadline, Endpoint, Error, Origin, Request};
use pin_project_lite::pin_project;
use tokio::time::Sleep;

use crate::DeadlineLayer;

/// An endpoint whose calls end by their deadline; see [`DeadlineLayer`].
#[derive(Clone, Debug)]
pub struct Deadlined<E> {
    inner: E,
    settings: DeadlineLayer,
}

impl<E> Deadlined<E> {
    pub(crate) const fn new(inner: E, settings: DeadlineLayer) -> Self {
        Self { inner, settings }
    }

    /// The endpoint inside.
    #[must_use]
    pub const fn get_ref(&self) -> &E {
        &self.inner
    }
}

impl<T, S, E> Endpoint<Request<T, S>> for Deadlined<E>
where
    E: Endpoint<Request<T, S>, Error: From<Error>>,
{
    type Response = E::Response;
    type Error = E::Error;

    fn call(&self, mut req: Request<T, S>) -> impl Future<Output = Result<E::Response, E::Error>> + Send {
        let callers = req.context().deadline();
        if callers.is_none() && self.settings.sets_none() {
            return DeadlinedFuture { state: State::Unlimited { inner: self.inner.call(req) } };
        }
        let now = tokio::time::Instant::now().into_std();
        let state = match self.settings.deadline(callers, now) {
            None => State::Unlimited { inner: self.inner.call(req) },
            Some(deadline) if deadline.has_passed(now) => State::Over { refused: true },
            Some(deadline) => {
                let context = mem::take(req.context_mut()).with_deadline(deadline);
                *req.context_mut() = context;
                State::Limited { inner: self.inner.call(req), deadline, start: now, timer: None }
            }
        };
        DeadlinedFuture { state }
    }
}

pin_project! {
    /// The future of a call with a deadline.
    #[derive(Debug)]
    struct DeadlinedFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = Projection]
    #[derive(Debug)]
    enum State<F> {
        Unlimited { #[pin] inner: F },
        // The timer is armed at the first `Pending`: an answer at once costs none.
        Limited { #[pin] inner: F, deadline: Deadline, start: Instant, #[pin] timer: Option<Sleep> },
        Over { refused: bool },
    }
}

impl<F, Res, Err> Future for DeadlinedFuture<F>
where
    F: Future<Output = Result<Res, Err>>,
    Err: From<Error>,
{
    type Output = Result<Res, Err>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        match state.as_mut().project() {
            Projection::Unlimited { inner } => inner.poll(cx),
            Projection::Limited { inner, deadline, start, mut timer } => {
                if let Poll::Ready(outcome) = inner.poll(cx) {
                    return Poll::Ready(outcome);
                }
                if timer.is_none() {
                    timer.set(Some(tokio::time::sleep_until(deadline.instant().into())));
                }
                match timer.as_mut().as_pin_mut().map(|timer| timer.poll(cx)) {
                    Some(Poll::Pending) | None => Poll::Pending,
                    Some(Poll::Ready(())) => {
                        let given = deadline.left(*start);
                        // Dropped here and now, not when somebody drops this future.
                        state.set(State::Over { refused: false });
                        let error = Error::deadline_exceeded(format!("no answer within {given:?}"));
                        Poll::Ready(Err(error.into()))
                    }
                }
            }
            Projection::Over { refused: true } => {
                let error = Error::deadline_exceeded("the deadline has passed before the call");
                Poll::Ready(Err(error.with_origin(Origin::NotSent).into()))
            }
            Projection::Over { refused: false } => Poll::Pending,
        }
    }
}
