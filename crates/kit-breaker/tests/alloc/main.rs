//! What a guarded call allocates: nothing; a refusal its error, and the tower face one box. A program without a test
//! harness, whose threads would be counted too.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, and this is a test program")]

mod bulkhead;
mod keyed;

use std::time::{Duration, Instant};

use kit_base::{Endpoint, Error, Guard, Request, Response, Tower};
use kit_breaker::{Breaker, Decision, Policy, Settings, Window};
use kit_testing::alloc::{self, CountingAllocator};
use tower::{Service, service_fn};
use tower_layer::Layer;

#[global_allocator]
static ALLOCATOR: CountingAllocator = alloc::counting();

const CALLS: u64 = 1_000;

async fn echo(request: Request<u64>) -> Result<Response<u64>, Error> {
    Ok(Response::new(request.into_message()))
}

struct Echo;

impl Endpoint<Request<u64>> for Echo {
    type Response = Response<u64>;
    type Error = Error;

    async fn call(&self, request: Request<u64>) -> Result<Response<u64>, Error> {
        echo(request).await
    }
}

/// An error makes a box, which is not the breaker's.
struct Failing;

impl Endpoint<Request<u64>> for Failing {
    type Response = Response<u64>;
    type Error = Error;

    async fn call(&self, _: Request<u64>) -> Result<Response<u64>, Error> {
        Err(Error::unavailable("as told"))
    }
}

struct Never;

impl Policy for Never {
    fn success(&mut self, _: Instant) {}

    fn failure(&mut self, _: Instant) -> Decision {
        Decision::Stay
    }

    fn reset(&mut self, _: Instant) {}
}

/// What so many calls allocate, all together.
fn allocations<E>(endpoint: &E) -> u64
where
    E: Endpoint<Request<u64>, Response = Response<u64>, Error = Error>,
{
    // What a thread makes once.
    drop(alloc::count_ready(|| endpoint.call(Request::new(7))));
    (0..CALLS).map(|_| alloc::count_ready(|| endpoint.call(Request::new(7))).1.allocations).sum()
}

fn every_rule() -> Vec<(&'static str, Settings)> {
    let rate = |window| Settings::new().failure_rate(1.0).min_calls(500_000).window(window);
    let hour = Duration::from_secs(3_600);
    vec![
        ("failures in a row", Settings::new().consecutive_failures(1_000_000)),
        ("a rate of 10 s", rate(Window::Time(Duration::from_secs(10)))),
        ("a rate of 10 ms", rate(Window::Time(Duration::from_millis(10)))),
        ("a rate of all calls", rate(Window::Whole)),
        ("slow calls", Settings::new().slow_calls(hour, 1.0)),
        ("a policy", Settings::new().policy(|| Never)),
        ("cleared", Settings::new().consecutive_failures(1_000_000).clear_every(Duration::from_millis(1))),
    ]
}

fn main() {
    keyed::a_call_under_a_known_key_allocates_nothing();
    bulkhead::check();
    for (rule, settings) in every_rule() {
        let guard = Guard::new(Breaker::new(settings).unwrap());
        assert_eq!(allocations(&guard.layer(Echo)), 0, "successes, {rule}");
        assert_eq!(allocations(&guard.layer(Failing)), CALLS, "failures, {rule}");
    }
    let last_calls = Settings::new().failure_rate(0.5).window(Window::Calls(100));
    assert_eq!(
        allocations(&Guard::new(Breaker::new(last_calls).unwrap()).layer(Echo)),
        0,
        "successes, a rate of calls"
    );

    let guard = Guard::new(Breaker::default());
    let endpoint = guard.layer(Echo);
    let mut service = Tower::new(guard.clone()).layer(service_fn(echo));
    let mut call = || alloc::count_ready(|| service.call(Request::new(7)));
    let (answer, counts) = call();
    assert_eq!((answer.unwrap().into_message(), counts.allocations), (7, 1), "the tower face: {counts}");

    guard.gate().disable();
    assert_eq!(allocations(&endpoint), 0, "switched off");
    guard.gate().force_closed();
    assert_eq!(allocations(&endpoint), 0, "forced closed");
    guard.gate().force_open();
    assert_eq!(allocations(&endpoint), CALLS, "refusals of one that is forced open");
    guard.gate().reset();
    allocations(&guard.layer(Failing));
    assert_eq!(allocations(&endpoint), CALLS, "refusals");
    let (answer, counts) = call();
    assert_eq!((answer.unwrap_err().reason(), counts.allocations), (Some("CIRCUIT_OPEN"), 2), "the same: {counts}");
}
