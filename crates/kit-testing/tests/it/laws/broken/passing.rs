//! What should pass through: answers, errors, contexts, ends, time; and what should not stay behind.

use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use kit_base::{Context, Deadline, End, Endpoint, Error, Gate, Guard, Now, PassOn, Request, Response};
use kit_testing::laws::{Ends, Fault, Inner, Law, Laws};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tower_layer::layer_fn;
use tower_service::Service;

use super::Version::{self, Broken, Right};
use super::{accused_of_nothing, caught, told_apart};

const LIMIT: Duration = Duration::from_millis(1500);

pub(super) fn twins() -> Vec<(&'static str, Laws)> {
    vec![
        ("a relay", relays(None)),
        ("a relay that keeps the error's type", boxes_errors(Right)),
        ("a relay that boxes errors, and says so", boxes_errors(Broken).wraps_errors()),
        ("a relay of http", rebuilds(None)),
        ("a hook", tells(None)),
        ("a hook outside of a limit", tells_of_refusals(Right)),
        ("a lock that may be poisoned", counts_polls(Right)),
        ("a table by load", counts_by_load(Right)),
        ("a reporter with an owner", reports(Right)),
        ("a hook that knows its service", knows_itself(Right)),
        ("a task for each call", spawns(Right)),
        ("a limit of time", gives_up(None)),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    ReplacesErrors,
    AnswersFromMemory,
    RefusesWrites,
    MakesAFreshContext,
    LosesTheOperation,
    PassesOnAsAClient,
    LosesTheDeadline,
    MovesTheDeadline,
}

struct Relays<E> {
    inner: E,
    last: Mutex<Option<u64>>,
    bug: Option<Bug>,
}

impl<E> Relays<E> {
    fn passed_on(&self, req: Request<u64>) -> Request<u64> {
        let (context, message) = req.into_parts();
        let rebuilt = || Context::received(context.inbound().clone(), context.extensions().clone());
        let with_operation = || rebuilt().with_operation(context.operation().clone());
        let passed = match self.bug {
            Some(Bug::MakesAFreshContext) => Context::new(),
            Some(Bug::LosesTheOperation) => match context.deadline() {
                Some(deadline) => rebuilt().with_deadline(deadline),
                None => rebuilt(),
            },
            // A child is for the next service. Its inbound metadata is empty, and most is not sent.
            Some(Bug::PassesOnAsAClient) => context.child(&PassOn::default()),
            Some(Bug::LosesTheDeadline) => with_operation(),
            Some(Bug::MovesTheDeadline) => {
                let hour = Duration::from_secs(3600);
                with_operation().with_deadline(Deadline::after(Instant::now().into_std(), hour))
            }
            _ => context,
        };
        Request::from_parts(passed, message)
    }
}

impl<E> Endpoint<Request<u64>> for Relays<E>
where
    E: Endpoint<Request<u64>, Response = Response<u64>, Error: From<Error>>,
{
    type Response = Response<u64>;
    type Error = E::Error;

    async fn call(&self, req: Request<u64>) -> Result<Response<u64>, E::Error> {
        if self.bug == Some(Bug::RefusesWrites) && !req.context().operation().is_idempotent() {
            return Err(Error::failed_precondition("this service is read-only now").into());
        }
        let last = *self.last.lock().unwrap();
        if let Some(answer) = last.filter(|_| self.bug == Some(Bug::AnswersFromMemory)) {
            return Ok(Response::new(answer));
        }
        match self.inner.call(self.passed_on(req)).await {
            Ok(response) => {
                *self.last.lock().unwrap() = Some(*response.message());
                Ok(response)
            }
            Err(_) if self.bug == Some(Bug::ReplacesErrors) => Err(Error::internal("the backend failed").into()),
            Err(error) => Err(error),
        }
    }
}

fn relays(bug: Option<Bug>) -> Laws {
    Laws::endpoint(move |_| layer_fn(move |inner| Relays { inner, last: Mutex::new(None), bug })).pass_through()
}

#[test]
fn a_relay_without_these_bugs() {
    accused_of_nothing(relays(None));
}

/// The error is another on the way out: nobody outside can match on it any more (tower-rs/tower#131).
#[test]
fn an_error_is_replaced() {
    caught(Law::Unchanged, || relays(Some(Bug::ReplacesErrors)));
}

/// A cache without a key gives the answer to one call to all others (law 5 of the design).
#[test]
fn a_success_is_replaced() {
    caught(Law::Unchanged, || relays(Some(Bug::AnswersFromMemory)));
}

/// What is declared to refuse nothing refuses (law 5 of the design).
#[test]
fn a_layer_that_passes_all_refuses() {
    caught(Law::Unchanged, || relays(Some(Bug::RefusesWrites)));
}

/// A publisher with a fresh context forgot its caller's deadline (go-kit/kit#869), and all else.
#[test]
fn a_request_gets_a_fresh_context() {
    caught(Law::Context, || relays(Some(Bug::MakesAFreshContext)));
}

/// The parts of go-kit/kit#869, one by one.
#[test]
fn a_part_of_the_context_is_lost() {
    for bug in [Bug::LosesTheOperation, Bug::PassesOnAsAClient, Bug::LosesTheDeadline] {
        caught(Law::Context, || relays(Some(bug)));
    }
}

/// A time-out of the service's own replaces the caller's deadline, and is later (go-kit/kit#869).
#[test]
fn a_deadline_is_moved_out() {
    caught(Law::Context, || relays(Some(Bug::MovesTheDeadline)));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    Headers,
    Extensions,
}

#[derive(Clone)]
struct Rebuilds<S>(S, Option<Lost>);

impl<B, S: Service<http::Request<B>>> Service<http::Request<B>> for Rebuilds<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, req: http::Request<B>) -> S::Future {
        let (old, body) = req.into_parts();
        let mut req = http::Request::new(body);
        (*req.method_mut(), *req.uri_mut()) = (old.method, old.uri);
        if self.1 != Some(Lost::Headers) {
            *req.headers_mut() = old.headers;
        }
        if self.1 != Some(Lost::Extensions) {
            *req.extensions_mut() = old.extensions;
        }
        self.0.call(req)
    }
}

fn rebuilds(lost: Option<Lost>) -> Laws {
    Laws::http_service::<String, _, _, _>(move |_| layer_fn(move |inner| Rebuilds(inner, lost))).pass_through()
}

/// A proxy makes a new request, and forgets a part of the old one (go-kit/kit#869, over HTTP).
#[test]
fn an_http_request_is_rebuilt_without_a_part() {
    caught(Law::Context, || rebuilds(Some(Lost::Headers)));
    caught(Law::Context, || rebuilds(Some(Lost::Extensions)));
    accused_of_nothing(rebuilds(None));
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

struct BoxesErrors<E>(E);

impl<Req: Send, E: Endpoint<Req, Error: Into<BoxError>>> Endpoint<Req> for BoxesErrors<E> {
    type Response = E::Response;
    type Error = BoxError;

    async fn call(&self, req: Req) -> Result<E::Response, BoxError> {
        self.0.call(req).await.map_err(Into::into)
    }
}

struct KeepsErrors<E>(E);

impl<Req: Send, E: Endpoint<Req>> Endpoint<Req> for KeepsErrors<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, req: Req) -> Result<E::Response, E::Error> {
        self.0.call(req).await
    }
}

fn boxes_errors(version: Version) -> Laws {
    match version {
        Broken => Laws::endpoint(|_| layer_fn(BoxesErrors)).pass_through(),
        Right => Laws::endpoint(|_| layer_fn(KeepsErrors)).pass_through(),
    }
}

/// A boxed error breaks the layers outside that match on it (tower-rs/tower#131, #794).
#[test]
fn an_error_is_boxed() {
    told_apart(Law::Unchanged, boxes_errors);
    accused_of_nothing(boxes_errors(Broken).wraps_errors());
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hook {
    TellsTwice,
    TellsOfAnswersOnly,
}

struct Tells<E> {
    inner: E,
    ends: Ends,
    bug: Option<Hook>,
}

struct TellsOnDrop<'a>(Option<&'a Ends>);

impl Drop for TellsOnDrop<'_> {
    fn drop(&mut self) {
        self.0.into_iter().for_each(Ends::add);
    }
}

impl<Req: Send, E: Endpoint<Req>> Endpoint<Req> for Tells<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, req: Req) -> Result<E::Response, E::Error> {
        let _told = TellsOnDrop(Some(&self.ends).filter(|_| self.bug != Some(Hook::TellsOfAnswersOnly)));
        let outcome = self.inner.call(req).await;
        if self.bug.is_some() {
            self.ends.add();
        }
        outcome
    }
}

fn tells(bug: Option<Hook>) -> Laws {
    Laws::endpoint(move |setup| {
        let ends = setup.ends();
        layer_fn(move |inner| Tells { inner, ends: ends.clone(), bug })
    })
    .pass_through()
    .tells_ends()
}

/// Counters that see only answers show a healthy service while all its callers give up (Law::FinishOnce).
#[test]
fn a_hook_does_not_see_who_left() {
    caught(Law::FinishOnce, || tells(Some(Hook::TellsOfAnswersOnly)));
    accused_of_nothing(tells(None));
}

/// A hook in `drop` and one after the `await`: each answer is counted twice (Law::FinishOnce).
#[test]
fn a_hook_sees_answers_twice() {
    caught(Law::FinishOnce, || tells(Some(Hook::TellsTwice)));
}

struct TellsEnds(Ends);

impl<Req, Res, Err> Gate<Req, Res, Err> for TellsEnds {
    const REFUSES: bool = false;

    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn finish(&self, (): (), _: &End<'_>) {
        self.0.add();
    }
}

struct AdmitsOne(AtomicUsize);

impl<Req, Res, Err> Gate<Req, Res, Err> for AdmitsOne {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        let taken = self.0.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire);
        taken.map(drop).map_err(|_| Error::resource_exhausted("a call is running"))
    }

    fn finish(&self, (): (), _: &End<'_>) {
        self.0.store(0, Ordering::Release);
    }
}

fn tells_of_refusals(version: Version) -> Laws {
    let limit = || AdmitsOne(AtomicUsize::new(0));
    let laws = match version {
        Broken => Laws::endpoint(move |setup| Guard::new((limit(), TellsEnds(setup.ends())))),
        Right => Laws::endpoint(move |setup| Guard::new((TellsEnds(setup.ends()), limit()))),
    };
    laws.refusing().at_most(1).tells_ends()
}

/// Metrics inside of the limit: what is refused is never counted (Law::FinishOnce).
#[test]
fn a_hook_does_not_see_refusals() {
    told_apart(Law::FinishOnce, tells_of_refusals);
}

struct CountsPolls<E> {
    inner: E,
    polls: Mutex<usize>,
    version: Version,
}

impl<Req: Send, E: Endpoint<Req>> Endpoint<Req> for CountsPolls<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, req: Req) -> Result<E::Response, E::Error> {
        let mut called = pin!(self.inner.call(req));
        poll_fn(|cx| {
            let polls = self.polls.lock();
            let mut polls = match self.version {
                Broken => polls.unwrap(),
                Right => polls.unwrap_or_else(PoisonError::into_inner),
            };
            *polls += 1;
            called.as_mut().poll(cx)
        })
        .await
    }
}

fn counts_polls(version: Version) -> Laws {
    Laws::endpoint(move |_| layer_fn(move |inner| CountsPolls { inner, polls: Mutex::new(0), version })).pass_through()
}

/// The inner service panics once, and a poisoned lock takes all later calls with it (Law::NoPanic).
#[test]
fn a_poisoned_lock_panics() {
    told_apart(Law::NoPanic, counts_polls);
}

struct CountsByLoad<E> {
    inner: E,
    running: AtomicUsize,
    by_load: [AtomicUsize; 4],
    version: Version,
}

struct OneLess<'a>(&'a AtomicUsize);

impl Drop for OneLess<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<Req: Send, E: Endpoint<Req>> Endpoint<Req> for CountsByLoad<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, req: Req) -> Result<E::Response, E::Error> {
        let load = self.running.fetch_add(1, Ordering::AcqRel);
        let _running = OneLess(&self.running);
        let row = match self.version {
            Broken => load,
            Right => load.min(self.by_load.len() - 1),
        };
        self.by_load[row].fetch_add(1, Ordering::Relaxed);
        self.inner.call(req).await
    }
}

fn counts_by_load(version: Version) -> Laws {
    Laws::endpoint(move |_| {
        layer_fn(move |inner| CountsByLoad {
            inner,
            running: AtomicUsize::new(0),
            by_load: Default::default(),
            version,
        })
    })
    .pass_through()
}

/// An index that was always small enough, until there was load (law 10 of the design).
#[test]
fn an_index_is_out_of_bounds_under_load() {
    told_apart(Law::NoPanic, counts_by_load);
}

struct Reports<E> {
    inner: E,
    calls: Arc<AtomicUsize>,
    reporter: JoinHandle<()>,
    version: Version,
}

impl<E> Reports<E> {
    fn new(inner: E, version: Version) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let reporter = tokio::spawn(async move {
            loop {
                sleep(Duration::from_secs(10)).await;
                counted.store(0, Ordering::Relaxed);
            }
        });
        Self { inner, calls, reporter, version }
    }
}

impl<E> Drop for Reports<E> {
    fn drop(&mut self) {
        if self.version == Right {
            self.reporter.abort();
        }
    }
}

impl<Req: Send, E: Endpoint<Req>> Endpoint<Req> for Reports<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, req: Req) -> Result<E::Response, E::Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.inner.call(req).await
    }
}

fn reports(version: Version) -> Laws {
    Laws::endpoint(move |_| layer_fn(move |inner| Reports::new(inner, version))).pass_through()
}

/// A watcher that nobody stops works until the program ends (go-kit/kit's Consul instancer; law 8 of the design).
#[test]
fn a_task_has_no_owner() {
    told_apart(Law::NothingLeft, reports);
}

type OnEnd = Box<dyn Fn() + Send + Sync>;

struct KnowsItself<E> {
    inner: E,
    ended: AtomicUsize,
    on_end: OnceLock<OnEnd>,
}

struct Shared<E>(Arc<KnowsItself<E>>);

impl<E: Send + Sync + 'static> Shared<E> {
    fn new(inner: E, version: Version) -> Self {
        let shared = Arc::new(KnowsItself { inner, ended: AtomicUsize::new(0), on_end: OnceLock::new() });
        let count = |shared: &KnowsItself<E>| {
            shared.ended.fetch_add(1, Ordering::Relaxed);
        };
        let on_end: OnEnd = match version {
            Broken => {
                let shared = Arc::clone(&shared);
                Box::new(move || count(&shared))
            }
            Right => {
                let shared = Arc::downgrade(&shared);
                Box::new(move || shared.upgrade().iter().for_each(|shared| count(shared)))
            }
        };
        shared.on_end.get_or_init(|| on_end);
        Self(shared)
    }
}

impl<Req: Send, E: Endpoint<Req> + 'static> Endpoint<Req> for Shared<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, req: Req) -> Result<E::Response, E::Error> {
        let outcome = self.0.inner.call(req).await;
        self.0.on_end.get().into_iter().for_each(|on_end| on_end());
        outcome
    }
}

fn knows_itself(version: Version) -> Laws {
    Laws::endpoint(move |_| layer_fn(move |inner| Shared::new(inner, version))).pass_through()
}

/// A hook owns what owns the hook, and with it a connection to the inner service (law 8 of the design).
#[test]
fn a_cycle_keeps_the_inner_service() {
    told_apart(Law::NothingLeft, knows_itself);
}

struct Spawns {
    inner: Arc<Inner>,
    version: Version,
}

struct Spawned<T>(JoinHandle<T>, Version);

impl<T> Drop for Spawned<T> {
    fn drop(&mut self) {
        if self.1 == Right {
            self.0.abort();
        }
    }
}

impl Endpoint<Request<u64>> for Spawns {
    type Response = Response<u64>;
    type Error = Fault;

    async fn call(&self, req: Request<u64>) -> Result<Response<u64>, Fault> {
        let inner = Arc::clone(&self.inner);
        let mut task = Spawned(tokio::spawn(async move { Endpoint::call(&*inner, req).await }), self.version);
        (&mut task.0).await.unwrap_or_else(|failed| resume_unwind(failed.into_panic()))
    }
}

fn spawns(version: Version) -> Laws {
    Laws::endpoint(move |_| layer_fn(move |inner| Spawns { inner: Arc::new(inner), version })).pass_through()
}

/// A handle that is dropped does not end its task: the call goes on for nobody
/// (joshrotenberg/tower-resilience#393; law 8 of the design).
#[test]
fn a_spawned_call_goes_on_for_nobody() {
    told_apart(Law::Cancelled, spawns);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    StartsAgainAtEachPoll,
    CountsWholeSeconds,
}

struct GivesUp<E> {
    inner: E,
    bug: Option<Timer>,
}

impl<Req: Send, E: Endpoint<Req, Error: From<Error>>> Endpoint<Req> for GivesUp<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, req: Req) -> Result<E::Response, E::Error> {
        let limit = match self.bug {
            Some(Timer::CountsWholeSeconds) => Duration::from_secs(LIMIT.as_secs()),
            _ => LIMIT,
        };
        let mut called = pin!(self.inner.call(req));
        let mut timer = pin!(sleep(limit));
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = called.as_mut().poll(cx) {
                return Poll::Ready(outcome);
            }
            if self.bug == Some(Timer::StartsAgainAtEachPoll) {
                timer.set(sleep(limit));
            }
            ready!(timer.as_mut().poll(cx));
            Poll::Ready(Err(Error::deadline_exceeded("it took too long").into()))
        })
        .await
    }
}

fn gives_up(bug: Option<Timer>) -> Laws {
    Laws::endpoint(move |_| layer_fn(move |inner| GivesUp { inner, bug })).pass_through().gives_up_after(LIMIT)
}

/// A timer that each poll starts again never fires (law 7 of the design).
#[test]
fn a_time_out_never_fires() {
    caught(Law::Clock, || gives_up(Some(Timer::StartsAgainAtEachPoll)));
    accused_of_nothing(gives_up(None));
}

/// A limit of 1.5 seconds is one of 1 second, where a setting is in whole seconds (law 7 of the design).
#[test]
fn a_time_out_fires_early() {
    caught(Law::Clock, || gives_up(Some(Timer::CountsWholeSeconds)));
}
