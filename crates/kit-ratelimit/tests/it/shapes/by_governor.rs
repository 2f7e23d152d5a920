//! governor's limiters as limits of kit.

use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, FakeRelativeClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use kit_base::{Context, Deadline, Endpoint, Kind, Origin, Request};
use kit_ratelimit::{Delaying, Erroring, Guard, Layer, nonzero};
use tokio::time::Instant;

use crate::support::{Echo, ms, now};

type Direct =
    RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<<FakeRelativeClock as Clock>::Instant>>;

/// By a clock that the test moves.
fn by_hand(quota: Quota) -> (Arc<Direct>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    (Arc::new(RateLimiter::direct_with_clock(quota, clock.clone())), clock)
}

#[tokio::test]
async fn go_kits_rl_1_and_the_exact_time_to_come_back() {
    let (limiter, clock) = by_hand(Quota::per_minute(nonzero!(1u32)));
    let (echo, shared) = (Echo::default(), Arc::clone(&limiter));
    let limited = Guard::new(Erroring::new(limiter)).layer(echo.clone());
    limited.call(Request::new(1)).await.unwrap();
    let refusal = limited.call(Request::new(2)).await.unwrap_err();
    assert_eq!((refusal.kind(), refusal.origin()), (Kind::ResourceExhausted, Origin::LocalRefusal));
    assert_eq!(refusal.retry_after(), Some(Duration::from_secs(60)));
    clock.advance(ms(59_999));
    assert_eq!(limited.call(Request::new(2)).await.unwrap_err().retry_after(), Some(ms(1)));
    clock.advance(ms(1));
    limited.call(Request::new(2)).await.unwrap();
    assert_eq!(echo.reached(), 2);
    assert!(shared.check().is_err(), "it is the same one");
}

#[tokio::test]
async fn one_that_is_not_shared_needs_no_arc() {
    let limited =
        Guard::new(Erroring::new(RateLimiter::direct(Quota::per_hour(nonzero!(2u32))))).layer(Echo::default());
    limited.call(Request::new(1)).await.unwrap();
    limited.call(Request::new(1)).await.unwrap();
    let refusal = limited.call(Request::new(1)).await.unwrap_err();
    assert!(refusal.retry_after().is_some_and(|after| after <= Duration::from_secs(1800)));
}

#[tokio::test(start_paused = true)]
async fn go_kits_rl_2_and_never_past_the_deadline() {
    let (limiter, _clock) = by_hand(Quota::per_minute(nonzero!(1u32)));
    let echo = Echo::default();
    let delayed = Delaying::new(limiter).layer(echo.clone());
    let within = |left| Request::from_parts(Context::new().with_deadline(Deadline::after(now(), left)), 1);
    delayed.call(within(ms(500))).await.unwrap();
    let began = Instant::now();
    for left in [ms(500), ms(60_000)] {
        let error = delayed.call(within(left)).await.unwrap_err();
        assert_eq!((error.kind(), error.origin()), (Kind::DeadlineExceeded, Origin::NotSent));
        assert_eq!(error.message(), "the deadline would pass before the rate limit lets the call through");
    }
    assert_eq!((began.elapsed(), echo.reached()), (ms(0), 1));
}

#[tokio::test]
async fn calls_wait_for_it_by_its_own_clock() {
    let limiter = Arc::new(RateLimiter::direct(Quota::per_second(nonzero!(20u32)).allow_burst(nonzero!(1u32))));
    let delayed = Delaying::new(limiter).layer(Echo::default());
    let began = Instant::now();
    let call = || delayed.call(Request::new(1));
    let (a, b, c, d) = tokio::join!(call(), call(), call(), call());
    assert!(a.is_ok() && b.is_ok() && c.is_ok() && d.is_ok());
    assert!(began.elapsed() >= ms(149), "{:?}", began.elapsed());
}
