//! An endpoint with a fallback: whether that is asked.

use std::fmt;
use std::future::Future;

use kit_base::{Classify, Endpoint, Event, Observer, Standard, Verdict};

use super::falling::{Falling, Step};
use super::{Alternative, Fallback, Substitute};

/// An endpoint with a fallback; see [`Fallback`].
pub struct WithFallback<E, A, C = Standard, O = ()> {
    inner: E,
    fallback: Fallback<A, C, O>,
}

impl<E, A, C, O> WithFallback<E, A, C, O> {
    pub(crate) const fn new(inner: E, fallback: Fallback<A, C, O>) -> Self {
        Self { inner, fallback }
    }
}

impl<E: Clone, A, C, O> Clone for WithFallback<E, A, C, O> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), fallback: self.fallback.clone() }
    }
}

impl<E: fmt::Debug, A, C, O> fmt::Debug for WithFallback<E, A, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithFallback").field("inner", &self.inner).field("fallback", &self.fallback).finish()
    }
}

impl<Req, E, A, C, O> Endpoint<Req> for WithFallback<E, A, C, O>
where
    Req: Substitute<E::Response, A::Answer> + Send,
    E: Endpoint<Req>,
    A: Alternative<Req, E::Response, E::Error>,
    C: Classify<Req, E::Response, E::Error>,
    O: Observer,
{
    type Response = Req::Either;
    type Error = E::Error;

    fn call(&self, req: Req) -> impl Future<Output = Result<Req::Either, E::Error>> + Send {
        let Fallback { alternative, classify, name, observer } = &self.fallback;
        // What is inside admits the call when it is made, and so it does here.
        let kept = alternative.keep(&req);
        let call = self.inner.call(req);
        let judge = move |outcome| match classify.judge(&outcome).verdict {
            Verdict::Success | Verdict::Caller => Step::Passes(outcome.map(Req::answer)),
            Verdict::Transient | Verdict::Overloaded | Verdict::Expired | Verdict::Fault => Step::Asks(async move {
                let outcome = alternative.answer(kept, outcome).await;
                let what = if outcome.is_ok() { "answered" } else { "failed" };
                observer.observe(&Event::new("fallback", what, name));
                outcome.map(Req::substitute)
            }),
        };
        Falling::Calls { call, judge: Some(judge) }
    }
}
