//! A limit that lets calls wait their turn.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit_base::{Deadline, Endpoint, Error, Observer, Origin, RequestParts};
use tower_layer::Layer;

use crate::cost::{Cost, One};
use crate::gcra::Short;
use crate::limit::About;
use crate::limited::Limited;
use crate::line::{Entry, Line, now};
use crate::{Quota, Standing};

/// So long a call waits at most, unless set otherwise.
const AT_MOST: Duration = Duration::from_secs(10);

/// A limit that lets calls wait their turn: a layer over endpoints, and over tower services in [`Tower`](kit_base::Tower).
pub struct Delay<C = One, O = ()> {
    shared: Arc<Shared<C, O>>,
}

struct Shared<C, O> {
    line: Line,
    at_most: Duration,
    cost: C,
    about: About<O>,
}

impl Delay {
    /// Lets calls through at the pace of this quota.
    pub fn new(quota: Quota) -> Self {
        Self::of(Shared { line: Line::new(quota), at_most: AT_MOST, cost: One, about: About::new() })
    }
}

impl<C, O> Delay<C, O> {
    fn of(shared: Shared<C, O>) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// The quota.
    pub fn quota(&self) -> Quota {
        self.shared.line.quota()
    }

    /// The name; empty unless [named](Self::named).
    pub fn name(&self) -> &str {
        &self.shared.about.name
    }

    /// How many calls wait.
    pub fn waiting(&self) -> usize {
        self.shared.line.waiting()
    }

    /// How the bucket stands. `now` is the present by tokio's clock.
    pub fn standing_at(&self, now: Instant) -> Standing {
        self.shared.line.standing(now)
    }

    /// Goes on with another quota, for all that share this limit, as [`RateLimit::change_at`](crate::RateLimit::change_at) does.
    /// Calls that wait go by it. `now` is the present by tokio's clock.
    pub fn change_at(&self, quota: Quota, now: Instant) {
        self.shared.line.change(quota, now);
    }
}

/// Each of these makes a limit of its own, with a full bucket: set it up first, and share it then.
impl<C: Clone, O: Clone> Delay<C, O> {
    /// The same where no call waits longer than this; one that would have to is refused at once. 10 seconds unless set.
    #[doc(alias = "maxWaitDuration")]
    #[must_use]
    pub fn at_most(&self, wait: Duration) -> Self {
        Self::of(Shared { at_most: wait, ..self.parts() })
    }

    /// The same with this name: the key of its events, and its name in the `RateLimit` headers of refusals.
    #[must_use]
    pub fn named(&self, name: impl Into<Arc<str>>) -> Self {
        let mut parts = self.parts();
        parts.about.name = name.into();
        Self::of(parts)
    }

    /// The same, telling this observer what it does.
    #[must_use]
    pub fn observed_by<P: Observer>(&self, observer: P) -> Delay<C, P> {
        let Shared { line, at_most, cost, about } = self.parts();
        Delay::of(Shared { line, at_most, cost, about: about.observed_by(observer) })
    }

    /// A new one with the same settings.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self::of(self.parts())
    }

    fn parts(&self) -> Shared<C, O> {
        let Shared { line, at_most, cost, about } = &*self.shared;
        Shared { line: Line::new(line.quota()), at_most: *at_most, cost: cost.clone(), about: about.clone() }
    }
}

impl<O: Clone> Delay<One, O> {
    /// The same, where requests cost more than one token, or none.
    #[doc(alias = "WaitN")]
    pub fn costing<Req, C: Fn(&Req) -> u32 + Send + Sync + 'static>(&self, cost: C) -> Delay<C, O> {
        let Shared { line, at_most, about, .. } = self.parts();
        Delay::of(Shared { line, at_most, cost, about })
    }
}

impl<C, O> Clone for Delay<C, O> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C, O> fmt::Debug for Delay<C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delay")
            .field("name", &self.name())
            .field("quota", &self.quota())
            .field("at_most", &self.shared.at_most)
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

impl<E, C, O> Layer<E> for Delay<C, O> {
    type Service = Delayed<E, C, O>;

    fn layer(&self, inner: E) -> Delayed<E, C, O> {
        Delayed { inner, delay: self.clone() }
    }
}

/// An endpoint whose calls wait their turn; see [`Delay`].
pub struct Delayed<E, C = One, O = ()> {
    inner: E,
    delay: Delay<C, O>,
}

impl<E: Clone, C, O> Clone for Delayed<E, C, O> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), delay: self.delay.clone() }
    }
}

impl<E, C, O> fmt::Debug for Delayed<E, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delayed").field("delay", &self.delay).finish_non_exhaustive()
    }
}

impl<Req, E, C, O> Endpoint<Req> for Delayed<E, C, O>
where
    Req: RequestParts + Send + 'static,
    E: Endpoint<Req, Error: From<Error>>,
    C: Cost<Req>,
    O: Observer + 'static,
{
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, req: Req) -> Result<E::Response, E::Error> {
        let Shared { cost, .. } = &*self.delay.shared;
        let (cost, now) = (cost.cost_of(&req), now());
        let deadline = req.deadline(now);
        match self.delay.shared.turn(cost, now, deadline).await {
            Ok(()) => self.inner.call(req).await,
            // Around one instance of a balancer, another may be free.
            Err(error) if error.origin() == Origin::LocalRefusal => {
                Err(error.with_unsent(req).with_origin(Origin::LocalRefusal).into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl<C, O: Observer> Shared<C, O> {
    async fn turn(&self, cost: u32, now: Instant, deadline: Option<Deadline>) -> Result<(), Error> {
        if deadline.is_some_and(|deadline| deadline.has_passed(now)) {
            return Err(self.expired("the deadline has passed before the call"));
        }
        if cost == 0 {
            return Ok(());
        }
        match self.line.enter(now, cost, self.at_most) {
            Entry::Taken => Ok(()),
            Entry::Waits(waiter, wait) => {
                // At the deadline itself it has passed.
                if deadline.is_some_and(|deadline| deadline.left(now) <= wait) {
                    drop(waiter);
                    return Err(self.expired("the deadline would pass before it is the call's turn"));
                }
                self.about.tell("delayed", wait.as_secs_f64());
                let end = Deadline::after(now, self.at_most);
                let end = deadline.map_or(end, |deadline| deadline.min(end));
                // Only a change of the quota makes it longer than was said; and this task may get to run too late.
                let turn = Box::pin(waiter.turn(Some(end.instant()))).await;
                if deadline.is_some_and(|deadline| deadline.has_passed(crate::line::now())) {
                    return Err(self.expired("the deadline has passed before it was the call's turn"));
                }
                turn.ok_or_else(|| self.refused(cost, Duration::ZERO, self.line.standing(crate::line::now())))
            }
            Entry::TooLong(wait, standing) => Err(self.refused(cost, wait, standing)),
            Entry::Never(standing) => {
                self.about.tell("refused", 1.0);
                Err(Limited::error(&self.about.name, cost, standing, Short::Ever).with_origin(Origin::LocalRefusal))
            }
        }
    }

    /// A call that would have to wait so long. It may come back when that is no longer than calls may wait.
    #[cold]
    fn refused(&self, cost: u32, wait: Duration, standing: Standing) -> Error {
        self.about.tell("refused", 1.0);
        let after = Short::after(wait.saturating_sub(self.at_most));
        Limited::error(&self.about.name, cost, standing, after).with_origin(Origin::LocalRefusal)
    }

    #[cold]
    fn expired(&self, message: &'static str) -> Error {
        self.about.tell("expired", 1.0);
        Error::deadline_exceeded(message).with_origin(Origin::NotSent)
    }
}
