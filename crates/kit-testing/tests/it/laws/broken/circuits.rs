//! Circuit breakers as careless authors write them, and the same breakers put right.

use std::convert::Infallible;
use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::{Duration, Instant};

use kit_base::{
    BoxFuture, Cause, Clock, End, Endpoint, Error, Gate, Guard, Judgement, Kind, Monotonic, Now, Request, Response,
    ServiceError, Standard, Tower,
};
use kit_testing::laws::{Breaker, Fault, Inner, InnerBody, Law, Laws, LawsClock, Setup};
use tower_layer::Layer;
use tower_service::Service;

use super::{accused_of_nothing, caught, caught_by_threads};

const ONE: Breaker = Breaker { failures: 3, open_for: Duration::from_secs(10), probes: 1 };
const THREE: Breaker = Breaker { probes: 3, ..ONE };

/// The one thing that is wrong with a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    Nothing,
    NeverOpens,
    NeverOpensAgain,
    CountsFinishedProbes,
    LooksBeforeItTakes,
    ForgetsWhoLeft,
    ForgetsWhoPanicked,
    HearsOldResults,
    FreesForeignPlaces,
    LosesReservations,
    AsksInsideFirst,
    AsksInsideThenTheCircuit,
    HasACircuitForEachClone,
}

/// The circuit, for breakers of every form.
#[derive(Debug)]
struct Circuit {
    breaker: Breaker,
    bug: Bug,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Counts the changes of phase. Who got in under another phase has nothing to say.
    generation: u64,
}

#[derive(Debug)]
enum Phase {
    Closed { failures: usize },
    Open { since: Instant },
    HalfOpen { probes: usize },
}

impl State {
    fn turn(&mut self, phase: Phase) {
        *self = Self { phase, generation: self.generation + 1 };
    }
}

impl Circuit {
    fn new(breaker: Breaker, bug: Bug) -> Self {
        Self { breaker, bug, state: Mutex::new(State { phase: Phase::Closed { failures: 0 }, generation: 0 }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call in, and gives the generation that it belongs to.
    fn enter(&self, now: Instant) -> Result<u64, Error> {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open { since } if now >= since + self.breaker.open_for) {
            state.turn(Phase::HalfOpen { probes: 0 });
        }
        let room = match state.phase {
            Phase::Closed { .. } => true,
            Phase::Open { .. } => false,
            Phase::HalfOpen { probes } => probes < self.breaker.probes,
        };
        if !room {
            return Err(Error::unavailable("the circuit is open"));
        }
        if self.bug == Bug::LooksBeforeItTakes {
            // The lock goes while somebody is told, so that he may ask the circuit too.
            drop(state);
            thread::yield_now();
            state = self.lock();
        }
        // To count them when they are finished is to count none: the first one to finish ends half-open.
        if let (Phase::HalfOpen { probes }, true) = (&mut state.phase, self.bug != Bug::CountsFinishedProbes) {
            *probes += 1;
        }
        Ok(state.generation)
    }

    /// Some of the bugs free more than was taken.
    fn free(probes: &mut usize) {
        *probes = probes.saturating_sub(1);
    }

    /// A call is over: well, badly, or without a result.
    fn leave(&self, generation: u64, went_well: Option<bool>, now: Instant) {
        let mut state = self.lock();
        let old = generation != state.generation;
        match (&mut state.phase, went_well) {
            (Phase::HalfOpen { probes }, _) if old && self.bug == Bug::FreesForeignPlaces => Self::free(probes),
            _ if old && self.bug != Bug::HearsOldResults => {}
            (Phase::HalfOpen { .. }, None) if self.bug == Bug::ForgetsWhoLeft => {}
            (Phase::HalfOpen { probes }, Some(false)) if self.bug == Bug::NeverOpensAgain => Self::free(probes),
            (Phase::HalfOpen { probes }, None) => Self::free(probes),
            (Phase::HalfOpen { .. }, Some(true)) => state.turn(Phase::Closed { failures: 0 }),
            (Phase::HalfOpen { .. }, Some(false)) => state.turn(Phase::Open { since: now }),
            (Phase::Closed { failures }, Some(true)) => *failures = 0,
            (Phase::Closed { failures }, Some(false)) => {
                *failures += 1;
                if *failures >= self.breaker.failures && self.bug != Bug::NeverOpens {
                    state.turn(Phase::Open { since: now });
                }
            }
            (Phase::Closed { .. }, None) | (Phase::Open { .. }, _) => {}
        }
    }
}

/// As a gate, which sees each end, and needs no care for it.
impl<Req, Res, Err> Gate<Req, Res, Err> for Circuit {
    type Permit = u64;

    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<u64, Error> {
        self.enter(now.get())
    }

    fn finish(&self, generation: u64, end: &End<'_>) {
        let went_well = match end.cause {
            Cause::Panicked if self.bug == Bug::ForgetsWhoPanicked => return,
            Cause::Left => None,
            Cause::Answered | Cause::Panicked => Some(!end.judgement.is_failure()),
        };
        self.leave(generation, went_well, end.now.get());
    }
}

fn gate(breaker: Breaker, bug: Bug, setup: &Setup) -> Guard<Circuit, Standard, LawsClock> {
    Guard::with(Circuit::new(breaker, bug), Standard, setup.clock())
}

fn endpoint(breaker: Breaker, bug: Bug) -> Laws {
    Laws::endpoint(move |setup| gate(breaker, bug, setup)).refusing().breaks(breaker)
}

fn stream(breaker: Breaker, bug: Bug) -> Laws {
    Laws::stream(move |setup| gate(breaker, bug, setup)).refusing().breaks(breaker)
}

fn service(breaker: Breaker, bug: Bug) -> Laws {
    Laws::service(move |setup| Tower::new(gate(breaker, bug, setup))).refusing().breaks(breaker)
}

fn http(breaker: Breaker, bug: Bug) -> Laws {
    let layer = move |setup: &Setup| Tower::new(gate(breaker, bug, setup)).answered();
    Laws::http_service::<String, _, _, _>(layer).refusing().breaks(breaker)
}

fn grpc(breaker: Breaker, bug: Bug) -> Laws {
    let layer = move |setup: &Setup| Tower::new(gate(breaker, bug, setup)).answered();
    Laws::grpc_service::<String, _, _, _>(layer).refusing().breaks(breaker)
}

/// A place in the circuit, for those who do not write gates. Dropped, it is given back without a result.
#[derive(Debug)]
struct Seat {
    circuit: Arc<Circuit>,
    clock: LawsClock,
    generation: u64,
    returns: bool,
}

impl Seat {
    fn take(circuit: &Arc<Circuit>, clock: &LawsClock) -> Result<Self, Error> {
        let generation = circuit.enter(clock.now())?;
        Ok(Self { circuit: Arc::clone(circuit), clock: clock.clone(), generation, returns: true })
    }

    fn is_of_now(&self) -> bool {
        self.generation == self.circuit.lock().generation
    }

    fn that_returns(mut self) -> Self {
        self.returns = true;
        self
    }

    fn finish(mut self, went_well: bool) {
        self.returns = false;
        self.circuit.leave(self.generation, Some(went_well), self.clock.now());
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.returns {
            let went_well = thread::panicking().then_some(false);
            self.circuit.leave(self.generation, went_well, self.clock.now());
        }
    }
}

/// As an endpoint: with a seat, or with the code after the `await` that most write first.
struct Watch {
    circuit: Arc<Circuit>,
    clock: LawsClock,
}

struct Watching<E> {
    inner: E,
    circuit: Arc<Circuit>,
    clock: LawsClock,
}

impl<E> Layer<E> for Watch {
    type Service = Watching<E>;

    fn layer(&self, inner: E) -> Watching<E> {
        Watching { inner, circuit: Arc::clone(&self.circuit), clock: self.clock.clone() }
    }
}

impl<E: Endpoint<Request<u64>, Error: From<Error>>> Endpoint<Request<u64>> for Watching<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, request: Request<u64>) -> Result<E::Response, E::Error> {
        if self.circuit.bug == Bug::ForgetsWhoLeft {
            let generation = self.circuit.enter(self.clock.now())?;
            let outcome = self.inner.call(request).await;
            self.circuit.leave(generation, Some(outcome.is_ok()), self.clock.now());
            return outcome;
        }
        let seat = Seat::take(&self.circuit, &self.clock)?;
        let outcome = self.inner.call(request).await;
        seat.finish(outcome.is_ok());
        outcome
    }
}

fn written_as_an_endpoint(breaker: Breaker, bug: Bug) -> Laws {
    let layer = move |setup: &Setup| Watch { circuit: Arc::new(Circuit::new(breaker, bug)), clock: setup.clock() };
    Laws::endpoint(layer).refusing().breaks(breaker)
}

/// As a tower service, which takes its seat when it is asked for its readiness.
struct Wrap {
    circuit: Arc<Circuit>,
    clock: LawsClock,
}

struct Wrapped<S> {
    inner: S,
    circuit: Arc<Circuit>,
    clock: LawsClock,
    seat: Option<Seat>,
}

impl<S> Layer<S> for Wrap {
    type Service = Wrapped<S>;

    fn layer(&self, inner: S) -> Wrapped<S> {
        Wrapped { inner, circuit: Arc::clone(&self.circuit), clock: self.clock.clone(), seat: None }
    }
}

impl<S: Clone> Clone for Wrapped<S> {
    fn clone(&self) -> Self {
        let circuit = match self.circuit.bug {
            // A circuit that is a field of the service, and not behind an `Arc`.
            Bug::HasACircuitForEachClone => Arc::new(Circuit::new(self.circuit.breaker, self.circuit.bug)),
            _ => Arc::clone(&self.circuit),
        };
        Self { inner: self.inner.clone(), circuit, clock: self.clock.clone(), seat: None }
    }
}

impl<S> Service<Request<u64>> for Wrapped<S>
where
    S: Service<Request<u64>, Response = Response<u64>, Error = Fault, Future: Send> + Clone + Send + 'static,
{
    type Response = Response<u64>;
    type Error = Fault;
    type Future = BoxFuture<Result<Response<u64>, Fault>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        match self.circuit.bug {
            Bug::AsksInsideThenTheCircuit => return Poll::Ready(Ok(())),
            Bug::AsksInsideFirst => ready!(self.inner.poll_ready(cx))?,
            _ => {}
        }
        if self.seat.is_none() {
            self.seat = Seat::take(&self.circuit, &self.clock).ok();
            if let (Some(seat), Bug::LosesReservations) = (&mut self.seat, self.circuit.bug) {
                // A number of the circuit, which nobody gives back before there is a future.
                seat.returns = false;
            }
        }
        // What is refused is refused by the call: an error from here would say that the service is broken.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<u64>) -> Self::Future {
        let (circuit, clock) = (Arc::clone(&self.circuit), self.clock.clone());
        if circuit.bug == Bug::AsksInsideFirst {
            let clone = self.inner.clone();
            let mut ready = mem::replace(&mut self.inner, clone);
            let seat = self.seat.take();
            return Box::pin(async move {
                let seat = seat.ok_or_else(|| Error::unavailable("the circuit is open"))?;
                let outcome = ready.call(request).await;
                seat.finish(outcome.is_ok());
                outcome
            });
        }
        let mut inner = self.inner.clone();
        let seat = match circuit.bug {
            // No seat is kept over the wait; the circuit is asked behind it.
            Bug::AsksInsideThenTheCircuit => None,
            _ => match self.seat.take().filter(Seat::is_of_now).map_or_else(|| Seat::take(&circuit, &clock), Ok) {
                Ok(seat) => Some(Seat::that_returns(seat)),
                Err(refusal) => return Box::pin(async move { Err(refusal.into()) }),
            },
        };
        Box::pin(async move {
            poll_fn(|cx| inner.poll_ready(cx)).await?;
            let seat = seat.map_or_else(|| Seat::take(&circuit, &clock), Ok)?;
            let outcome = inner.call(request).await;
            seat.finish(outcome.is_ok());
            outcome
        })
    }
}

fn by_hand(breaker: Breaker, bug: Bug) -> Laws {
    let layer = move |setup: &Setup| Wrap { circuit: Arc::new(Circuit::new(breaker, bug)), clock: setup.clock() };
    Laws::service(layer).refusing().breaks(breaker)
}

/// The breakers as they should be, in every form and at every place.
pub(super) fn twins() -> Vec<(&'static str, Laws)> {
    let mut twins = Vec::new();
    for breaker in [ONE, THREE] {
        twins.extend([
            ("a breaker over an endpoint", endpoint(breaker, Bug::Nothing)),
            ("a breaker over a stream", stream(breaker, Bug::Nothing)),
            ("a breaker over a tower service", service(breaker, Bug::Nothing)),
            ("a breaker over HTTP", http(breaker, Bug::Nothing)),
            ("a breaker over gRPC", grpc(breaker, Bug::Nothing)),
            ("a breaker written as an endpoint", written_as_an_endpoint(breaker, Bug::Nothing)),
            ("a breaker written as a tower service", by_hand(breaker, Bug::Nothing)),
        ]);
    }
    twins
}

pub(super) fn broken() -> Vec<(&'static str, Laws)> {
    let bugs = [
        Bug::NeverOpens,
        Bug::NeverOpensAgain,
        Bug::CountsFinishedProbes,
        Bug::ForgetsWhoLeft,
        Bug::ForgetsWhoPanicked,
        Bug::HearsOldResults,
        Bug::FreesForeignPlaces,
    ];
    let gates = bugs.into_iter().flat_map(|bug| [("a breaker", endpoint(THREE, bug)), ("over gRPC", grpc(ONE, bug))]);
    gates.chain([("a breaker written as a tower service", by_hand(THREE, Bug::LosesReservations))]).collect()
}

#[test]
fn correct_breakers_are_accused_of_nothing() {
    for (_, twin) in twins() {
        accused_of_nothing(twin);
    }
}

/// Each form, with one probe and with three.
#[track_caller]
fn caught_everywhere(law: Law, bug: Bug) {
    for breaker in [ONE, THREE] {
        for form in [endpoint, stream, service, http, grpc] {
            caught(law, || form(breaker, bug));
        }
    }
}

/// joshrotenberg/tower-resilience#407, OpenLiberty/open-liberty#7080: half-open counts a probe when it is finished, so that
/// all who come before the first one is are let in.
#[test]
fn admission_that_counts_finished_probes() {
    caught_everywhere(Law::HalfOpen, Bug::CountsFinishedProbes);
}

/// The same family, failsafe-lib/failsafe#135: it looks for a place, and takes it later. Calls that come one after the other
/// see nothing of it, so only the threads do.
#[test]
fn a_probe_that_looks_for_its_place_before_it_takes_it() {
    for breaker in [ONE, THREE] {
        for form in [endpoint, service] {
            caught_by_threads(Law::HalfOpen, || form(breaker, Bug::LooksBeforeItTakes));
        }
    }
}

/// resilience4j/resilience4j#1389: a probe whose caller left does not give its place back, and half-open never ends.
#[test]
fn a_probe_that_left_and_keeps_its_place() {
    caught_everywhere(Law::HalfOpen, Bug::ForgetsWhoLeft);
}

/// The same with the code after the `await` that most write first; a panic loses the place too.
#[test]
fn a_probe_whose_place_is_given_back_after_the_await() {
    for breaker in [ONE, THREE] {
        caught(Law::HalfOpen, || written_as_an_endpoint(breaker, Bug::ForgetsWhoLeft));
    }
}

/// The same, but only where the probe panics.
#[test]
fn a_probe_that_panicked_and_keeps_its_place() {
    caught_everywhere(Law::HalfOpen, Bug::ForgetsWhoPanicked);
}

/// The same, between `poll_ready`, which takes the place, and `call`, which never comes.
#[test]
fn a_probe_that_left_between_readiness_and_call() {
    for breaker in [ONE, THREE] {
        caught(Law::HalfOpen, || by_hand(breaker, Bug::LosesReservations));
    }
}

/// joshrotenberg/tower-resilience#386: the circuit is asked after the inner readiness, and an open breaker hangs on a dead
/// backend. Where `poll_ready` waits, it is its readiness that is not as declared.
#[test]
fn a_circuit_that_is_asked_behind_poll_ready() {
    caught(Law::Readiness, || by_hand(ONE, Bug::AsksInsideFirst));
}

/// The same, where the wait is in the call.
#[test]
fn a_circuit_that_is_asked_behind_a_wait() {
    caught(Law::RefusesAtOnce, || by_hand(ONE, Bug::AsksInsideThenTheCircuit));
}

/// The clock of the standard library, which needs sleeping tests.
#[test]
fn a_circuit_on_a_clock_of_its_own() {
    for breaker in [ONE, THREE] {
        let gate = move || Guard::with(Circuit::new(breaker, Bug::Nothing), Standard, Monotonic);
        caught(Law::Clock, || Laws::endpoint(move |_| gate()).refusing().breaks(breaker));
        caught(Law::Clock, || Laws::service(move |_| Tower::new(gate())).refusing().breaks(breaker));
    }
}

/// A threshold that is never reached.
#[test]
fn a_circuit_that_never_opens() {
    caught_everywhere(Law::HalfOpen, Bug::NeverOpens);
}

/// A probe that fails gives its place back, and that is all.
#[test]
fn a_circuit_that_never_opens_again() {
    caught_everywhere(Law::HalfOpen, Bug::NeverOpensAgain);
}

/// A call from before the opening is answered while half-open, which closes the circuit.
#[test]
fn a_circuit_that_hears_old_results() {
    caught_everywhere(Law::HalfOpen, Bug::HearsOldResults);
}

/// A call from before the opening gives back a place that it never had.
#[test]
fn a_circuit_that_frees_foreign_places() {
    caught_everywhere(Law::HalfOpen, Bug::FreesForeignPlaces);
}

/// Over gRPC a failure is in the trailers, and a head of 200 says nothing.
#[test]
fn a_circuit_that_judges_by_the_head() {
    let by_the_head = |outcome: &Result<http::Response<InnerBody>, ServiceError<Infallible>>| match outcome {
        Ok(response) if response.headers().get("grpc-status").is_none_or(|status| status == "0") => Judgement::SUCCESS,
        _ => Judgement::of_kind(Kind::Unavailable),
    };
    let layer = move |setup: &Setup| {
        Tower::new(Guard::with(Circuit::new(ONE, Bug::Nothing), by_the_head, setup.clock())).answered()
    };
    caught(Law::HalfOpen, || Laws::grpc_service::<String, _, _, _>(layer).refusing().breaks(ONE));
}

/// tokio-rs/axum#3682: the state is a field of the service, and a server clones the service for each call.
#[test]
fn a_circuit_for_each_clone() {
    caught(Law::Shared, || by_hand(ONE, Bug::HasACircuitForEachClone));
}

/// The same, where the layer makes a new circuit for each route that it is put over.
#[test]
fn a_circuit_for_each_layering() {
    let fresh = |setup: &Setup| {
        let clock = setup.clock();
        tower_layer::layer_fn(move |inner: Inner| {
            Guard::with(Circuit::new(ONE, Bug::Nothing), Standard, clock.clone()).layer(inner)
        })
    };
    caught(Law::Shared, || Laws::endpoint(fresh).refusing().breaks(ONE));
    accused_of_nothing(Laws::endpoint(fresh).refusing().breaks(ONE).state_per_service());
}
