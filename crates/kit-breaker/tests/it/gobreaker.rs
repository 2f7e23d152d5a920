//! The published behaviour of gobreaker, step by step.
//!
//! Source: the tests of `sony/gobreaker`, versions 1 and 2. Its tests shift the clock a little further than they say;
//! here a time that is over is over to the tick.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kit_base::{End, Endpoint, Error, Event, Gate, Guard, Judgement, Kind, Now, Origin, Request, Standard};
use kit_breaker::{Breaker, Settings, Snapshot, State, Window};
use tower_layer::Layer;

use crate::support::{AsTold, Ask, Guarding, OnTokiosClock, fail, guarding, now, succeed};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The settings of gobreaker's own tests: three of five failed, of all calls of 30 s.
fn custom() -> Settings {
    Settings::new()
        .failure_rate(0.6)
        .window(Window::Whole)
        .min_calls(3)
        .clear_every(seconds(30))
        .open_for(seconds(90))
        .probes(3)
}

/// The same over a window that rolls: 30 s in buckets of 3 s.
fn rolling() -> Settings {
    Settings::new().failure_rate(0.6).window(Window::Time(seconds(30))).min_calls(3).open_for(seconds(90)).probes(3)
}

/// A call that is under way: a gate admits it when it is called, and it ends when it is awaited.
fn under_way(endpoint: &Guarding) -> impl Future<Output = Result<(), Error>> {
    endpoint.call(Request::new(Ask::Succeed))
}

/// It reaches the endpoint, and fails there.
async fn fails(endpoint: &Guarding) {
    assert_eq!(fail(endpoint).await.expect_err("a failure").message(), "as told");
}

async fn succeeds(endpoint: &Guarding) {
    succeed(endpoint).await.expect("a success");
}

fn is_refused(outcome: Result<(), Error>) {
    let refusal = outcome.expect_err("a refusal");
    assert_eq!((refusal.kind(), refusal.origin()), (Kind::Unavailable, Origin::LocalRefusal));
    // The text of `ErrOpenState`. For `ErrTooManyRequests` there is none of its own.
    assert_eq!(refusal.message(), "circuit breaker is open");
}

fn snapshot(guard: &OnTokiosClock) -> Snapshot {
    guard.gate().snapshot_at(now())
}

/// The state; requests and failures as `Counts` has them.
fn counts(guard: &OnTokiosClock) -> (State, u32, u32) {
    let snapshot = snapshot(guard);
    let tally = snapshot.window.expect("a rate is measured");
    (snapshot.state, tally.calls, tally.failures)
}

#[tokio::test(start_paused = true)]
async fn the_table_of_the_default_breaker() {
    let (guard, endpoint) = guarding(Settings::gobreaker());
    let looks = || (snapshot(&guard).state, snapshot(&guard).consecutive_failures);
    for _ in 0..5 {
        fails(&endpoint).await;
    }
    assert_eq!(looks(), (State::Closed, 5));
    succeeds(&endpoint).await;
    assert_eq!(looks(), (State::Closed, 0));
    fails(&endpoint).await;
    assert_eq!(looks(), (State::Closed, 1));

    for _ in 0..5 {
        fails(&endpoint).await;
    }
    assert_eq!(looks(), (State::Open, 0), "six failures in a row");
    is_refused(succeed(&endpoint).await);
    is_refused(fail(&endpoint).await);
    assert_eq!(snapshot(&guard).failures, 11, "what is refused is no failure");

    tokio::time::advance(seconds(59)).await;
    assert_eq!(looks(), (State::Open, 0));
    tokio::time::advance(seconds(1)).await;
    assert_eq!(looks(), (State::HalfOpen, 0));
    fails(&endpoint).await;
    assert_eq!(looks(), (State::Open, 0));

    tokio::time::advance(seconds(60)).await;
    assert_eq!(looks(), (State::HalfOpen, 0));
    succeeds(&endpoint).await;
    assert_eq!(looks(), (State::Closed, 0));
    assert_eq!(snapshot(&guard).opened, 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_counts_as_a_failure_and_goes_on() {
    let (guard, endpoint) = guarding(Settings::gobreaker());
    let panics = || {
        let endpoint = guard.layer(AsTold);
        tokio::spawn(async move { endpoint.call(Request::new(Ask::Panic)).await })
    };
    assert!(panics().await.unwrap_err().is_panic());
    assert_eq!((snapshot(&guard).state, snapshot(&guard).consecutive_failures), (State::Closed, 1));
    for _ in 0..5 {
        assert!(panics().await.unwrap_err().is_panic());
    }
    is_refused(succeed(&endpoint).await);
}

/// The steps from open to closed that both tables share.
async fn closes_after_three_probes(guard: &OnTokiosClock, endpoint: &Guarding) {
    assert_eq!(counts(guard), (State::Open, 0, 0));
    tokio::time::advance(seconds(90)).await;
    assert_eq!(counts(guard), (State::HalfOpen, 0, 0));
    succeeds(endpoint).await;
    succeeds(endpoint).await;
    let probes = || (snapshot(guard).state, snapshot(guard).probes, snapshot(guard).successes);
    assert_eq!(probes(), (State::HalfOpen, 0, 2));

    let third = under_way(endpoint);
    assert_eq!(probes(), (State::HalfOpen, 1, 2));
    is_refused(succeed(endpoint).await);
    third.await.expect("a success");
    assert_eq!(probes(), (State::Closed, 0, 0));
    assert_eq!(counts(guard), (State::Closed, 0, 0));
}

/// The table of the custom breaker up to its last line, for the tables that go on from there.
async fn custom_breaker() -> (OnTokiosClock, Guarding) {
    let (guard, endpoint) = guarding(custom());
    for _ in 0..5 {
        succeeds(&endpoint).await;
        fails(&endpoint).await;
    }
    assert_eq!(counts(&guard), (State::Closed, 10, 5));
    tokio::time::advance(seconds(29)).await;
    succeeds(&endpoint).await;
    assert_eq!(counts(&guard), (State::Closed, 11, 5));

    tokio::time::advance(seconds(1)).await;
    fails(&endpoint).await;
    assert_eq!(counts(&guard), (State::Closed, 1, 1), "the interval is over");
    succeeds(&endpoint).await;
    fails(&endpoint).await;
    closes_after_three_probes(&guard, &endpoint).await;
    (guard, endpoint)
}

#[tokio::test(start_paused = true)]
async fn the_table_of_the_custom_breaker() {
    custom_breaker().await;
}

#[tokio::test(start_paused = true)]
async fn the_table_of_generations() {
    let (guard, endpoint) = custom_breaker().await;
    tokio::time::advance(seconds(29)).await;
    succeeds(&endpoint).await;
    let late = under_way(&endpoint);
    assert_eq!(counts(&guard), (State::Closed, 1, 0));
    tokio::time::advance(seconds(1)).await;
    assert_eq!(counts(&guard), (State::Closed, 0, 0), "the interval is over");
    late.await.unwrap();
    assert_eq!(counts(&guard), (State::Closed, 0, 0), "a result of the generation before counts for nothing");
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_an_older_generation_opens_nothing() {
    let (guard, endpoint) = guarding(Settings::gobreaker());
    let late: Vec<_> = (0..6).map(|_| endpoint.call(Request::new(Ask::Fail(Error::unavailable("as told"))))).collect();
    for _ in 0..6 {
        fails(&endpoint).await;
    }
    tokio::time::advance(seconds(60)).await;
    let probe = under_way(&endpoint);
    for call in late {
        assert_eq!(call.await.unwrap_err().message(), "as told");
    }
    assert_eq!(snapshot(&guard).state, State::HalfOpen);
    probe.await.unwrap();
    assert_eq!((snapshot(&guard).state, snapshot(&guard).consecutive_failures), (State::Closed, 0));
}

#[tokio::test(start_paused = true)]
async fn the_table_of_the_rolling_window() {
    let (guard, endpoint) = guarding(rolling());
    for _ in 0..5 {
        succeeds(&endpoint).await;
        fails(&endpoint).await;
    }
    assert_eq!(counts(&guard), (State::Closed, 10, 5));
    for (wait, calls) in [(3, 11), (2, 12), (2, 13)] {
        tokio::time::advance(seconds(wait)).await;
        succeeds(&endpoint).await;
        assert_eq!(counts(&guard), (State::Closed, calls, 5));
    }
    tokio::time::advance(seconds(2)).await;
    fails(&endpoint).await;
    assert_eq!(counts(&guard), (State::Closed, 14, 6));
    for round in 0..6 {
        tokio::time::advance(seconds(3)).await;
        succeeds(&endpoint).await;
        fails(&endpoint).await;
        assert_eq!(counts(&guard), (State::Closed, 16 + 2 * round, 7 + round));
    }

    tokio::time::advance(seconds(3)).await;
    fails(&endpoint).await;
    assert_eq!(counts(&guard), (State::Closed, 17, 8), "the first bucket is out of the window");
    for more in 1..=5 {
        fails(&endpoint).await;
        assert_eq!(counts(&guard), (State::Closed, 17 + more, 8 + more));
    }
    // 14 of 23.
    fails(&endpoint).await;
    closes_after_three_probes(&guard, &endpoint).await;
}

#[test]
fn successes_of_ten_threads_are_all_counted() {
    for settings in [custom().clear_every(seconds(3600)), rolling().window(Window::Time(seconds(3600)))] {
        let (guard, endpoint) = guarding(settings);
        std::thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(async {
                        for _ in 0..10_000 {
                            succeeds(&endpoint).await;
                        }
                    });
                });
            }
        });
        assert_eq!(counts(&guard), (State::Closed, 100_000, 0));
    }
}

/// Its two-step breaker: `Allow`, and later `done`. A gate is used so without anything around it.
#[tokio::test(start_paused = true)]
async fn the_table_of_the_two_steps() {
    let breaker = Breaker::default().named("tscb");
    let clock: fn() -> Instant = now;
    let two_steps = |success: bool| -> Result<(), Error> {
        let now = Now::new(&clock);
        let permit = Gate::<(), (), Error>::admit(&breaker, &mut (), &now)?;
        let judgement = if success { Judgement::SUCCESS } else { Judgement::of_kind(Kind::Unavailable) };
        Gate::<(), (), Error>::finish(&breaker, permit, &End::answered(&judgement, &Now::new(&clock)));
        Ok(())
    };
    let looks = || (breaker.state_at(now()), breaker.snapshot_at(now()).consecutive_failures);
    assert_eq!(breaker.name(), "tscb");
    for _ in 0..5 {
        two_steps(false).unwrap();
    }
    assert_eq!(looks(), (State::Closed, 5));
    two_steps(true).unwrap();
    assert_eq!(looks(), (State::Closed, 0));
    for _ in 0..6 {
        two_steps(false).unwrap();
    }
    assert_eq!(looks(), (State::Open, 0));
    assert_eq!(two_steps(true).unwrap_err().reason(), Some("CIRCUIT_OPEN"));
    assert_eq!(two_steps(false).unwrap_err().reason(), Some("CIRCUIT_OPEN"));
    tokio::time::advance(seconds(59)).await;
    assert_eq!(looks(), (State::Open, 0));
    tokio::time::advance(seconds(1)).await;
    assert_eq!(looks(), (State::HalfOpen, 0));
    two_steps(false).unwrap();
    assert_eq!(looks(), (State::Open, 0));
    tokio::time::advance(seconds(60)).await;
    two_steps(true).unwrap();
    assert_eq!(looks(), (State::Closed, 0));
}

#[tokio::test(start_paused = true)]
async fn a_judgement_of_your_own_is_its_is_successful() {
    type Judge = fn(&Result<(), Error>) -> Judgement;
    let judged_by = |judge: Judge| {
        let guard = Guard::with(Breaker::default(), judge, now as fn() -> Instant);
        let endpoint = guard.layer(AsTold);
        (guard, endpoint)
    };
    let failing = || Request::new(Ask::Fail(Error::unavailable("as told")));

    let (guard, endpoint) = judged_by(|_| Judgement::SUCCESS);
    for _ in 0..10 {
        assert_eq!(endpoint.call(failing()).await.unwrap_err().message(), "as told");
    }
    assert_eq!((guard.gate().state_at(now()), guard.gate().snapshot_at(now()).failures), (State::Closed, 0));

    let strict: Judge = |outcome| match outcome {
        Ok(()) => Judgement::SUCCESS,
        Err(_) => Judgement::of_kind(Kind::Unknown),
    };
    let (guard, endpoint) = judged_by(strict);
    for _ in 0..6 {
        let _ = endpoint.call(Request::new(Ask::Fail(Error::not_found("as told")))).await;
    }
    assert_eq!(guard.gate().state_at(now()), State::Open, "every error a failure, as with gobreaker");
}

/// Its `IsExcluded`: what counts for nothing, as a caller who left does.
#[tokio::test(start_paused = true)]
async fn a_judgement_of_your_own_is_its_is_excluded() {
    let judge = |outcome: &Result<(), Error>| match outcome {
        Ok(()) => Judgement::SUCCESS,
        Err(error) if error.kind() == Kind::NotFound => Judgement::LEFT,
        Err(_) => Judgement::of_kind(Kind::Unknown),
    };
    let guard = Guard::with(Breaker::default(), judge, now);
    let endpoint = guard.layer(AsTold);
    let failing = |error| endpoint.call(Request::new(Ask::Fail(error)));
    let looks = || (guard.gate().state_at(now()), guard.gate().snapshot_at(now()).failures);
    for _ in 0..5 {
        let _ = failing(Error::unavailable("as told")).await;
        let _ = failing(Error::not_found("as told")).await;
    }
    assert_eq!(looks(), (State::Closed, 5));
    assert_eq!(guard.gate().snapshot_at(now()).consecutive_failures, 5, "no success either");
    let _ = failing(Error::unavailable("as told")).await;
    tokio::time::advance(seconds(60)).await;
    for _ in 0..3 {
        assert_eq!(failing(Error::not_found("as told")).await.unwrap_err().kind(), Kind::NotFound);
        assert_eq!(looks(), (State::HalfOpen, 6));
    }
    endpoint.call(Request::new(Ask::Succeed)).await.unwrap();
    assert_eq!(looks(), (State::Closed, 6));
}

#[tokio::test(start_paused = true)]
async fn each_change_of_state_is_told() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&told);
    let observer = move |event: &Event<'_>| note.lock().unwrap().push(format!("{} {}", event.key, event.what));
    let breaker = Breaker::new(custom()).unwrap().named("cb").observed_by(observer);
    let guard = Guard::with(breaker, Standard, now as fn() -> Instant);
    let endpoint = guard.layer(AsTold);
    for _ in 0..3 {
        let _ = endpoint.call(Request::new(Ask::Fail(Error::unavailable("as told")))).await;
    }
    tokio::time::advance(seconds(90)).await;
    for _ in 0..3 {
        endpoint.call(Request::new(Ask::Succeed)).await.unwrap();
    }
    assert_eq!(*told.lock().unwrap(), ["cb opened", "cb half_opened", "cb closed"]);
}

/// Where it differs on purpose: here a caller who left is no failure, and his probe's place is free again.
#[tokio::test(start_paused = true)]
async fn a_caller_who_left_is_no_failure() {
    let (guard, endpoint) = guarding(Settings::gobreaker());
    for _ in 0..20 {
        drop(endpoint.call(Request::new(Ask::Hang)));
    }
    assert_eq!((snapshot(&guard).state, snapshot(&guard).failures), (State::Closed, 0));
    for _ in 0..6 {
        fails(&endpoint).await;
    }
    tokio::time::advance(seconds(60)).await;
    drop(endpoint.call(Request::new(Ask::Hang)));
    assert_eq!((snapshot(&guard).state, snapshot(&guard).probes), (State::HalfOpen, 0));
    succeeds(&endpoint).await;
    assert_eq!(snapshot(&guard).state, State::Closed);
}

/// `Interval` begins when the circuit closes, whatever the circuit waited for before.
#[tokio::test(start_paused = true)]
async fn the_interval_begins_anew_when_somebody_closes_it_or_changes_it() {
    for changed in [false, true] {
        let open_for_long = custom().open_for(seconds(3600));
        let (guard, endpoint) = guarding(if changed { custom().clear_every(seconds(3600)) } else { open_for_long });
        for _ in 0..2 {
            fails(&endpoint).await;
        }
        if changed {
            guard.gate().change(custom()).unwrap();
        } else {
            fails(&endpoint).await;
            assert_eq!(counts(&guard), (State::Open, 0, 0));
            guard.gate().reset();
        }
        tokio::time::advance(seconds(5)).await;
        for _ in 0..3 {
            succeeds(&endpoint).await;
        }
        tokio::time::advance(seconds(29)).await;
        assert_eq!(counts(&guard), (State::Closed, 3, 0));
        tokio::time::advance(seconds(1)).await;
        assert_eq!(counts(&guard), (State::Closed, 0, 0), "changed: {changed}");
        fails(&endpoint).await;
        assert_eq!(counts(&guard), (State::Closed, 1, 1), "changed: {changed}");
    }
}
