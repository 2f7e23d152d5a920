//! Routers, balancers and reconnects as careless authors write them, and the same ones put right.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use kit_base::{Endpoint, Request, Response};
use kit_testing::laws::{Fault, Inner, Law, Laws};
use tokio::time::{Instant, Sleep, sleep};
use tower_layer::layer_fn;
use tower_service::Service;

use super::{accused_of_nothing, caught};

/// The one thing that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    Nothing,
    ClonesCountFromZero,
    LosesWhoLeft,
    EstimatesTooHigh,
    WaitsForItsChoice,
    CallsWhatItDidNotAsk,
    KeepsTheBroken,
    WakesNobody,
}

type Answer = <Inner as Service<Request<u64>>>::Future;

fn three(inner: Inner) -> Vec<Inner> {
    let (second, third) = (inner.node(1), inner.node(2));
    vec![inner, second, third]
}

/// A router by weights. It takes its services in turns, where each stands as often as it weighs.
struct Weighted {
    services: Vec<Inner>,
    next: Arc<AtomicUsize>,
    chosen: Option<usize>,
    bug: Bug,
}

const TURNS: [usize; 6] = [1, 0, 2, 0, 1, 0];

impl Clone for Weighted {
    fn clone(&self) -> Self {
        let next = match self.bug {
            // A counter that is a field of the service, and not behind an `Arc`.
            Bug::ClonesCountFromZero => Arc::default(),
            _ => Arc::clone(&self.next),
        };
        Self { services: self.services.clone(), next, chosen: None, bug: self.bug }
    }
}

impl Service<Request<u64>> for Weighted {
    type Response = Response<u64>;
    type Error = Fault;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let turn = || TURNS[self.next.fetch_add(1, Ordering::Relaxed) % TURNS.len()];
        let chosen = *self.chosen.get_or_insert_with(turn);
        Service::<Request<u64>>::poll_ready(&mut self.services[chosen], cx)
    }

    fn call(&mut self, request: Request<u64>) -> Answer {
        let chosen = self.chosen.take().unwrap_or_default();
        Service::call(&mut self.services[chosen], request)
    }
}

fn weighted(bug: Bug) -> Laws {
    let layer = move |inner| Weighted { services: three(inner), next: Arc::default(), chosen: None, bug };
    Laws::service(move |_| layer_fn(layer)).selecting([3, 2, 1])
}

/// A balancer that takes whichever has the fewest calls under way, in turns where they have as many.
struct LeastLoaded<E> {
    services: Vec<(E, AtomicUsize)>,
    next: AtomicUsize,
    bug: Bug,
}

/// One of the calls under way.
struct Load<'a>(&'a AtomicUsize);

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<E: Endpoint<Request<u64>>> Endpoint<Request<u64>> for LeastLoaded<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, request: Request<u64>) -> Result<E::Response, E::Error> {
        let count = self.services.len();
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..count).map(|step| &self.services[(next + step) % count]);
        let least = in_turn.min_by_key(|(_, load)| load.load(Ordering::Relaxed));
        let (service, load) = least.expect("there are three services");
        load.fetch_add(1, Ordering::Relaxed);
        if self.bug == Bug::LosesWhoLeft {
            let outcome = service.call(request).await;
            load.fetch_sub(1, Ordering::Relaxed);
            return outcome;
        }
        let _load = Load(load);
        service.call(request).await
    }
}

fn least_loaded(bug: Bug) -> Laws {
    let layer = move |inner| LeastLoaded {
        services: three(inner).into_iter().map(|service| (service, AtomicUsize::new(0))).collect(),
        next: AtomicUsize::new(0),
        bug,
    };
    Laws::endpoint(move |_| layer_fn(layer)).selecting([1, 1, 1])
}

/// A balancer that takes whichever answered fastest of late, in turns where they are as fast.
struct Fastest<E> {
    services: Vec<(E, Mutex<Duration>)>,
    next: AtomicUsize,
}

impl<E: Endpoint<Request<u64>>> Endpoint<Request<u64>> for Fastest<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, request: Request<u64>) -> Result<E::Response, E::Error> {
        let count = self.services.len();
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..count).map(|step| &self.services[(next + step) % count]);
        let fastest = in_turn.min_by_key(|(_, estimate)| *estimate.lock().unwrap());
        let (service, estimate) = fastest.expect("there are three services");
        let began = Instant::now();
        let outcome = service.call(request).await;
        *estimate.lock().unwrap() = began.elapsed();
        outcome
    }
}

fn fastest(bug: Bug) -> Laws {
    // What nobody has asked yet counts as slow, so nobody asks it.
    let unknown = if bug == Bug::EstimatesTooHigh { Duration::from_secs(1) } else { Duration::ZERO };
    let layer = move |inner| Fastest {
        services: three(inner).into_iter().map(|service| (service, Mutex::new(unknown))).collect(),
        next: AtomicUsize::new(0),
    };
    Laws::endpoint(move |_| layer_fn(layer)).selecting([1, 1, 1])
}

/// The first estimate is a second, and so whoever answered once gets everything (tower-rs/tower#134,
/// linkerd/linkerd2-proxy#167).
#[test]
fn an_estimate_that_is_too_high() {
    caught(Law::Spread, || fastest(Bug::EstimatesTooHigh));
}

/// Somebody who declares other weights than he has.
#[test]
fn a_router_with_other_weights() {
    let layer = |inner| Weighted { services: three(inner), next: Arc::default(), chosen: None, bug: Bug::Nothing };
    caught(Law::Spread, move || Laws::service(move |_| layer_fn(layer)).selecting([2, 2, 1]));
}

/// A balancer in turns, over the services that are ready.
struct InTurn {
    /// Those that have not broken.
    services: Vec<Option<Inner>>,
    next: Arc<AtomicUsize>,
    ready: Option<usize>,
    bug: Bug,
}

impl Clone for InTurn {
    fn clone(&self) -> Self {
        Self { services: self.services.clone(), next: Arc::clone(&self.next), ready: None, bug: self.bug }
    }
}

impl InTurn {
    fn turn(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed) % self.services.len()
    }
}

impl Service<Request<u64>> for InTurn {
    type Response = Response<u64>;
    type Error = Fault;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if self.ready.is_some() {
            return Poll::Ready(Ok(()));
        }
        let (first, count) = (self.turn(), self.services.len());
        let choice = if self.bug == Bug::WaitsForItsChoice { 1 } else { count };
        let mut last = None;
        for number in (0..choice).map(|step| (first + step) % count) {
            let Some(service) = &mut self.services[number] else { continue };
            match Service::<Request<u64>>::poll_ready(service, cx) {
                Poll::Ready(Ok(())) => {
                    self.ready = Some(number);
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => {
                    self.services[number] = None;
                    last = Some(error);
                }
                Poll::Pending => {}
            }
        }
        match last {
            Some(error) if self.services.iter().all(Option::is_none) => Poll::Ready(Err(error)),
            _ => Poll::Pending,
        }
    }

    fn call(&mut self, request: Request<u64>) -> Answer {
        let ready = self.ready.take();
        let number = match (self.bug, ready) {
            // One of them is ready, so whose turn it is is asked again, and it is the next one's.
            (Bug::CallsWhatItDidNotAsk, _) | (_, None) => self.turn(),
            (_, Some(number)) => number,
        };
        match &mut self.services[number] {
            Some(service) => Service::call(service, request),
            None => Box::pin(async { Err(kit_base::Error::unavailable("no service is left").into()) }),
        }
    }
}

fn in_turn(bug: Bug) -> Laws {
    let layer = move |inner| {
        let services = three(inner).into_iter().map(Some).collect();
        InTurn { services, next: Arc::default(), ready: None, bug }
    };
    Laws::service(move |_| layer_fn(layer)).selecting([1, 1, 1]).skips_unready()
}

/// A connection that is made again when it has broken, after a pause.
struct Reconnect {
    /// Makes the connections, and is none itself.
    target: Inner,
    connection: Option<Inner>,
    pause: Option<Pin<Box<Sleep>>>,
    bug: Bug,
}

impl Reconnect {
    fn new(target: Inner, bug: Bug) -> Self {
        Self { target, connection: None, pause: None, bug }
    }
}

impl Clone for Reconnect {
    fn clone(&self) -> Self {
        Self::new(self.target.clone(), self.bug)
    }
}

impl Service<Request<u64>> for Reconnect {
    type Response = Response<u64>;
    type Error = Fault;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            let connection = self.connection.get_or_insert_with(|| self.target.node(0));
            if ready!(Service::<Request<u64>>::poll_ready(connection, cx)).is_ok() {
                return Poll::Ready(Ok(()));
            }
            if self.bug != Bug::KeepsTheBroken {
                self.connection = None;
            }
            if self.bug == Bug::WakesNobody {
                return Poll::Pending;
            }
            self.pause = Some(Box::pin(sleep(Duration::from_secs(1))));
        }
    }

    fn call(&mut self, request: Request<u64>) -> Answer {
        match &mut self.connection {
            Some(connection) => Service::call(connection, request),
            None => Box::pin(async { Err(kit_base::Error::unavailable("there is no connection").into()) }),
        }
    }
}

fn reconnect(bug: Bug) -> Laws {
    Laws::service(move |_| layer_fn(move |inner| Reconnect::new(inner, bug))).waiting()
}

/// The selections as they should be.
pub(super) fn twins() -> Vec<(&'static str, Laws)> {
    vec![
        ("a router by weights", weighted(Bug::Nothing)),
        ("a balancer by load", least_loaded(Bug::Nothing)),
        ("a balancer by speed", fastest(Bug::Nothing)),
        ("a balancer in turns", in_turn(Bug::Nothing)),
        ("a reconnect", reconnect(Bug::Nothing)),
    ]
}

pub(super) fn broken() -> Vec<(&'static str, Laws)> {
    vec![
        ("a router by weights", weighted(Bug::ClonesCountFromZero)),
        ("a balancer by load", least_loaded(Bug::LosesWhoLeft)),
        ("a balancer in turns", in_turn(Bug::WaitsForItsChoice)),
        ("a reconnect", reconnect(Bug::KeepsTheBroken)),
    ]
}

#[test]
fn correct_selections_are_accused_of_nothing() {
    for (_, twin) in twins() {
        accused_of_nothing(twin);
    }
}

/// joshrotenberg/tower-resilience#401: each clone counts from zero, so that the first service gets everything.
#[test]
fn a_router_whose_clones_count_from_zero() {
    caught(Law::Spread, || weighted(Bug::ClonesCountFromZero));
}

/// joshrotenberg/tower-resilience#387, #406, in a balancer: the count of who left stays, and the service is avoided for ever.
#[test]
fn a_load_that_stays_when_its_caller_leaves() {
    caught(Law::PermitsReturn, || least_loaded(Bug::LosesWhoLeft));
}

/// linkerd/linkerd2#11493, a small part of it: it waits for the one that it has chosen, while others are ready.
#[test]
fn a_balancer_that_waits_for_its_choice() {
    caught(Law::NoHang, || in_turn(Bug::WaitsForItsChoice));
}

/// joshrotenberg/tower-resilience#392, in a balancer: one service is asked for its readiness, and another one is called.
#[test]
fn a_balancer_that_calls_what_it_did_not_ask() {
    caught(Law::Readiness, || in_turn(Bug::CallsWhatItDidNotAsk));
}

/// joshrotenberg/tower-resilience#391: the broken connection is asked again and again, and there is never a new one.
#[test]
fn a_reconnect_that_keeps_the_broken_connection() {
    caught(Law::Readiness, || reconnect(Bug::KeepsTheBroken));
}

/// The broken connection is gone, and nothing wakes the caller up to make a new one.
#[test]
fn a_reconnect_that_wakes_nobody() {
    caught(Law::NoHang, || reconnect(Bug::WakesNobody));
}
