//! Settings that make no sense.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use kit_base::{Backoff, Endpoint, Guard, Request};
use kit_breaker::{Breaker, Decision, InvalidSettings, OpenFor, Policy, Settings, State, Window};

use crate::support::{AsTold, Ask, fail, guarding, now, succeed};

const ZERO: Duration = Duration::ZERO;
const MILLI: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The shortest time that is too long.
fn over(time: Duration) -> Duration {
    time + Duration::from_nanos(1)
}

fn rate() -> Settings {
    Settings::new().failure_rate(0.5)
}

/// The settings, and what the error must show: the value, and what is allowed.
fn refused() -> Vec<(Settings, &'static str)> {
    let base = Settings::gobreaker;
    vec![
        (Settings::new(), "no rule opens the circuit: set one, such as `consecutive_failures(6)`"),
        (Settings::new().probes(3).open_for(DAY).window(Window::Whole).min_calls(5), "no rule opens the circuit"),
        (base().consecutive_failures(0), "consecutive_failures must be 1 to 1000000, got 0"),
        (base().consecutive_failures(1_000_001), "got 1000001"),
        (base().consecutive_failures(1_000_000_000), "got 1000000000"),
        (base().consecutive_failures(u32::MAX), "got 4294967295"),
        (rate().failure_rate(0.0), "failure_rate must be more than 0 and at most 1, got 0"),
        (rate().failure_rate(-0.0), "got -0"),
        (rate().failure_rate(-0.5), "got -0.5"),
        (rate().failure_rate(1.0 + f64::EPSILON), "got 1.0000000000000002"),
        (rate().failure_rate(50.0), "got 50"),
        (rate().failure_rate(1e9), "got 1000000000"),
        (rate().failure_rate(f64::NAN), "got NaN"),
        (rate().failure_rate(f64::INFINITY), "got inf"),
        (rate().failure_rate(f64::NEG_INFINITY), "got -inf"),
        (base().slow_calls(MILLI, 0.0), "the share of slow_calls must be more than 0 and at most 1, got 0"),
        (base().slow_calls(MILLI, f64::NAN), "got NaN"),
        (base().slow_calls(MILLI, 1.5), "got 1.5"),
        (base().slow_calls(ZERO, 0.5), "the limit of slow_calls must be 1ms to 86400s, got 0ns"),
        (base().slow_calls(Duration::from_nanos(999_999), 0.5), "got 999.999µs"),
        (base().slow_calls(over(DAY), 0.5), "got 86400.000000001s"),
        (base().slow_calls(Duration::MAX, 0.5), "got 18446744073709551615.999999999s"),
        (rate().window(Window::Calls(0)), "the calls of the window must be 1 to 10000, got 0"),
        (rate().window(Window::Calls(10_001)), "got 10001"),
        (rate().window(Window::Calls(1_000_000)), "got 1000000"),
        (rate().window(Window::Calls(u32::MAX)), "got 4294967295"),
        (rate().window(Window::Time(ZERO)), "the time of the window must be 1ms to 86400s, got 0ns"),
        (rate().window(Window::Time(over(DAY))), "got 86400.000000001s"),
        (rate().window(Window::Time(Duration::MAX)), "got 18446744073709551615.999999999s"),
        // A window is looked at though no rule uses it.
        (base().window(Window::Calls(0)), "the calls of the window must be 1 to 10000, got 0"),
        (base().window(Window::Time(ZERO)), "the time of the window must be 1ms to 86400s, got 0ns"),
        (rate().min_calls(0), "min_calls must be 1 to 500000, got 0"),
        // More than a window can be sure to hold.
        (rate().min_calls(500_001), "got 500001"),
        (rate().min_calls(1_000_000_000), "got 1000000000"),
        (rate().window(Window::Calls(10)).min_calls(11), "min_calls(11) is never reached in a window of 10 calls"),
        (base().clear_every(ZERO), "clear_every must be 1ms to 2592000s, got 0ns"),
        (base().clear_every(over(MONTH)), "got 2592000.000000001s"),
        (base().open_for(ZERO), "open_for must be 1ms to 2592000s, got 0ns"),
        (base().open_for(Duration::from_micros(999)), "got 999µs"),
        (base().open_for(over(MONTH)), "got 2592000.000000001s"),
        (base().open_for(Duration::MAX), "got 18446744073709551615.999999999s"),
        (base().heed_retry_after(ZERO), "heed_retry_after must be 1ms to 2592000s, got 0ns"),
        (base().heed_retry_after(Duration::MAX), "got 18446744073709551615.999999999s"),
        (base().probes(0), "probes must be 1 to 1000, got 0"),
        (base().probes(1_001), "got 1001"),
        (base().probes(1_000_000_000), "got 1000000000"),
        (base().successes_to_close(0), "successes_to_close must be 1 to 1000, got 0"),
        (base().successes_to_close(1_001), "got 1001"),
        (base().probe_within(ZERO), "probe_within must be 1ms to 2592000s, got 0ns"),
        (base().probe_within(over(MONTH)), "got 2592000.000000001s"),
        // One bad setting among good ones, and what only watches is checked as well.
        (rate().probes(3).open_for(DAY).min_calls(0).observe_only(), "min_calls must be 1 to 500000, got 0"),
    ]
}

#[test]
fn each_setting_out_of_range_is_refused_with_its_value_and_what_is_allowed() {
    for (settings, shows) in refused() {
        let shown = format!("{settings:?}");
        let error = Breaker::new(settings).expect_err(&shown);
        assert!(error.to_string().contains(shows), "`{error}` does not show `{shows}`");
        assert!(!error.to_string().ends_with('.'), "{error}");
    }
}

#[test]
fn each_boundary_is_accepted() {
    let base = Settings::gobreaker;
    let accepted = [
        base().consecutive_failures(1),
        base().consecutive_failures(1_000_000),
        rate().failure_rate(f64::MIN_POSITIVE),
        rate().failure_rate(1.0),
        base().slow_calls(MILLI, 1.0),
        base().slow_calls(DAY, f64::MIN_POSITIVE),
        rate().window(Window::Calls(1)),
        rate().window(Window::Calls(10_000)).min_calls(10_000),
        rate().window(Window::Calls(19)),
        rate().window(Window::Time(MILLI)),
        rate().window(Window::Time(DAY)).min_calls(500_000),
        rate().window(Window::Whole).min_calls(1),
        base().clear_every(MILLI),
        base().clear_every(MONTH),
        base().open_for(MILLI),
        base().open_for(MONTH),
        base().heed_retry_after(MILLI),
        // A rule like the others: the peer opens it.
        Settings::new().heed_retry_after(MILLI),
        base().heed_retry_after(MONTH),
        base().probes(1_000),
        base().probes(1).successes_to_close(1_000),
        base().probes(1_000).successes_to_close(1),
        base().probe_within(MILLI),
        base().probe_within(MONTH),
    ];
    for settings in accepted {
        let shown = format!("{settings:?}");
        Breaker::new(settings).expect(&shown);
    }
}

/// The most probes that there can be are let in, and as many successes close it.
#[tokio::test(start_paused = true)]
async fn the_greatest_numbers_work() {
    let settings = Settings::new().consecutive_failures(1).probes(1_000).open_for(MONTH).probe_within(MONTH);
    let (guard, endpoint) = guarding(settings);
    let _ = fail(&endpoint).await;
    tokio::time::advance(MONTH).await;
    let probes: Vec<_> = (0..1_000).map(|_| endpoint.call(Request::new(Ask::Succeed))).collect();
    succeed(&endpoint).await.unwrap_err();
    for probe in probes {
        assert_eq!(guard.gate().state_at(now()), State::HalfOpen);
        probe.await.unwrap();
    }
    assert_eq!(guard.gate().state_at(now()), State::Closed);

    let (guard, endpoint) = guarding(Settings::new().failure_rate(f64::MIN_POSITIVE).min_calls(1));
    succeed(&endpoint).await.unwrap();
    assert_eq!(guard.gate().state_at(now()), State::Closed);
    let _ = fail(&endpoint).await;
    assert_eq!(guard.gate().state_at(now()), State::Open);
}

#[tokio::test(start_paused = true)]
async fn bad_settings_change_nothing() {
    let (guard, endpoint) = guarding(rate().window(Window::Calls(10)).min_calls(3));
    succeed(&endpoint).await.unwrap();
    let _ = fail(&endpoint).await;
    let before = (format!("{:?}", guard.gate().settings()), guard.gate().snapshot_at(now()));
    for (settings, shows) in refused() {
        let error = guard.gate().change(settings).unwrap_err();
        assert!(error.to_string().contains(shows), "{error}");
        assert_eq!((format!("{:?}", guard.gate().settings()), guard.gate().snapshot_at(now())), before);
    }
    let _ = fail(&endpoint).await;
    assert_eq!(guard.gate().state_at(now()), State::Open, "what it had counted still counts");
    guard.gate().change(Settings::gobreaker()).unwrap();
    assert_eq!(guard.gate().state_at(now()), State::Open);
}

/// One `?` for both, in a function that makes a breaker.
#[test]
fn a_back_off_that_makes_no_sense_is_an_error_of_the_settings() {
    fn breaker(initial: Duration, jitter: f64) -> Result<Breaker, InvalidSettings> {
        let backoff = Backoff::new(initial, Duration::from_secs(60))?.with_jitter(jitter)?;
        Breaker::new(Settings::gobreaker().open_for(backoff))
    }
    breaker(MILLI, 0.2).unwrap();
    for (initial, jitter, shows) in [
        (ZERO, 0.2, "got 0ns"),
        (DAY, 0.2, "initial pause 86400s is greater than the maximum 60s"),
        (MILLI, f64::NAN, "got NaN"),
        (MILLI, 2.0, "got 2"),
    ] {
        let error = breaker(initial, jitter).unwrap_err();
        assert!(error.to_string().contains(shows), "{error}");
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

#[test]
fn public_types_show_what_they_hold() {
    fn shows(value: &impl Debug, shows: &[&str]) {
        let shown = format!("{value:?}");
        assert!(shows.iter().all(|part| shown.contains(part)), "{shown}");
    }
    let settings = rate().slow_calls(DAY, 0.9).policy(|| Never).window(Window::Calls(7)).probes(3).clear_every(DAY);
    shows(
        &settings,
        &["failure_rate: Some(0.5)", "slow_calls: Some((86400s, 0.9))", "policy: true", "window: Calls(7)"],
    );
    // Those that follow from others are shown as they work.
    shows(&settings, &["min_calls: 7", "probes: 3", "successes_to_close: 3", "clear_every: Some(86400s)", "60s"]);
    shows(&OpenFor::from(DAY), &["OpenFor(86400s)"]);
    shows(&OpenFor::from(Backoff::new(MILLI, DAY).unwrap()), &["OpenFor(Backoff", "1ms"]);
    shows(&OpenFor::each(std::iter::repeat(DAY)), &["OpenFor"]);
    let breaker = Breaker::new(settings).unwrap().named("stock");
    shows(&breaker, &["Breaker", "stock", ".."]);
    shows(&breaker.settings(), &["failure_rate: Some(0.5)"]);
    shows(&breaker.snapshot_at(Instant::now()), &["Closed", "window: Some(Tally { calls: 0"]);
    shows(&Decision::OpenFor(DAY), &["OpenFor(86400s)"]);
    let guard = Guard::new(breaker);
    shows(&guard, &["stock"]);
    shows(&tower_layer::Layer::layer(&guard, AsTold), &["AsTold"]);

    let error = Breaker::new(Settings::new()).unwrap_err();
    shows(&error, &["InvalidSettings", "no rule"]);
    assert_eq!(error.clone(), error);
    let boxed: Box<dyn StdError + Send + Sync> = error.into();
    assert!(boxed.downcast_ref::<InvalidSettings>().is_some() && boxed.source().is_none());

    let names = [
        (State::Closed, "closed"),
        (State::Open, "open"),
        (State::HalfOpen, "half_open"),
        (State::ForcedOpen, "forced_open"),
        (State::ForcedClosed, "forced_closed"),
        (State::Disabled, "disabled"),
    ];
    for (state, name) in names {
        assert_eq!((state.as_str(), state.to_string().as_str()), (name, name));
    }
}

#[test]
fn public_types_go_where_they_are_needed() {
    fn plain<T: Clone + Debug + Send + Sync + 'static>() {}
    fn shared<T: Debug + Send + Sync + 'static>() {}
    plain::<Settings>();
    plain::<OpenFor>();
    plain::<InvalidSettings>();
    plain::<State>();
    plain::<Window>();
    plain::<Decision>();
    plain::<kit_breaker::Snapshot>();
    plain::<kit_breaker::Tally>();
    shared::<Breaker>();
    shared::<Breaker<fn(&kit_base::Event<'_>)>>();
    shared::<kit_breaker::Permit>();

    // Settings are values: what is changed later is another.
    let first = Settings::gobreaker();
    let second = first.clone().probes(3);
    assert!(format!("{first:?}").contains("probes: 1") && format!("{second:?}").contains("probes: 3"));
}
