//! The published behaviour of handy and of hystrix, and Go kit's own tests of its three breakers.
//!
//! Sources: the tests of Go kit's `circuitbreaker`, `streadway/handy`'s `breaker`, `afex/hystrix-go`. Handy and hystrix open
//! when the share is *more* than its setting and when it *rounds* to its setting, a whole number of per cent; here it is
//! reached to the digit, so the settings that behave exactly alike are a little beside theirs.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use kit_base::{Endpoint, Error, Guard, Request, Standard};
use kit_breaker::{Breaker, Settings, State, Window};
use tower_layer::Layer;

use crate::support::{Ask, fail, guarding, now, succeed};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `breaker.NewBreaker(ratio)`: over a ratio, from 11 observations, in 5 s; one try after 1 s.
fn handy(ratio: f64) -> Settings {
    Settings::new()
        .failure_rate(ratio + 1e-8)
        .window(Window::Time(seconds(5)))
        .min_calls(11)
        .open_for(seconds(1))
        .probe_within(seconds(1))
}

/// `hystrix.CommandConfig` without the time limit and the bound: so many per cent, from 20 requests, in 10 s; one try
/// after 5 s.
fn hystrix(per_cent: f64) -> Settings {
    Settings::new()
        .failure_rate((per_cent - 0.5) / 100.0)
        .window(Window::Time(seconds(10)))
        .min_calls(20)
        .open_for(seconds(5))
        .probe_within(seconds(5))
}

/// Go kit's test of each of its breakers: after so many successes, so many failures pass, and then nothing.
async fn lets_failures_through(settings: Settings, primed_with: u32, passing: u32) {
    let (guard, endpoint) = guarding(settings);
    for _ in 0..primed_with {
        succeed(&endpoint).await.expect("a success");
    }
    for passed in 0..passing {
        assert_eq!(guard.gate().state_at(now()), State::Closed, "after {passed} failures");
        assert_eq!(fail(&endpoint).await.expect_err("a failure").message(), "as told");
    }
    for _ in 0..10 {
        let refusal = fail(&endpoint).await.expect_err("a failure");
        assert_eq!((refusal.message(), refusal.reason()), ("circuit breaker is open", Some("CIRCUIT_OPEN")));
    }
    assert_eq!(guard.gate().snapshot_at(now()).failures, u64::from(passing), "the rest did not reach the endpoint");
}

#[tokio::test(start_paused = true)]
async fn cb_1_gobreaker_lets_six_failures_through() {
    lets_failures_through(Settings::gobreaker(), 100, 6).await;
}

#[tokio::test(start_paused = true)]
async fn cb_2_handy_lets_six_failures_through_after_a_hundred_successes() {
    // 5 of 105 are less than 5 %, 6 of 106 are more.
    lets_failures_through(handy(0.05), 100, 6).await;
}

#[tokio::test(start_paused = true)]
async fn cb_3_hystrix_lets_two_failures_through_after_forty_successes() {
    // 1 of 41 are 2 %, 2 of 42 are 4.8 % and so 5 %.
    lets_failures_through(hystrix(5.0), 40, 2).await;
    // By the digit it is one more.
    lets_failures_through(hystrix(5.0).failure_rate(0.05), 40, 3).await;
}

#[tokio::test(start_paused = true)]
async fn handy_opens_at_more_than_its_ratio_not_at_it() {
    let (guard, endpoint) = guarding(handy(0.01));
    for _ in 0..99 {
        succeed(&endpoint).await.unwrap();
    }
    let _ = fail(&endpoint).await;
    assert_eq!(guard.gate().state_at(now()), State::Closed, "1 of 100");
    let _ = fail(&endpoint).await;
    assert_eq!(guard.gate().state_at(now()), State::Open, "2 of 101");

    let (guard, endpoint) = guarding(handy(0.0));
    for _ in 0..100 {
        succeed(&endpoint).await.unwrap();
    }
    let _ = fail(&endpoint).await;
    assert_eq!(guard.gate().state_at(now()), State::Open, "a ratio of 0");
}

#[tokio::test(start_paused = true)]
async fn handy_needs_more_than_ten_observations_in_five_seconds() {
    let (guard, endpoint) = guarding(handy(0.05));
    for _ in 0..10 {
        let _ = fail(&endpoint).await;
    }
    assert_eq!(guard.gate().state_at(now()), State::Closed);
    tokio::time::advance(seconds(5)).await;
    for _ in 0..10 {
        let _ = fail(&endpoint).await;
    }
    assert_eq!(guard.gate().state_at(now()), State::Closed, "the first ten are out of the window");
    let _ = fail(&endpoint).await;
    assert_eq!(guard.gate().state_at(now()), State::Open);
}

#[tokio::test(start_paused = true)]
async fn handy_tries_once_after_a_second_and_success_closes_it() {
    let (guard, endpoint) = guarding(handy(0.05));
    for _ in 0..11 {
        let _ = fail(&endpoint).await;
    }
    tokio::time::advance(seconds(1)).await;
    let probe = endpoint.call(Request::new(Ask::Succeed));
    succeed(&endpoint).await.unwrap_err();
    probe.await.unwrap();
    for _ in 0..2 {
        succeed(&endpoint).await.unwrap();
    }
    assert_eq!(guard.gate().state_at(now()), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_try_that_fails_opens_it_for_another_cooldown_and_one_that_hangs_is_given_up() {
    for (settings, cooldown) in [(handy(0.05), seconds(1)), (hystrix(50.0), seconds(5))] {
        let (guard, endpoint) = guarding(settings);
        for _ in 0..20 {
            let _ = fail(&endpoint).await;
        }
        assert_eq!(guard.gate().state_at(now()), State::Open);
        tokio::time::advance(cooldown).await;
        assert_eq!(fail(&endpoint).await.unwrap_err().message(), "as told");
        assert_eq!(guard.gate().state_at(now()), State::Open);

        // Without an end there is another cooldown, and then another try.
        tokio::time::advance(cooldown).await;
        let _hangs = endpoint.call(Request::new(Ask::Hang));
        tokio::time::advance(cooldown).await;
        succeed(&endpoint).await.unwrap_err();
        tokio::time::advance(cooldown).await;
        succeed(&endpoint).await.unwrap();
        assert_eq!(guard.gate().state_at(now()), State::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn hystrix_needs_twenty_requests_in_ten_seconds_and_half_of_them_failed() {
    let (guard, endpoint) = guarding(hystrix(50.0));
    for _ in 0..19 {
        let _ = fail(&endpoint).await;
    }
    assert_eq!(guard.gate().state_at(now()), State::Closed);
    tokio::time::advance(seconds(10)).await;
    let _ = fail(&endpoint).await;
    assert_eq!(guard.gate().state_at(now()), State::Closed, "the others are out of the window");
    for _ in 0..11 {
        succeed(&endpoint).await.unwrap();
    }
    for _ in 0..9 {
        let _ = fail(&endpoint).await;
    }
    assert_eq!(guard.gate().state_at(now()), State::Closed, "10 of 21");
    let _ = fail(&endpoint).await;
    assert_eq!(guard.gate().state_at(now()), State::Open, "11 of 22");
}

/// What hystrix's time limit guards: answers in the time that it is told, unless it is dropped before.
struct Slow<'a> {
    abandoned: &'a AtomicU32,
}

struct OnDrop<'a>(&'a AtomicU32);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Endpoint<Request<Duration>> for Slow<'_> {
    type Response = ();
    type Error = Error;

    async fn call(&self, request: Request<Duration>) -> Result<(), Error> {
        let ends = OnDrop(self.abandoned);
        tokio::time::sleep(request.into_message()).await;
        std::mem::forget(ends);
        Ok(())
    }
}

/// A time limit of a second, which belongs inside of the breaker.
struct WithinASecond<S>(S);

impl<S: Endpoint<Request<Duration>, Response = (), Error = Error>> Endpoint<Request<Duration>> for WithinASecond<S> {
    type Response = ();
    type Error = Error;

    async fn call(&self, request: Request<Duration>) -> Result<(), Error> {
        let limited = tokio::time::timeout(seconds(1), self.0.call(request)).await;
        limited.unwrap_or_else(|_| Err(Error::deadline_exceeded("after 1 s")))
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_out_inside_counts_and_ends_the_call_that_hystrix_would_leave_running() {
    let abandoned = AtomicU32::new(0);
    let guard = Guard::with(Breaker::new(hystrix(5.0)).unwrap(), Standard, now as fn() -> Instant);
    let endpoint = guard.layer(WithinASecond(Slow { abandoned: &abandoned }));
    for _ in 0..40 {
        endpoint.call(Request::new(Duration::from_millis(1))).await.unwrap();
    }
    for _ in 0..2 {
        let error = endpoint.call(Request::new(seconds(2))).await.unwrap_err();
        assert_eq!(error.message(), "after 1 s");
    }
    assert_eq!(abandoned.load(Relaxed), 2, "nothing goes on after its time");
    for _ in 0..2 {
        let refusal = endpoint.call(Request::new(Duration::ZERO)).await.unwrap_err();
        assert_eq!(refusal.reason(), Some("CIRCUIT_OPEN"));
    }
    tokio::time::advance(seconds(5)).await;
    endpoint.call(Request::new(Duration::ZERO)).await.unwrap();
    assert_eq!(guard.gate().state_at(now()), State::Closed);
}

/// Where it differs on purpose: handy and hystrix take any late success for a sign that the peer is well.
#[tokio::test(start_paused = true)]
async fn a_success_from_before_it_opened_does_not_close_it() {
    for settings in [handy(0.05), hystrix(50.0)] {
        let (guard, endpoint) = guarding(settings);
        let late = endpoint.call(Request::new(Ask::Succeed));
        for _ in 0..20 {
            let _ = fail(&endpoint).await;
        }
        late.await.unwrap();
        assert_eq!(guard.gate().state_at(now()), State::Open);
    }
}

/// Where it differs on purpose: handy counts a panic as a success, and with hystrix it ends the process.
#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_for_them_too() {
    for settings in [handy(0.05), hystrix(50.0)] {
        let (guard, _) = guarding(settings);
        for _ in 0..20 {
            let endpoint = guard.layer(crate::support::AsTold);
            let call = tokio::spawn(async move { endpoint.call(Request::new(Ask::Panic)).await });
            if let Ok(outcome) = call.await {
                assert_eq!(outcome.unwrap_err().reason(), Some("CIRCUIT_OPEN"));
            }
        }
        assert_eq!(guard.gate().state_at(now()), State::Open);
    }
}

/// Where it differs on purpose: hystrix looks at its rates before each call, this breaker when a call fails.
#[tokio::test(start_paused = true)]
async fn a_success_opens_nothing() {
    let (guard, endpoint) = guarding(hystrix(50.0));
    for _ in 0..10 {
        let _ = fail(&endpoint).await;
    }
    for _ in 0..10 {
        succeed(&endpoint).await.unwrap();
    }
    assert_eq!(guard.gate().state_at(now()), State::Closed);
    let _ = fail(&endpoint).await;
    assert_eq!(guard.gate().state_at(now()), State::Open);
}
