//! A panic in what users give becomes an answer, takes no token along, and the limit goes on. (For calls that wait: `delay`.)

use std::hash::{Hash, Hasher};

use kit_base::{Clock, Endpoint};
use kit_base::{Error, Event, Gate, Guard, Kind, Request, Standard, catch_panic};
use kit_ratelimit::{Keyed, Layer, RateLimit};
use kit_testing::clock::ManualClock;

use crate::support::{Echo, ms, quota};

const PANICS: u32 = 13;

/// Its hash panics.
struct Key(u32);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert_ne!(self.0, PANICS, "as told");
        state.write_u8(0);
    }
}

fn panics(request: &Request<u32>) -> bool {
    assert_ne!(*request.message(), PANICS, "as told");
    true
}

fn as_told(event: &Event<'_>) {
    panic!("as told, of {}", event.what);
}

/// Five pass, whatever panics before each of them; then `then`, until time has passed.
async fn goes_on<G: Gate<Request<u32>, u32, Error>>(gate: G, then: Kind) {
    let (echo, clock) = (Echo::default(), ManualClock::new());
    let endpoint = Guard::with(gate, Standard, clock.clone()).layer(echo.clone());
    let call = async |n| catch_panic(|| endpoint.call(Request::new(n))).await.map_err(|error: Error| error.kind());
    for round in 1..=3 {
        for n in 0..5 {
            if then == Kind::ResourceExhausted {
                assert_eq!(call(PANICS).await, Err(Kind::Internal));
            }
            assert_eq!(call(n).await, Ok(n), "round {round}");
        }
        assert_eq!((call(5).await, call(6).await, echo.reached()), (Err(then), Err(then), round * 5));
        clock.advance(ms(1000));
    }
}

#[tokio::test]
async fn in_a_cost_a_key_or_its_hash() {
    let cost = |request: &Request<u32>| u32::from(panics(request));
    goes_on(RateLimit::new(quota(5, 5)).costing(cost), Kind::ResourceExhausted).await;
    let keyed = |key: fn(&Request<u32>) -> Option<Key>| Keyed::by(quota(5, 5), key).places(8.try_into().unwrap());
    goes_on(keyed(|_| Some(Key(1))).costing(cost), Kind::ResourceExhausted).await;
    goes_on(keyed(|request| panics(request).then_some(Key(1))), Kind::ResourceExhausted).await;
    goes_on(keyed(|request| Some(Key(*request.message()))), Kind::ResourceExhausted).await;
}

#[tokio::test]
async fn in_an_observer() {
    goes_on(RateLimit::new(quota(5, 5)).observed_by(as_told), Kind::Internal).await;
    goes_on(Keyed::by(quota(5, 5), |_: &Request<u32>| Some(1)).observed_by(as_told), Kind::Internal).await;
    // It is told of a place that was given up when the lock of the set is free again.
    let keyed = Keyed::by(quota(5, 5), |request: &Request<u32>| Some(*request.message())).observed_by(as_told);
    let (guard, clock) = (keyed.places(8.try_into().unwrap()), ManualClock::new());
    let guard = Guard::with(guard, Standard, clock.clone());
    let endpoint = guard.layer(Echo::default());
    for n in 0..9 {
        let outcome = catch_panic(|| endpoint.call(Request::new(n))).await.map_err(|error: Error| error.kind());
        assert_eq!(outcome, if n < 8 { Ok(n) } else { Err(Kind::Internal) });
    }
    assert_eq!((guard.gate().displaced(), guard.gate().in_use_at(clock.now())), (1, 8));
    assert_eq!(endpoint.call(Request::new(8)).await.map_err(|error| error.kind()), Ok(8));
}
