//! Limits and quotas that admit too many, share nothing, refuse too late, or read the wrong clock.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use kit_base::{BoxFuture, Clock, End, Endpoint, Error, Gate, Guard, Monotonic, Now, Request, Response, Tower};
use kit_testing::laws::{Fault, Inner, Law, Laws};
use tower_layer::{Layer, layer_fn};
use tower_service::Service;

use super::Version::{self, Broken, Right};
use super::{accused_of_nothing, caught, caught_by_threads, ready, told_apart};

const MOST: usize = 2;
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn twins() -> Vec<(&'static str, Laws)> {
    vec![
        ("a window that is waited for", waits_for_a_window(Right)),
        ("a gate with a limit of one", races_for_a_place(Right)),
        ("a limit by hand", limited(None)),
        ("a limit for each service", limited(Some(Bug::FreshInLayer)).state_per_service()),
        ("a limit before the call", calls_first(Right)),
        ("a window on the given clock", refuses_by_a_window(Right)),
        ("a window on the given clock, in a tower", refuses_by_a_window_in_a_tower(Right)),
    ]
}

fn full() -> Error {
    Error::resource_exhausted("all places are taken")
}

/// So many calls in each period.
struct Window {
    most: usize,
    period: Duration,
    clock: Box<dyn Clock>,
    began: Mutex<(Instant, usize)>,
}

impl Window {
    fn new(most: usize, period: Duration, clock: impl Clock + 'static) -> Self {
        let began = Mutex::new((clock.now(), 0));
        Self { most, period, clock: Box::new(clock), began }
    }

    /// Takes a place in this period, or says how long it still is.
    fn take(&self) -> Result<(), Duration> {
        let (began, taken) = &mut *self.began.lock().unwrap();
        let now = self.clock.now();
        if now - *began >= self.period {
            (*began, *taken) = (now, 0);
        }
        if *taken == self.most {
            return Err(self.period - (now - *began));
        }
        *taken += 1;
        Ok(())
    }
}

struct WaitsForAWindow<E> {
    inner: E,
    window: Arc<Window>,
    version: Version,
}

impl<Req: Send, E: Endpoint<Req>> Endpoint<Req> for WaitsForAWindow<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, req: Req) -> Result<E::Response, E::Error> {
        while let Err(left) = self.window.take() {
            tokio::time::sleep(left).await;
            // A new period has begun, but this call has no place in it.
            if self.version == Broken {
                break;
            }
        }
        self.inner.call(req).await
    }
}

fn waits_for_a_window(version: Version) -> Laws {
    Laws::endpoint(move |setup| {
        let window = Arc::new(Window::new(3, SECOND, setup.clock()));
        layer_fn(move |inner| WaitsForAWindow { inner, window: Arc::clone(&window), version })
    })
    .waiting()
    .quota(3, SECOND)
}

/// A limiter looks, waits, and then admits without taking a place (joshrotenberg/tower-resilience#394).
#[test]
fn who_has_waited_gets_in_without_a_place() {
    told_apart(Law::Bound, waits_for_a_window);
}

struct RacesForAPlace {
    running: AtomicUsize,
    version: Version,
}

impl<Req, Res, Err> Gate<Req, Res, Err> for RacesForAPlace {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        if self.version == Broken {
            let running = self.running.load(Ordering::Acquire);
            if running > 0 {
                return Err(full());
            }
            self.running.store(running + 1, Ordering::Release);
            return Ok(());
        }
        self.running.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).map(drop).map_err(|_| full())
    }

    fn finish(&self, (): (), _: &End<'_>) {
        self.running.store(0, Ordering::Release);
    }
}

fn races_for_a_place(version: Version) -> Laws {
    Laws::endpoint(move |_| Guard::new(RacesForAPlace { running: AtomicUsize::new(0), version })).refusing().at_most(1)
}

/// The same on threads: two of them see the last free place, and both take it (joshrotenberg/tower-resilience#394).
#[test]
fn two_threads_take_the_last_place() {
    caught_by_threads(Law::Bound, || races_for_a_place(Broken));
    accused_of_nothing(races_for_a_place(Right));
}

#[derive(Debug)]
struct Limit(AtomicUsize);

struct Place(Arc<Limit>);

impl Limit {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(0)))
    }

    fn take(self: &Arc<Self>) -> Option<Place> {
        let room = |running| (running < MOST).then_some(running + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).ok().map(|_| Place(Arc::clone(self)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    FreshInClone,
    FreshInLayer,
    /// Polls the inner service for its readiness before it can refuse.
    PollsReadyFirst,
    /// Waits for the inner service in the call, and refuses after that.
    WaitsFirst,
}

struct LimitLayer(Arc<Limit>, Option<Bug>);

impl<S> Layer<S> for LimitLayer {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        let limit = if self.1 == Some(Bug::FreshInLayer) { Limit::new() } else { Arc::clone(&self.0) };
        Limited { inner, limit, bug: self.1 }
    }
}

struct Limited<S> {
    inner: S,
    limit: Arc<Limit>,
    bug: Option<Bug>,
}

impl<S: Clone> Clone for Limited<S> {
    fn clone(&self) -> Self {
        let limit = if self.bug == Some(Bug::FreshInClone) { Limit::new() } else { Arc::clone(&self.limit) };
        Self { inner: self.inner.clone(), limit, bug: self.bug }
    }
}

impl Service<Request<u64>> for Limited<Inner> {
    type Response = Response<u64>;
    type Error = Fault;
    type Future = BoxFuture<Result<Response<u64>, Fault>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if self.bug == Some(Bug::PollsReadyFirst) {
            return Service::<Request<u64>>::poll_ready(&mut self.inner, cx);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<u64>) -> Self::Future {
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let (limit, bug) = (Arc::clone(&self.limit), self.bug);
        Box::pin(async move {
            if bug == Some(Bug::WaitsFirst) {
                ready(&mut inner).await?;
            }
            let _place = limit.take().ok_or_else(full)?;
            ready(&mut inner).await?;
            Service::call(&mut inner, req).await
        })
    }
}

fn limited(bug: Option<Bug>) -> Laws {
    Laws::service(move |_| LimitLayer(Limit::new(), bug)).refusing().at_most(MOST)
}

/// axum clones a service for each connection: a limit of 5 a second let 1,500 of 1,500 calls pass (tokio-rs/axum#3682).
#[test]
fn each_clone_has_a_limit_of_its_own() {
    caught(Law::Shared, || limited(Some(Bug::FreshInClone)));
    accused_of_nothing(limited(None));
}

/// axum layers a handler again for each route, so a limit made in `layer` is one for each route (tokio-rs/axum#3682).
#[test]
fn each_layering_has_a_limit_of_its_own() {
    caught(Law::Shared, || limited(Some(Bug::FreshInLayer)));
    accused_of_nothing(limited(None));
}

/// The same layer is right when it says what it does; a limit for each clone stays wrong.
#[test]
fn a_limit_for_each_service_can_be_declared() {
    accused_of_nothing(limited(Some(Bug::FreshInLayer)).state_per_service());
    caught(Law::Shared, || limited(Some(Bug::FreshInClone)).state_per_service());
}

/// A layer that is asked after the inner service's readiness hangs with a dead backend
/// (joshrotenberg/tower-resilience#386). On the tower face it is plainest to say that it is not ready at once.
#[test]
fn it_polls_the_inner_service_before_it_can_refuse() {
    caught(Law::Readiness, || limited(Some(Bug::PollsReadyFirst)));
    accused_of_nothing(limited(None));
    let report = limited(Some(Bug::PollsReadyFirst)).report();
    assert!(report.findings().iter().any(|finding| finding.law() == Law::RefusesAtOnce), "{report}");
}

/// The same in the call: it is ready at once, and then waits for a dead backend before it refuses
/// (joshrotenberg/tower-resilience#386).
#[test]
fn it_waits_for_the_inner_service_and_then_refuses() {
    caught(Law::RefusesAtOnce, || limited(Some(Bug::WaitsFirst)));
    accused_of_nothing(limited(None));
}

struct CallsFirst<E> {
    inner: E,
    limit: Arc<Limit>,
    version: Version,
}

impl<Req, E> Endpoint<Req> for CallsFirst<E>
where
    Req: Send,
    E: Endpoint<Req, Error: From<Error>>,
{
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, req: Req) -> Result<E::Response, E::Error> {
        if self.version == Broken {
            // Futures are lazy, its author believes. A tower service begins in `call`.
            let called = self.inner.call(req);
            let _place = self.limit.take().ok_or_else(full)?;
            return called.await;
        }
        let _place = self.limit.take().ok_or_else(full)?;
        self.inner.call(req).await
    }
}

fn calls_first(version: Version) -> Laws {
    Laws::endpoint(move |_| {
        let limit = Limit::new();
        layer_fn(move |inner| CallsFirst { inner, limit: Arc::clone(&limit), version })
    })
    .refusing()
    .at_most(MOST)
}

/// A call that is refused and yet runs is charged for twice, since the caller tries again (law 3 of the design).
#[test]
fn it_calls_and_then_refuses() {
    told_apart(Law::RefusedStayOut, calls_first);
}

struct RefusesByAWindow(Window);

impl<Req, Res, Err> Gate<Req, Res, Err> for RefusesByAWindow {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        self.0.take().map_err(|left| full().with_retry_after(left))
    }

    fn finish(&self, (): (), _: &End<'_>) {}
}

fn window(version: Version, setup: &kit_testing::laws::Setup) -> Guard<RefusesByAWindow> {
    Guard::new(RefusesByAWindow(match version {
        Broken => Window::new(3, SECOND, Monotonic),
        Right => Window::new(3, SECOND, setup.clock()),
    }))
}

fn refuses_by_a_window(version: Version) -> Laws {
    Laws::endpoint(move |setup| window(version, setup)).refusing().quota(3, SECOND)
}

fn refuses_by_a_window_in_a_tower(version: Version) -> Laws {
    Laws::service(move |setup| Tower::new(window(version, setup))).refusing().quota(3, SECOND)
}

/// A layer on the system's clock needs tests that sleep (law 7 of the design).
#[test]
fn a_quota_reads_the_clock_of_the_system() {
    told_apart(Law::Clock, refuses_by_a_window);
    told_apart(Law::Clock, refuses_by_a_window_in_a_tower);
}
