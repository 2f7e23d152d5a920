//! Policies and back-off strategies of the crate failsafe.

use std::time::{Duration, Instant};

use failsafe::{FailurePolicy, backoff, failure_policy};
use kit_base::{Endpoint, Error, Request};
use kit_breaker::{Decision, Failsafe, OpenFor, Policy, Settings, State};

use crate::support::{Ask, Guarding, OnTokiosClock, fail, guarding, now, succeed};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How long it goes on refusing.
fn open_for(guard: &OnTokiosClock) -> Duration {
    let snapshot = guard.gate().snapshot_at(now());
    assert_eq!(snapshot.state, State::Open);
    snapshot.open_for.expect("an open circuit says how long")
}

async fn fails(endpoint: &Guarding) {
    assert_eq!(fail(endpoint).await.expect_err("a failure").message(), "as told");
}

/// The open times of a circuit whose first call and whose probes all fail.
async fn open_times(guard: &OnTokiosClock, endpoint: &Guarding, how_many: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..how_many {
        fails(endpoint).await;
        times.push(open_for(guard));
        tokio::time::advance(open_for(guard)).await;
    }
    times
}

#[tokio::test(start_paused = true)]
async fn consecutive_failures_open_it_for_the_times_of_its_back_off() {
    let growing = backoff::exponential(seconds(5), seconds(30));
    let settings = Settings::new()
        .policy(move || Failsafe::new(failure_policy::consecutive_failures(3, growing.clone())))
        .open_for(seconds(3600));
    let (guard, endpoint) = guarding(settings);
    for _ in 0..2 {
        fails(&endpoint).await;
    }
    succeed(&endpoint).await.unwrap();
    for _ in 0..2 {
        fails(&endpoint).await;
    }
    assert_eq!(guard.gate().state_at(now()), State::Closed, "two in a row");

    // A probe that fails opens it for the next time, as with failsafe's own breaker.
    assert_eq!(open_times(&guard, &endpoint, 4).await, [5, 10, 20, 30].map(seconds));

    // Revived: the back-off begins anew.
    succeed(&endpoint).await.unwrap();
    for _ in 0..2 {
        fails(&endpoint).await;
    }
    assert_eq!(open_times(&guard, &endpoint, 2).await, [5, 10].map(seconds));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_lost_is_a_failure_for_its_back_off_too() {
    let growing = backoff::exponential(seconds(5), seconds(30));
    let settings = Settings::new()
        .policy(move || Failsafe::new(failure_policy::consecutive_failures(1, growing.clone())))
        .probe_within(seconds(1));
    let (guard, endpoint) = guarding(settings);
    assert_eq!(open_times(&guard, &endpoint, 1).await, [seconds(5)]);
    let _hangs = endpoint.call(Request::new(Ask::Hang));
    tokio::time::advance(seconds(1)).await;
    succeed(&endpoint).await.unwrap_err();
    assert_eq!(open_for(&guard), seconds(10));
}

/// Upstream everything is let in while half-open.
#[tokio::test(start_paused = true)]
async fn half_open_is_bounded_and_only_the_probe_that_opens_it_counts() {
    let growing = backoff::exponential(seconds(5), seconds(30));
    let settings = Settings::new()
        .policy(move || Failsafe::new(failure_policy::consecutive_failures(1, growing.clone())))
        .probes(2);
    let (guard, endpoint) = guarding(settings);
    fails(&endpoint).await;
    tokio::time::advance(seconds(5)).await;
    let failing = || endpoint.call(Request::new(Ask::Fail(Error::unavailable("as told"))));
    let probes = [failing(), failing()];
    for _ in 0..100 {
        assert_eq!(succeed(&endpoint).await.unwrap_err().reason(), Some("CIRCUIT_OPEN"));
    }
    assert_eq!(guard.gate().snapshot_at(now()).probes, 2);
    for probe in probes {
        assert_eq!(probe.await.unwrap_err().message(), "as told");
    }
    assert_eq!(open_for(&guard), seconds(10), "two probes failed, and it opened once");
}

#[tokio::test(start_paused = true)]
async fn either_of_two_policies_opens_it_for_the_longer_time() {
    let (guard, endpoint) = guarding(Settings::new().policy(|| {
        let three = failure_policy::consecutive_failures(3, backoff::constant(seconds(3)));
        let two = failure_policy::consecutive_failures(2, backoff::constant(seconds(2)));
        Failsafe::new(three.or_else(two))
    }));
    fails(&endpoint).await;
    assert_eq!(open_times(&guard, &endpoint, 2).await, [seconds(2), seconds(3)]);
}

/// On the clock of the standard library, which no test can pause: a window is a second at least.
#[tokio::test]
async fn a_rate_of_successes_opens_it_once_a_window_has_passed() {
    let (guard, endpoint) = guarding(Settings::new().policy(|| {
        let backoff = backoff::constant(seconds(30));
        Failsafe::new(failure_policy::success_rate_over_time_window(0.8, 5, seconds(1), backoff))
    }));
    let began = Instant::now();
    for _ in 0..20 {
        fails(&endpoint).await;
    }
    let state = guard.gate().state_at(now());
    assert!(state == State::Closed || began.elapsed() >= seconds(1), "no window has passed");
    tokio::time::sleep(seconds(1)).await;
    for _ in 0..10 {
        let _ = fail(&endpoint).await;
    }
    assert_eq!(guard.gate().state_at(now()), State::Open);
}

#[test]
fn its_defaults_are_rules_too() {
    fn opens_after<P: FailurePolicy + Send>(policy: P) -> Option<usize> {
        let mut policy = Failsafe::new(policy);
        (1..20).find(|_| policy.failure(Instant::now()) != Decision::Stay)
    }
    use failure_policy::{ConsecutiveFailures, SuccessRateOverTimeWindow};
    assert_eq!(opens_after(ConsecutiveFailures::<backoff::EqualJittered>::default()), Some(5));
    let rate = SuccessRateOverTimeWindow::<backoff::EqualJittered>::default();
    assert_eq!(opens_after(rate), None, "not in the first 30 s");
}

#[test]
fn what_a_probe_tells_a_policy_that_would_not_open_is_its_last_time() {
    let now = Instant::now();
    // With failsafe's own breaker too, the time stays when the policy has nothing to say.
    let mut policy = Failsafe::new(failure_policy::consecutive_failures(2, backoff::constant(seconds(7))));
    assert_eq!(policy.reopen(now), None, "it has never opened the circuit: the time of the settings");
    assert_eq!(policy.failure(now), Decision::OpenFor(seconds(7)));
    policy.success(now);
    assert_eq!(policy.reopen(now), Some(seconds(7)));
    policy.reset(now);
    assert_eq!(policy.reopen(now), None);
    assert!(format!("{policy:?}").starts_with("Failsafe(ConsecutiveFailures"), "{policy:?}");
}

#[tokio::test(start_paused = true)]
async fn its_back_off_strategies_are_open_times_of_any_rule() {
    let (start, most) = (seconds(10), seconds(40));
    let exact = [10, 20, 40, 40].map(seconds);
    let rule = |times: OpenFor| Settings::new().consecutive_failures(1).open_for(times);

    let (guard, endpoint) = guarding(rule(OpenFor::each(backoff::constant(start))));
    assert_eq!(open_times(&guard, &endpoint, 4).await, [start; 4]);
    let (guard, endpoint) = guarding(rule(OpenFor::each(backoff::exponential(start, most))));
    assert_eq!(open_times(&guard, &endpoint, 4).await, exact);
    succeed(&endpoint).await.unwrap();
    assert_eq!(open_times(&guard, &endpoint, 4).await, exact, "anew once it has closed");

    let (guard, endpoint) = guarding(rule(OpenFor::each(backoff::equal_jittered(start, most))));
    for (time, full) in open_times(&guard, &endpoint, 4).await.into_iter().zip(exact) {
        assert!(time >= full / 2 && time <= full, "{time:?} of {full:?}");
    }
    let (guard, endpoint) = guarding(rule(OpenFor::each(backoff::full_jittered(start, most))));
    for (time, full) in open_times(&guard, &endpoint, 4).await.into_iter().zip(exact) {
        // 0 s are 1 ms.
        assert!(time >= Duration::from_millis(1) && time <= full, "{time:?} of {full:?}");
    }
}

/// Each circuit has a policy of its own, and new settings make a new one.
#[tokio::test(start_paused = true)]
async fn a_policy_belongs_to_one_circuit() {
    let settings = Settings::new()
        .policy(|| Failsafe::new(failure_policy::consecutive_failures(2, backoff::constant(seconds(5)))));
    let (first, endpoint) = guarding(settings.clone());
    let (second, other) = guarding(settings.clone());
    fails(&endpoint).await;
    fails(&other).await;
    assert_eq!(first.gate().state_at(now()), State::Closed);
    first.gate().change(settings).unwrap();
    fails(&endpoint).await;
    assert_eq!(first.gate().state_at(now()), State::Closed);
    fails(&other).await;
    assert_eq!(second.gate().state_at(now()), State::Open);
}

/// A policy that panics, as failsafe's own do over times that it cannot add up.
struct Panics;

impl FailurePolicy for Panics {
    fn record_success(&mut self) {
        panic!("as told");
    }

    fn mark_dead_on_failure(&mut self) -> Option<Duration> {
        panic!("as told");
    }

    fn revived(&mut self) {
        panic!("as told");
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_panics_harms_no_call() {
    let settings = Settings::new().policy(|| Failsafe::new(Panics)).consecutive_failures(3).open_for(seconds(5));
    let (guard, endpoint) = guarding(settings);
    succeed(&endpoint).await.unwrap();
    for _ in 0..3 {
        fails(&endpoint).await;
    }
    assert_eq!(open_times_after(&guard).await, seconds(5));
    fails(&endpoint).await;
    assert_eq!(open_times_after(&guard).await, seconds(5), "asked after a probe, it panics as well");
    succeed(&endpoint).await.unwrap();
    assert_eq!(guard.gate().state_at(now()), State::Closed);
}

async fn open_times_after(guard: &OnTokiosClock) -> Duration {
    let time = open_for(guard);
    tokio::time::advance(time).await;
    time
}
