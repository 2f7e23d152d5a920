//! One limit for all calls.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use kit_base::{Cause, End, Error, Event, Gate, Kind, Now, Observer, Origin};

use crate::bucket::{Bucket, Look, Taken};
use crate::cost::{Cost, One};
use crate::gcra::Short;
use crate::limited::Limited;
use crate::with_headers::{Measure, WithHeaders};
use crate::{Quota, Standing};

/// A rate limit: a gate that refuses what comes too often.
///
/// *State* is in the gate, and so in the [`Guard`](kit_base::Guard) around it: all that the guard is put over, its clones, and all
/// connections and threads share one bucket.
pub struct RateLimit<C = One, O = ()> {
    bucket: Bucket,
    cost: C,
    about: About<O>,
}

/// What is the same for all kinds of limits.
#[derive(Clone)]
pub(crate) struct About<O> {
    pub(crate) name: Arc<str>,
    pub(crate) observer: O,
    pub(crate) observe_only: bool,
}

impl About<()> {
    pub(crate) fn new() -> Self {
        Self { name: Arc::from(""), observer: (), observe_only: false }
    }
}

impl<O> About<O> {
    pub(crate) fn observed_by<P>(self, observer: P) -> About<P> {
        About { name: self.name, observer, observe_only: self.observe_only }
    }
}

impl<O: Observer> About<O> {
    #[cold]
    pub(crate) fn tell(&self, what: &'static str, amount: f64) {
        let mut event = Event::new("ratelimit", what, &self.name);
        event.amount = amount;
        self.observer.observe(&event);
    }

    /// Refuses a call for which there are too few tokens, or tells that it would.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse(&self, cost: u32, short: Short, look: Look) -> Result<(), Error> {
        if self.observe_only {
            self.tell("would_refuse", 1.0);
            return Ok(());
        }
        self.tell("refused", 1.0);
        Err(Limited::error(&self.name, cost, look.standing(), short))
    }
}

impl RateLimit {
    /// A limit of this quota. Its bucket begins full.
    pub fn new(quota: Quota) -> Self {
        Self { bucket: Bucket::new(quota), cost: One, about: About::new() }
    }
}

impl<O> RateLimit<One, O> {
    /// The same, where requests cost more than one token, or none: `|request: &Request<Query>| request.message().pages`.
    #[doc(alias = "check_n")]
    #[doc(alias = "AllowN")]
    pub fn costing<Req, C: Fn(&Req) -> u32 + Send + Sync + 'static>(self, cost: C) -> RateLimit<C, O> {
        RateLimit { bucket: self.bucket, cost, about: self.about }
    }
}

impl<C, O> RateLimit<C, O> {
    /// The same with this name: the key of its events, and its name in the `RateLimit` headers, where it is `default` unless
    /// set. Characters that are not printable ASCII become `?` there.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.about.name = name.into();
        self
    }

    /// The same, telling this observer what it does.
    pub fn observed_by<P: Observer + 'static>(self, observer: P) -> RateLimit<C, P> {
        RateLimit { bucket: self.bucket, cost: self.cost, about: self.about.observed_by(observer) }
    }

    /// The same, letting everything through, and telling what it would refuse.
    #[must_use]
    pub fn observe_only(mut self) -> Self {
        self.about.observe_only = true;
        self
    }

    /// The same, putting the `RateLimit` headers on answers too, and not on refusals only.
    pub fn with_headers(self) -> WithHeaders<Self> {
        WithHeaders::new(self)
    }

    /// A new one with the same settings, and a full bucket of its own.
    #[must_use]
    pub fn fresh(&self) -> Self
    where
        C: Clone,
        O: Clone,
    {
        Self { bucket: Bucket::new(self.quota()), cost: self.cost.clone(), about: self.about.clone() }
    }

    /// The quota.
    pub fn quota(&self) -> Quota {
        self.bucket.quota()
    }

    /// The name; empty unless [named](Self::named).
    pub fn name(&self) -> &str {
        &self.about.name
    }

    /// Goes on with another quota, for all that share this limit. The tokens that are there stay, as many as fit: a full bucket
    /// is not made fuller, and an empty one stays empty. `now` is the present by the clock of the guard.
    #[doc(alias = "SetLimitAt")]
    #[doc(alias = "SetBurstAt")]
    pub fn change_at(&self, quota: Quota, now: Instant) {
        self.bucket.change(quota, now);
    }

    /// How the bucket stands. `now` is the present by the clock of the guard.
    #[doc(alias = "TokensAt")]
    pub fn standing_at(&self, now: Instant) -> Standing {
        self.bucket.look(now).standing()
    }
}

/// What is remembered of a call that a [`RateLimit`] has let in.
#[derive(Clone, Copy, Debug)]
pub struct Permit(Taken);

impl<Req, C: Cost<Req>, O: Observer + 'static> Measure<Req> for RateLimit<C, O> {
    type Permit = Permit;

    #[inline]
    fn measure(&self, request: &mut Req, now: &Now<'_>) -> Result<(Permit, Option<Look>), Error> {
        let cost = self.cost.cost_of(request);
        if cost == 0 {
            return Ok((Permit(Taken::NOTHING), None));
        }
        match self.bucket.take(now.get(), cost) {
            (Ok(taken), look) => Ok((Permit(taken), Some(look))),
            (Err(short), look) => self.about.refuse(cost, short, look).map(|()| (Permit(Taken::NOTHING), Some(look))),
        }
    }

    #[inline]
    fn settle(&self, permit: Permit, end: &End<'_>) {
        if is_not_made(end) {
            self.bucket.give_back(permit.0);
        }
    }

    fn name(&self) -> &str {
        &self.about.name
    }
}

impl<Req, Res, Err, C: Cost<Req>, O: Observer + 'static> Gate<Req, Res, Err> for RateLimit<C, O> {
    type Permit = Permit;

    #[inline]
    fn admit(&self, request: &mut Req, now: &Now<'_>) -> Result<Permit, Error> {
        self.measure(request, now).map(|(permit, _)| permit)
    }

    #[inline]
    fn finish(&self, permit: Permit, end: &End<'_>) {
        Measure::<Req>::settle(self, permit, end);
    }
}

/// Whether a call was not made, since a breaker, a bulkhead or another limit inside had no room for it. What refuses a call for
/// what is in it (wrong credentials) does not count: guessing is what a limit is there for.
#[inline]
pub(crate) fn is_not_made(end: &End<'_>) -> bool {
    let judgement = end.judgement;
    judgement.origin == Origin::LocalRefusal
        && end.cause == Cause::Answered
        && matches!(judgement.kind, Some(Kind::Unavailable | Kind::ResourceExhausted))
}

impl<C, O> fmt::Debug for RateLimit<C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("name", &self.name()).field("quota", &self.quota()).finish_non_exhaustive()
    }
}
