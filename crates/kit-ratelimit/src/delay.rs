//! A limit that lets calls wait their turn.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit_base::{Deadline, Endpoint, Error, Observer, Origin, RequestParts};
use tower_layer::Layer;

use crate::cost::{Cost, One};
use crate::gcra::Short;
use crate::limit::About;
use crate::limited::Limited;
use crate::line::{Entry, LATE, Line, Refused, now};
use crate::passage::{Passage, Turn};
use crate::{Quota, Standing};

/// So long a call waits at most, unless set otherwise.
const AT_MOST: Duration = Duration::from_secs(10);

/// A limit that lets calls wait their turn: a layer over endpoints, and over tower services in [`Tower`](kit_base::Tower).
///
/// ```
/// use std::time::Duration;
/// use kit_base::{Endpoint, Error, Kind, Request};
/// use kit_ratelimit::{Delay, Layer, Quota, nonzero};
/// use tokio::time::Instant;
///
/// # struct Crawl;
/// # impl Endpoint<Request<&'static str>> for Crawl {
/// #     type Response = usize;
/// #     type Error = Error;
/// #     async fn call(&self, request: Request<&'static str>) -> Result<usize, Error> { Ok(request.message().len()) }
/// # }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// // 10 a second, one after the other; nobody waits longer than a quarter of a second.
/// let delay = Delay::new(Quota::per_second(nonzero!(10)).with_burst(nonzero!(1))).at_most(Duration::from_millis(250));
/// let crawl = delay.layer(Crawl);
///
/// let began = Instant::now();
/// let get = |page| crawl.call(Request::new(page));
/// let (first, second, third, fourth) = tokio::join!(get("/"), get("/a"), get("/b"), get("/c"));
/// assert_eq!((first.unwrap(), second.unwrap(), third.unwrap()), (1, 2, 2));
/// assert_eq!(began.elapsed(), Duration::from_millis(200));
///
/// // The fourth would have had to wait for 300 ms: it was refused at once, and is told to come back in 50.
/// let refusal = fourth.unwrap_err();
/// assert_eq!((refusal.kind(), refusal.retry_after()), (Kind::ResourceExhausted, Some(Duration::from_millis(50))));
/// # }
/// ```
///
/// *State* is in the layer: its clones, and all that it is put over, share one bucket and one line.
///
/// *Fair.* Who comes first goes first, whatever it costs; nobody overtakes who waits. A call comes when it is first polled, and
/// leaves when it is dropped: those behind it move up then, and no tokens are lost. So drop a call that you do not poll any
/// more: while it is the first, all the others wait for it, until its own time is over and somebody else comes or gives up.
///
/// *What is refused, and when.* The line is known, and so is how long it will take: a call that would wait longer than
/// [`at_most`](Self::at_most) is refused at once, with `ResourceExhausted`, and with the time after which it would find a line that
/// is short enough. One whose deadline is sooner than that, and would pass in the line, is `DeadlineExceeded` at once. The inner
/// endpoint is never called at the deadline or later. When the quota changes, those that could not wait so long, and those whose cost
/// no longer fits the burst, are refused there and then. A call that costs more than the burst is never made.
///
/// *Bounds.* At most `(at_most + 10 ms) · rate + burst` calls wait, some 350 bytes and a timer each. Those that leave early cost nothing.
///
/// *Time* is tokio's, and only a call that waits needs its timer, and allocates. Timers wake up to a millisecond late, and a busy
/// runtime later: 10 ms of that are made up for, so that 10,000 a second are that many. In any time `t` there pass at most
/// `burst + rate · (t + 10 ms)`.
///
/// *Tokens are spent* once a call has gone in, whatever becomes of it. So a breaker goes around a delay and not inside of it: then it
/// refuses before the call has waited.
///
/// *Events:* `delayed` (the amount: for how many seconds it will wait, as things are), `refused`, `expired`.
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
    /// The same where no call waits longer than this; one that would have to is refused at once. 10 seconds unless set. With
    /// zero nobody waits, and with [`Duration::MAX`] everybody does, so that only deadlines bound the line.
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

    fn call(&self, req: Req) -> impl Future<Output = Result<E::Response, E::Error>> + Send {
        Passage::new(req, |req: &Req| self.delay.shared.enter(req), |req| self.inner.call(req))
    }
}

impl<C, O: Observer> Shared<C, O> {
    /// Takes the tokens, or gives what is to be waited for before they are there.
    #[inline]
    fn enter<Req: RequestParts>(&self, req: &Req) -> Result<Option<Turn<'_>>, Error>
    where
        C: Cost<Req>,
        O: 'static,
    {
        let (cost, now) = (self.cost.cost_of(req), now());
        let deadline = req.deadline(now);
        if deadline.is_some_and(|deadline| deadline.has_passed(now)) {
            return Err(self.expired("the deadline has passed before the call"));
        }
        if cost == 0 {
            return Ok(None);
        }
        // At the deadline itself it has passed.
        let left = deadline.map(|deadline| deadline.left(now).saturating_sub(Duration::from_nanos(1)));
        // What makes it longer than is known now: this task gets to run late, or the quota changes.
        let longest = self.at_most.saturating_add(LATE);
        let last = Deadline::after(now, left.map_or(longest, |left| left.min(longest))).instant();
        let within = left.map_or(self.at_most, |left| left.min(self.at_most));
        match self.line.enter(now, cost, within, last) {
            Entry::Taken => Ok(None),
            Entry::Waits(waiter, wait) => {
                self.about.tell("delayed", wait.as_secs_f64());
                let by_deadline = left.is_some_and(|left| left <= longest);
                let turn =
                    async move { waiter.turn().await.map_err(|refused| self.refuse(refused, cost, by_deadline)) };
                Ok(Some(Box::pin(turn)))
            }
            // The limit that is tighter is the one that speaks.
            Entry::Refused(refused) => Err(self.refuse(refused, cost, left.is_some_and(|left| left < self.at_most))),
        }
    }

    #[cold]
    fn refuse(&self, refused: Refused, cost: u32, by_deadline: bool) -> Error {
        let (standing, short) = match refused {
            Refused::TooLong(..) if by_deadline => {
                return self.expired("the deadline would pass before it is the call's turn");
            }
            // It may come back when that is no longer than calls may wait.
            Refused::TooLong(wait, standing) => (standing, Short::after(wait.saturating_sub(self.at_most))),
            Refused::Never(standing) => (standing, Short::Ever),
        };
        self.about.tell("refused", 1.0);
        Limited::error(&self.about.name, cost, standing, short).with_origin(Origin::LocalRefusal)
    }

    #[cold]
    fn expired(&self, message: &'static str) -> Error {
        self.about.tell("expired", 1.0);
        Error::deadline_exceeded(message).with_origin(Origin::NotSent)
    }
}
