//! What a limited call allocates: nothing; a refusal its error. A program without a test harness, whose threads would be
//! counted too.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, and this is a test program")]

use std::time::{Duration, Instant};

use kit_base::{Endpoint, Error, Gate, Now, Request, Response};
use kit_ratelimit::{Guard, Keyed, Layer, Limited, Quota, RateLimit, Tower, nonzero};
use kit_testing::alloc::{self, CountingAllocator};
use tower::{Service, service_fn};

#[global_allocator]
static ALLOCATOR: CountingAllocator = alloc::counting();

const CALLS: u64 = 1_000;

/// Of a refusal: the error, and what led to it ([`Limited`], which shares the name).
const REFUSAL: u64 = 2;

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

/// What so many calls allocate, all together.
fn allocations<E>(endpoint: &E, passes: bool) -> u64
where
    E: Endpoint<Request<u64>, Response = Response<u64>, Error = Error>,
{
    let call = |n| alloc::count_ready(|| endpoint.call(Request::new(n)));
    let count = |n| {
        let (outcome, counts) = call(n);
        assert_eq!(outcome.is_ok(), passes);
        counts.allocations
    };
    // What a thread makes once.
    count(0);
    (0..CALLS).map(count).sum()
}

fn plenty() -> Quota {
    Quota::per_second(nonzero!(1_000_000)).with_burst(nonzero!(1_000_000))
}

fn none() -> Quota {
    Quota::per_hour(nonzero!(1))
}

fn key(request: &Request<u64>) -> Option<u64> {
    Some(request.message() % 10)
}

fn what_passes_allocates_nothing() {
    assert_eq!(allocations(&Guard::new(RateLimit::new(plenty())).layer(Echo), true), 0, "a limit");
    let named =
        RateLimit::new(plenty()).named("all").costing(|_: &Request<u64>| 3).observed_by(|_: &kit_base::Event<'_>| {});
    assert_eq!(allocations(&Guard::new(named).layer(Echo), true), 0, "with all that can be set");
    assert_eq!(allocations(&Guard::new(Keyed::by(plenty(), key)).layer(Echo), true), 0, "by key");
    let new = |request: &Request<u64>| Some(*request.message());
    let keyed = Keyed::by(plenty(), new).places(8.try_into().unwrap());
    assert_eq!(allocations(&Guard::new(keyed).layer(Echo), true), 0, "by key, each of them new");
    let observing = RateLimit::new(none()).observe_only();
    assert_eq!(allocations(&Guard::new(observing).layer(Echo), true), 0, "what would be refused");
    let mut service = Tower::new(Guard::new(RateLimit::new(plenty()))).layer(service_fn(echo));
    let (answer, counts) = alloc::count_ready(|| service.call(Request::new(7)));
    assert_eq!((answer.unwrap().into_message(), counts.allocations), (7, 1), "the tower face: {counts}");
}

fn a_refusal_allocates_its_error() {
    let guard = Guard::new(RateLimit::new(none()).named("all"));
    assert!(guard.gate().standing_at(Instant::now()).remaining == 1);
    empty(guard.gate());
    assert_eq!(allocations(&guard.layer(Echo), false), REFUSAL * CALLS, "a limit");
    let guard = Guard::new(Keyed::by(none(), |_: &Request<u64>| Some(1)));
    empty(guard.gate());
    assert_eq!(allocations(&guard.layer(Echo), false), REFUSAL * CALLS, "by key");
    // And the text with both numbers.
    let guard = Guard::new(RateLimit::new(none()).costing(|_: &Request<u64>| 2));
    let endpoint = guard.layer(Echo);
    let (outcome, counts) = alloc::count_ready(|| endpoint.call(Request::new(1)));
    assert_eq!(Limited::of(&outcome.unwrap_err()).unwrap().retry_after, None);
    assert_eq!(counts.allocations, REFUSAL + 1, "{counts}");
}

fn empty(gate: &impl Gate<Request<u64>, (), Error>) {
    let clock = Instant::now;
    assert!(gate.admit(&mut Request::new(0), &Now::new(&clock)).is_ok());
}

fn looks_and_changes_allocate_nothing() {
    let now = Instant::now();
    let limit = RateLimit::new(none());
    let keyed = Keyed::by(none(), key);
    let counts = alloc::count(|| {
        for n in 0..1_000 {
            let now = now + Duration::from_millis(n);
            limit.change_at(if n % 2 == 0 { plenty() } else { none() }, now);
            let _ = (limit.standing_at(now), limit.quota());
        }
        for n in 0..10 {
            let now = now + Duration::from_millis(n);
            keyed.change_at(if n % 2 == 0 { plenty() } else { none() }, now);
            let _ = (keyed.standing_at(&n, now), keyed.quota(), keyed.in_use_at(now), keyed.displaced());
        }
    });
    assert_eq!(counts.allocations, 0, "{counts}");
}

fn main() {
    what_passes_allocates_nothing();
    looks_and_changes_allocate_nothing();
    a_refusal_allocates_its_error();
}
