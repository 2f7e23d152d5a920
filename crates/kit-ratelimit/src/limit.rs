//! One limit for all calls.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use kit_base::{End, Error, Event, Gate, Kind, Now, Observer, Origin};

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
///
/// ```
/// use kit_base::{Endpoint, Error, Kind, Request};
/// use kit_ratelimit::{Guard, Layer, Quota, RateLimit, nonzero};
/// # struct Echo;
/// # impl Endpoint<Request<u32>> for Echo {
/// #     type Response = u32;
/// #     type Error = Error;
/// #     async fn call(&self, request: Request<u32>) -> Result<u32, Error> { Ok(request.into_message()) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
///
/// let guard = Guard::new(RateLimit::new(Quota::per_hour(nonzero!(2))).named("reports"));
/// let (one, other) = (guard.layer(Echo), guard.clone().layer(Echo));
///
/// assert_eq!(one.call(Request::new(1)).await.unwrap(), 1);
/// assert_eq!(other.call(Request::new(2)).await.unwrap(), 2);
/// assert_eq!(one.call(Request::new(3)).await.unwrap_err().kind(), Kind::ResourceExhausted);
/// assert_eq!(guard.gate().standing_at(std::time::Instant::now()).remaining, 0);
/// # }
/// ```
///
/// The builder words (`named`, `costing`, ...) come before the guard; [`change_at`](Self::change_at) and
/// [`standing_at`](Self::standing_at) are reached through [`Guard::gate`](kit_base::Guard::gate).
///
/// *Cost:* a bucket is one atomic word. A call that passes takes no lock and allocates nothing.
///
/// *A call that is let in costs its tokens*, however it ends: a failure, a caller who leaves, a stream of many messages. One
/// exception: a gate further in *in the same tuple* has no room for it (an open circuit, another limit). Then
/// they come back, unless others have taken tokens in between. What refuses a call for what is in it (wrong credentials) does
/// not give them back, and neither does a layer further in (a full bulkhead), nor a method that was refused by a client of its own: it has run.
/// (The gates of a tuple share one reading of the clock, and by that they are known. So on a clock that stands, or goes in coarse
/// steps, what is further in gives tokens back too, if it refuses in the same step.)
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
    #[doc(alias = "NewLimiter")]
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

    /// The same, letting everything through, and telling what it would refuse. What passes in spite of an empty bucket takes
    /// nothing from it, so what is told is what a limit would have refused.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    /// use kit_base::{Endpoint, Error, Event, Request};
    /// use kit_ratelimit::{Guard, Layer, Quota, RateLimit, nonzero};
    /// # struct Echo;
    /// # impl Endpoint<Request<u32>> for Echo {
    /// #     type Response = u32;
    /// #     type Error = Error;
    /// #     async fn call(&self, request: Request<u32>) -> Result<u32, Error> { Ok(request.into_message()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    ///
    /// static WOULD_REFUSE: AtomicU32 = AtomicU32::new(0);
    /// let limit = RateLimit::new(Quota::per_hour(nonzero!(2))).observe_only().observed_by(|event: &Event<'_>| {
    ///     if event.what == "would_refuse" {
    ///         WOULD_REFUSE.fetch_add(1, Relaxed);
    ///     }
    /// });
    /// let endpoint = Guard::new(limit).layer(Echo);
    /// for n in 0..5 {
    ///     assert_eq!(endpoint.call(Request::new(n)).await.unwrap(), n);
    /// }
    /// assert_eq!(WOULD_REFUSE.load(Relaxed), 3);
    /// # }
    /// ```
    #[must_use]
    pub fn observe_only(mut self) -> Self {
        self.about.observe_only = true;
        self
    }

    /// The same, putting the `RateLimit` headers on answers too, and not on refusals only. For servers; and for a limit that
    /// clients do not share, or each of them sees how much the others call. [Name](Self::named) it where there are several.
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
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use kit_ratelimit::{Quota, RateLimit, nonzero};
    ///
    /// let (limit, now) = (RateLimit::new(Quota::per_second(nonzero!(5))), Instant::now());
    /// limit.change_at(Quota::per_second(nonzero!(50)), now);
    /// assert_eq!(limit.standing_at(now).remaining, 5);
    /// assert_eq!(limit.standing_at(now + Duration::from_millis(100)).remaining, 10);
    /// limit.change_at(Quota::per_second(nonzero!(2)), now);
    /// assert_eq!(limit.standing_at(now).remaining, 2);
    /// ```
    #[doc(alias = "SetLimitAt")]
    #[doc(alias = "SetBurstAt")]
    pub fn change_at(&self, quota: Quota, now: Instant) {
        self.bucket.change(quota, now);
    }

    /// How the bucket stands. `now` is the present by the clock of the guard.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use kit_ratelimit::{Quota, RateLimit, nonzero};
    ///
    /// let limit = RateLimit::new(Quota::per_second(nonzero!(5)).with_burst(nonzero!(20)));
    /// let standing = limit.standing_at(Instant::now());
    /// assert_eq!((standing.limit.get(), standing.window), (20, Duration::from_secs(4)));
    /// assert_eq!((standing.remaining, standing.reset), (20, Duration::ZERO));
    /// ```
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
            self.bucket.give_back(permit.0, end.now.get());
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

/// Whether a call may not have been made, since a breaker, a bulkhead or another limit inside had no room for it. What refuses a
/// call for what is in it (wrong credentials) does not count: guessing is what a limit is there for.
///
/// It looks the same when a method has run, and a client that it uses was refused: so what was taken is given back only if the
/// refusal was at the same reading of the clock, which all gates of a tuple share. Only by a clock that stands, or is coarse, may
/// a method have the same; then it may be run more often, but no more calls than the quota has are made without a refusal inside.
#[inline]
pub(crate) fn is_not_made(end: &End<'_>) -> bool {
    let judgement = end.judgement;
    judgement.origin == Origin::LocalRefusal
        && matches!(judgement.kind, Some(Kind::Unavailable | Kind::ResourceExhausted))
}

impl<C, O> fmt::Debug for RateLimit<C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("name", &self.name()).field("quota", &self.quota()).finish_non_exhaustive()
    }
}
