//! Time, right to the tick.

use std::time::{Duration, Instant};

use kit_base::{Backoff, Cause, Endpoint, Error, Judgement, Kind, Origin, Request, RetryHint};
use kit_breaker::{Breaker, Decision, OpenFor, Policy, Settings, State, Tally, Window};

use crate::support::{Ask, ByHand, Told, fail, guarding, now, succeed};

const TICK: Duration = Duration::from_nanos(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// One failure opens it for 10 s.
fn quick() -> Settings {
    Settings::new().consecutive_failures(1).open_for(ms(10_000))
}

/// Opens it, or opens it once more by its probe.
#[track_caller]
fn open<O: kit_base::Observer + 'static>(by_hand: &ByHand<O>) {
    by_hand.fail(by_hand.begin());
    assert_eq!(by_hand.state(), State::Open);
}

/// How long it is open, to the tick.
#[track_caller]
fn passes<O: kit_base::Observer + 'static>(by_hand: &ByHand<O>, time: Duration) {
    assert_eq!(by_hand.snapshot().open_for, Some(time));
    assert_eq!(by_hand.refused(), Some(time));
    by_hand.advance(time - TICK);
    assert_eq!((by_hand.state(), by_hand.refused()), (State::Open, Some(TICK)));
    by_hand.advance(TICK);
    assert_eq!((by_hand.state(), by_hand.snapshot().open_for), (State::HalfOpen, None));
}

#[test]
fn it_is_open_until_the_very_tick() {
    let by_hand = ByHand::new(quick());
    by_hand.advance(ms(1_234));
    open(&by_hand);
    passes(&by_hand, ms(10_000));
    // It is half-open without a call, but the next call is the first probe.
    assert_eq!(by_hand.snapshot().probes, 0);
    let probe = by_hand.begin();
    assert_eq!((by_hand.snapshot().probes, by_hand.refused()), (1, Some(ms(100))));
    by_hand.succeed(probe);
    assert_eq!(by_hand.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn on_a_paused_clock_it_is_open_until_the_very_tick() {
    let (guard, endpoint) = guarding(quick());
    let _ = fail(&endpoint).await;
    tokio::time::advance(ms(9_999)).await;
    assert_eq!(succeed(&endpoint).await.unwrap_err().retry_after(), Some(ms(1)));
    tokio::time::advance(ms(1)).await;
    assert_eq!(guard.gate().state_at(now()), State::HalfOpen);
    succeed(&endpoint).await.unwrap();
    assert_eq!(guard.gate().state_at(now()), State::Closed);
}

#[test]
fn it_is_open_from_the_end_of_the_call_that_failed_and_not_from_its_beginning() {
    // Whether or not the time of its admission is known.
    for settings in [quick(), quick().slow_calls(DAY, 1.0)] {
        let by_hand = ByHand::new(settings);
        let call = by_hand.begin();
        by_hand.advance(ms(5_000));
        by_hand.fail(call);
        passes(&by_hand, ms(10_000));
        let probe = by_hand.begin();
        by_hand.advance(ms(5_000));
        by_hand.fail(probe);
        passes(&by_hand, ms(10_000));
    }
}

#[test]
fn probes_are_given_up_at_the_very_tick() {
    let told = Told::default();
    let settings = quick().probe_within(ms(3_000));
    let by_hand = ByHand::over(Breaker::new(settings).unwrap().observed_by(told.clone()));
    open(&by_hand);
    by_hand.advance(ms(10_000));
    let lost = by_hand.begin();
    by_hand.advance(ms(3_000) - TICK);
    assert_eq!(by_hand.refused(), Some(ms(100)));
    by_hand.advance(TICK);
    told.take();
    // Whoever comes then finds it open again, for its whole time.
    assert_eq!((by_hand.refused(), by_hand.state()), (Some(ms(10_000)), State::Open));
    assert_eq!(told.take(), ["opened", "refused"]);
    by_hand.succeed(lost);
    assert_eq!(by_hand.state(), State::Open);
    assert_eq!(by_hand.snapshot().opened, 2);
}

#[test]
fn a_probe_that_streams_is_a_success_at_the_very_tick() {
    let told = Told::default();
    let settings = quick().probe_within(ms(3_000));
    let by_hand = ByHand::over(Breaker::new(settings).unwrap().observed_by(told.clone()));
    open(&by_hand);
    by_hand.advance(ms(10_000));
    let mut stream = by_hand.begin();
    by_hand.answer(&mut stream, Judgement::SUCCESS);
    by_hand.advance(ms(3_000) - TICK);
    assert_eq!(by_hand.refused(), Some(ms(100)));
    by_hand.advance(TICK);
    told.take();
    let call = by_hand.begin();
    assert_eq!((by_hand.state(), told.take()), (State::Closed, vec!["closed"]));
    // What becomes of the stream is of a time before.
    by_hand.fail(stream);
    assert_eq!(by_hand.state(), State::Closed);
    by_hand.fail(call);
    assert_eq!(by_hand.state(), State::Open);
}

#[test]
fn streams_count_for_as_many_successes_as_there_are_and_others_must_follow() {
    let by_hand = ByHand::new(quick().probes(2).successes_to_close(3).probe_within(ms(3_000)));
    open(&by_hand);
    by_hand.advance(ms(10_000));
    let (mut one, mut two) = (by_hand.begin(), by_hand.begin());
    by_hand.answer(&mut one, Judgement::SUCCESS);
    by_hand.answer(&mut two, Judgement::SUCCESS);
    by_hand.advance(ms(3_000));
    let third = by_hand.begin();
    assert_eq!((by_hand.snapshot().probes, by_hand.snapshot().successes), (1, 2));
    by_hand.fail(one);
    by_hand.leave(two);
    assert_eq!((by_hand.snapshot().probes, by_hand.snapshot().successes), (1, 2));
    by_hand.succeed(third);
    assert_eq!(by_hand.state(), State::Closed);
}

#[test]
fn each_probe_has_its_time_from_the_last_that_was_let_in() {
    let by_hand = ByHand::new(quick().probes(2).probe_within(ms(3_000)));
    open(&by_hand);
    by_hand.advance(ms(10_000));
    let _one = by_hand.begin();
    by_hand.advance(ms(2_000));
    let _two = by_hand.begin();
    by_hand.advance(ms(3_000) - TICK);
    assert_eq!(by_hand.refused(), Some(ms(100)));
    by_hand.advance(TICK);
    assert_eq!(by_hand.refused(), Some(ms(10_000)));
}

#[test]
fn it_forgets_at_the_very_tick() {
    let settings = || Settings::new().consecutive_failures(2).clear_every(ms(1_000));
    // The first call begins to count the time.
    let by_hand = ByHand::new(settings());
    by_hand.advance(ms(5_000));
    by_hand.fail(by_hand.begin());
    by_hand.advance(ms(1_000) - TICK);
    by_hand.fail(by_hand.begin());
    assert_eq!(by_hand.state(), State::Open);

    let by_hand = ByHand::new(settings());
    by_hand.fail(by_hand.begin());
    by_hand.advance(ms(1_000));
    by_hand.fail(by_hand.begin());
    assert_eq!((by_hand.state(), by_hand.snapshot().consecutive_failures), (State::Closed, 1));

    // A call from before is of the time before, though nobody else has looked.
    let by_hand = ByHand::new(settings());
    let (early, late) = (by_hand.begin(), by_hand.begin());
    by_hand.advance(ms(1_000) - TICK);
    by_hand.fail(early);
    by_hand.advance(TICK);
    by_hand.fail(late);
    assert_eq!((by_hand.state(), by_hand.snapshot().consecutive_failures), (State::Closed, 0));
}

#[test]
fn it_forgets_at_the_very_tick_after_it_has_closed_or_was_reset_or_changed() {
    let settings = || Settings::new().consecutive_failures(2).clear_every(ms(1_000)).open_for(ms(60_000));
    let counts_from_here = |by_hand: &ByHand, interval: Duration| {
        by_hand.fail(by_hand.begin());
        by_hand.advance(interval - TICK);
        assert_eq!(by_hand.snapshot().consecutive_failures, 1);
        by_hand.succeed(by_hand.begin());
        by_hand.fail(by_hand.begin());
        assert_eq!(by_hand.snapshot().consecutive_failures, 1);
        by_hand.advance(TICK);
        let call = by_hand.begin();
        assert_eq!(by_hand.snapshot().consecutive_failures, 0);
        by_hand.succeed(call);
    };
    let by_hand = ByHand::new(settings().probes(2).successes_to_close(1));
    for _ in 0..2 {
        by_hand.fail(by_hand.begin());
    }
    by_hand.advance(ms(60_000));
    let (probe, other) = (by_hand.begin(), by_hand.begin());
    by_hand.advance(ms(7));
    by_hand.succeed(probe);
    by_hand.leave(other);
    counts_from_here(&by_hand, ms(1_000));

    for _ in 0..2 {
        by_hand.fail(by_hand.begin());
    }
    assert_eq!(by_hand.state(), State::Open);
    by_hand.breaker.reset();
    counts_from_here(&by_hand, ms(1_000));

    // Not only when the interval before is over.
    by_hand.breaker.change(settings().clear_every(DAY)).unwrap();
    by_hand.succeed(by_hand.begin());
    by_hand.breaker.change(settings().clear_every(ms(10))).unwrap();
    counts_from_here(&by_hand, ms(10));
}

fn a_window_of(time: Duration) -> Settings {
    Settings::new().failure_rate(1.0).window(Window::Time(time)).min_calls(3)
}

fn tally<O: kit_base::Observer + 'static>(by_hand: &ByHand<O>) -> (u32, u32, u32) {
    let Tally { calls, failures, slow, .. } = by_hand.snapshot().window.expect("a window");
    (calls, failures, slow)
}

#[test]
fn the_slices_of_a_window_leave_it_one_by_one() {
    let by_hand = ByHand::new(Settings::new().failure_rate(1.0).window(Window::Time(ms(1_000))).min_calls(1_000));
    // One call in the first tenth, two in the second, and so on, each at the last tick of it.
    for tenth in 1..=10 {
        by_hand.advance(ms(100) - TICK);
        for _ in 0..tenth {
            by_hand.succeed(by_hand.begin());
        }
        assert_eq!(tally(&by_hand).0, (1..=tenth).sum::<u32>());
        by_hand.advance(TICK);
    }
    for tenth in 1..=10 {
        assert_eq!(tally(&by_hand).0, (tenth + 1..=10).sum::<u32>(), "{tenth}");
        by_hand.advance(ms(100) - TICK);
        assert_eq!(tally(&by_hand).0, (tenth + 1..=10).sum::<u32>(), "{tenth}");
        by_hand.advance(TICK);
    }
    assert_eq!(tally(&by_hand), (0, 0, 0));
}

/// A slice has room for 2^20 calls, and halves what it has counted when that is full.
#[test]
fn shares_stay_what_they_are_where_there_are_more_calls_than_a_slice_has_room_for() {
    let settings = Settings::new().failure_rate(0.6).slow_calls(ms(1), 0.6).window(Window::Whole).min_calls(1_000);
    let by_hand = ByHand::new(settings);
    for n in 0..1_100_000 {
        let call = by_hand.begin();
        if n % 2 == 0 {
            by_hand.succeed(call);
        } else {
            by_hand.advance(ms(1));
            by_hand.fail(call);
        }
    }
    let (calls, failures, slow) = tally(&by_hand);
    assert!((500_000..600_000).contains(&calls), "{calls}");
    assert!(failures.abs_diff(calls / 2) <= 1 && slow.abs_diff(calls / 2) <= 1, "{calls} {failures} {slow}");
}

#[test]
fn a_window_of_time_sees_what_comes_after_however_long_a_quiet() {
    for (window, quiet) in [(ms(1), ms(1_000_000)), (ms(100), DAY), (ms(1_000), DAY * 10), (ms(10_000), DAY * 100)] {
        let by_hand = ByHand::new(a_window_of(window));
        for _ in 0..10 {
            by_hand.succeed(by_hand.begin());
            by_hand.advance(window / 10);
        }
        by_hand.advance(quiet);
        for _ in 0..3 {
            by_hand.fail(by_hand.begin());
        }
        assert_eq!(by_hand.state(), State::Open, "{window:?} after {quiet:?}");
    }
}

#[test]
fn a_window_that_begins_late_sees_as_well() {
    // The second is just before the numbers of its slices begin again.
    for late in [DAY * 10, ms(100) * ((1 << 24) - 50)] {
        let by_hand = ByHand::new(Settings::gobreaker());
        by_hand.advance(late);
        by_hand.breaker.change(a_window_of(ms(1_000))).unwrap();
        for _ in 0..3 {
            by_hand.fail(by_hand.begin());
        }
        assert_eq!(by_hand.state(), State::Open, "after {late:?}");
    }
}

/// Slices are numbered in 24 bits, so that what begins just before a round of them is over looks late, and must not be.
#[test]
fn a_window_that_begins_as_the_numbers_of_its_slices_begin_anew_sees_as_well() {
    let slice = ms(1) / 10;
    for before in [1_000, 100, 50, 23, 22, 21, 12, 11, 10, 1] {
        let by_hand = ByHand::new(Settings::gobreaker());
        by_hand.advance(slice * ((1 << 24) - before));
        by_hand.breaker.change(a_window_of(ms(1))).unwrap();
        for _ in 0..3 {
            by_hand.fail(by_hand.begin());
        }
        assert_eq!(by_hand.state(), State::Open, "{before}");
    }
}

/// 2^27 changes, after which half of all generations are older than the first.
#[test]
#[ignore = "takes some seconds: runs with --deep"]
fn windows_and_policies_that_begin_after_many_generations_see_as_well() {
    let by_hand = ByHand::new(Settings::gobreaker());
    for _ in 0..(1 << 27) + 5 {
        by_hand.breaker.force_closed();
    }
    by_hand.breaker.reset();
    for window in [Window::Calls(3), Window::Time(ms(1_000)), Window::Whole] {
        by_hand.breaker.change(a_window_of(ms(1_000)).window(window)).unwrap();
        for _ in 0..3 {
            by_hand.fail(by_hand.begin());
        }
        assert_eq!(by_hand.state(), State::Open, "{window:?}");
        by_hand.breaker.reset();
    }
    by_hand.breaker.change(Settings::new().policy(|| AtOnce)).unwrap();
    by_hand.fail(by_hand.begin());
    assert_eq!(by_hand.state(), State::Open);
}

/// More calls than a slice can count, 4 in 10 of them slow, 4 in 10 failing; half of them would open it.
#[test]
fn rates_stay_what_they_are_when_there_are_more_calls_than_a_slice_counts() {
    let half = Settings::new().slow_calls(ms(1), 0.5).failure_rate(0.5).min_calls(1_000);
    let by_hand = ByHand::new(half.window(Window::Whole));
    for call in 0..1_100_000 {
        let permit = by_hand.begin();
        if call % 10 < 4 {
            by_hand.advance(ms(1));
        }
        if call % 10 < 6 {
            by_hand.succeed(permit);
        } else {
            by_hand.fail(permit);
        }
    }
    let (calls, failures, slow) = tally(&by_hand);
    let share = |part: u32| (f64::from(part) / f64::from(calls) * 100.0).round() as u32;
    assert_eq!((by_hand.state(), share(failures), share(slow)), (State::Closed, 40, 40));
}

/// A policy that opens at the first failure.
struct AtOnce;

impl Policy for AtOnce {
    fn success(&mut self, _: Instant) {}

    fn failure(&mut self, _: Instant) -> Decision {
        Decision::Open
    }

    fn reset(&mut self, _: Instant) {}
}

#[test]
fn a_call_of_exactly_the_limit_is_slow() {
    let settings = || Settings::new().slow_calls(ms(100), 1.0).window(Window::Calls(1)).open_for(ms(10_000));
    let by_hand = ByHand::new(settings());
    let call = by_hand.begin();
    by_hand.advance(ms(100) - TICK);
    by_hand.succeed(call);
    assert_eq!((by_hand.state(), tally(&by_hand)), (State::Closed, (1, 0, 0)));
    let call = by_hand.begin();
    by_hand.advance(ms(100));
    by_hand.succeed(call);
    assert_eq!(by_hand.state(), State::Open);
    // Nor is it a success of a probe.
    by_hand.advance(ms(10_000));
    let probe = by_hand.begin();
    by_hand.advance(ms(100));
    by_hand.succeed(probe);
    assert_eq!(by_hand.state(), State::Open);
    by_hand.advance(ms(10_000));
    let probe = by_hand.begin();
    by_hand.advance(ms(100) - TICK);
    by_hand.succeed(probe);
    assert_eq!(by_hand.state(), State::Closed);
}

#[test]
fn whoever_had_less_time_than_the_limit_says_nothing_when_it_is_over() {
    let expires = |by_hand: &ByHand, after: Duration| {
        let call = by_hand.begin();
        by_hand.advance(after);
        by_hand.end(call, Judgement::of_kind(Kind::DeadlineExceeded), Cause::Answered);
    };
    let with_limit = quick().slow_calls(ms(100), 1.0).min_calls(1_000);
    let by_hand = ByHand::new(with_limit);
    expires(&by_hand, ms(100) - TICK);
    assert_eq!((by_hand.state(), by_hand.snapshot().failures), (State::Closed, 0));
    assert_eq!(tally(&by_hand), (0, 0, 0));
    expires(&by_hand, ms(100));
    assert_eq!((by_hand.state(), by_hand.snapshot().failures), (State::Open, 1));
    // A probe that had too little time gives its place back.
    by_hand.advance(ms(10_000));
    expires(&by_hand, ms(50));
    assert_eq!((by_hand.state(), by_hand.snapshot().probes), (State::HalfOpen, 0));
    // Without a limit it is a failure, however soon.
    let by_hand = ByHand::new(quick());
    expires(&by_hand, TICK);
    assert_eq!(by_hand.state(), State::Open);
}

#[test]
fn what_the_peer_asks_for_is_heeded_and_cut() {
    let busy = |after| Judgement::of_parts(Kind::Unavailable, Origin::Remote, RetryHint::After(after));
    let broken = |after| Judgement::of_parts(Kind::Internal, Origin::Remote, RetryHint::After(after));
    let ends = |settings: Settings, judgement| {
        let by_hand = ByHand::new(settings);
        by_hand.end(by_hand.begin(), judgement, Cause::Answered);
        by_hand
    };
    let heeding = || quick().heed_retry_after(ms(30_000));
    passes(&ends(heeding(), busy(ms(7_000))), ms(7_000));
    passes(&ends(heeding(), busy(ms(30_000))), ms(30_000));
    passes(&ends(heeding(), busy(ms(30_001))), ms(30_000));
    passes(&ends(heeding(), busy(Duration::MAX)), ms(30_000));
    passes(&ends(heeding(), busy(Duration::ZERO)), ms(1));
    passes(&ends(heeding(), broken(ms(20_000))), ms(20_000));
    passes(&ends(heeding(), broken(DAY)), ms(30_000));
    // Not heeded: busy is no failure, and what is one opens it for its own time.
    assert_eq!(ends(quick(), busy(ms(7_000))).state(), State::Closed);
    passes(&ends(quick(), broken(ms(7_000))), ms(10_000));
    // A probe that is told to wait opens it for that time.
    let by_hand = ends(heeding(), busy(ms(7_000)));
    by_hand.advance(ms(7_000));
    by_hand.end(by_hand.begin(), busy(ms(3_000)), Cause::Answered);
    passes(&by_hand, ms(3_000));
    // With no other rule, nothing else opens it; but a probe that fails does.
    let alone = || Settings::new().heed_retry_after(ms(30_000)).open_for(ms(10_000));
    let by_hand = ends(alone(), Judgement::of_kind(Kind::Internal));
    by_hand.end(by_hand.begin(), busy(ms(7_000)), Cause::Answered);
    passes(&by_hand, ms(7_000));
    by_hand.fail(by_hand.begin());
    passes(&by_hand, ms(10_000));
    // A local refusal tells nothing of the peer, whatever it asks for, and a quota that is used up is this caller's own.
    let quota = Judgement::of_parts(Kind::ResourceExhausted, Origin::Remote, RetryHint::After(ms(7_000)));
    assert_eq!(ends(heeding(), quota).state(), State::Closed);
    let own = Judgement::of_parts(Kind::Unavailable, Origin::LocalRefusal, RetryHint::After(ms(7_000)));
    assert_eq!(ends(heeding(), own).state(), State::Closed);
}

#[test]
fn open_times_grow_while_probes_fail_and_begin_anew_when_one_succeeds() {
    let backoff = Backoff::new(ms(1_000), ms(5_000)).unwrap().with_jitter(0.0).unwrap();
    let by_hand = ByHand::new(quick().open_for(backoff));
    for _ in 0..2 {
        for time in [1_000, 2_000, 4_000, 5_000, 5_000].map(ms) {
            open(&by_hand);
            passes(&by_hand, time);
        }
        by_hand.succeed(by_hand.begin());
        assert_eq!(by_hand.state(), State::Closed);
    }
    open(&by_hand);
    passes(&by_hand, ms(1_000));
    open(&by_hand);
    by_hand.breaker.reset();
    open(&by_hand);
    passes(&by_hand, ms(1_000));
    // A time that the peer asks for takes none of them.
    by_hand.breaker.reset();
    by_hand.breaker.change(quick().open_for(backoff).heed_retry_after(DAY)).unwrap();
    let broken = Judgement::of_parts(Kind::Internal, Origin::Remote, RetryHint::After(ms(7_000)));
    by_hand.end(by_hand.begin(), broken, Cause::Answered);
    passes(&by_hand, ms(7_000));
    open(&by_hand);
    passes(&by_hand, ms(1_000));
}

#[test]
fn the_jitter_of_open_times_cuts_them_and_never_to_nothing() {
    let backoff = Backoff::new(ms(1_000), ms(1_000)).unwrap().with_jitter(1.0).unwrap();
    let by_hand = ByHand::new(quick().open_for(backoff));
    for _ in 0..100 {
        open(&by_hand);
        let time = by_hand.snapshot().open_for.unwrap();
        assert!((ms(1)..=ms(1_000)).contains(&time), "{time:?}");
        by_hand.advance(time);
    }
}

#[test]
fn the_times_of_an_iterator_end_are_nothing_or_huge_and_do_no_harm() {
    const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    let opens_for = |times: OpenFor, expected: &[Duration]| {
        let by_hand = ByHand::new(quick().open_for(times));
        for &time in expected {
            open(&by_hand);
            passes(&by_hand, time);
        }
    };
    // Its last one stays.
    opens_for(OpenFor::each([ms(5), ms(9)].into_iter()), &[ms(5), ms(9), ms(9), ms(9)]);
    opens_for(OpenFor::each(std::iter::empty()), &[ms(60_000), ms(60_000)]);
    opens_for(OpenFor::each([Duration::ZERO, TICK].into_iter()), &[ms(1), ms(1), ms(1)]);
    opens_for(OpenFor::each([Duration::MAX, ms(1)].into_iter()), &[LONGEST, ms(1)]);
    opens_for(OpenFor::each([LONGEST + TICK].into_iter()), &[LONGEST]);
    let mut calls = 0;
    let ends_and_goes_on = std::iter::from_fn(move || {
        calls += 1;
        (calls % 2 == 1).then_some(ms(calls))
    });
    opens_for(OpenFor::each(ends_and_goes_on), &[ms(1), ms(1), ms(3), ms(3)]);
}

#[test]
fn an_iterator_that_panics_opens_it_all_the_same() {
    let mut calls = 0;
    let panics = std::iter::from_fn(move || {
        calls += 1;
        assert!(calls % 2 == 1, "as told");
        Some(ms(calls))
    });
    let by_hand = ByHand::new(quick().open_for(OpenFor::each(panics)));
    for time in [1, 60_000, 3, 60_000].map(ms) {
        open(&by_hand);
        passes(&by_hand, time);
    }
    by_hand.succeed(by_hand.begin());
    assert_eq!(by_hand.state(), State::Closed);
}

#[test]
fn times_without_measure_do_not_overflow() {
    const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    let settings = Settings::new()
        .consecutive_failures(1)
        .clear_every(LONGEST)
        .open_for(LONGEST)
        .probe_within(LONGEST)
        .slow_calls(DAY, 1.0)
        .window(Window::Time(DAY));
    let by_hand = ByHand::new(settings);
    // As far as the clock of the system goes.
    let mut passed = Duration::from_secs(1 << 40);
    while Instant::now().checked_add(passed + DAY).is_none() {
        passed /= 2;
    }
    by_hand.go_to(passed);
    by_hand.fail(by_hand.begin());
    let _ = (by_hand.state(), by_hand.admit(), by_hand.snapshot());
    by_hand.breaker.reset();
    by_hand.succeed(by_hand.begin());
    assert_eq!(by_hand.state(), State::Closed);
}

#[test]
fn a_clock_that_goes_back_or_jumps_does_no_harm() {
    let settings = quick()
        .failure_rate(0.9)
        .window(Window::Time(ms(1_000)))
        .min_calls(3)
        .slow_calls(ms(100), 0.9)
        .clear_every(ms(60_000))
        .probe_within(ms(3_000));
    let by_hand = ByHand::new(settings);
    by_hand.advance(DAY);
    let call = by_hand.begin();
    // A call that ends before it began took no time.
    by_hand.go_to(ms(10));
    by_hand.succeed(call);
    assert_eq!(by_hand.state(), State::Closed);
    open(&by_hand);
    // Open until 10,010 ms: before the beginning of its time it is open for longer, and no more than that.
    by_hand.go_to(Duration::ZERO);
    assert_eq!(by_hand.refused(), Some(ms(10_010)));
    by_hand.go_to(DAY);
    let probe = by_hand.begin();
    by_hand.go_to(ms(1));
    assert_eq!(by_hand.refused(), Some(ms(100)));
    by_hand.succeed(probe);
    assert_eq!(by_hand.state(), State::Closed);
    by_hand.succeed(by_hand.begin());
    // The slices that were ahead of the clock are begun anew when it has come to them.
    by_hand.go_to(DAY * 2);
    for _ in 0..20 {
        by_hand.succeed(by_hand.begin());
    }
    by_hand.fail(by_hand.begin());
    assert_eq!(by_hand.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_here_opens_it_and_one_that_had_passed_before_does_not() {
    let (guard, endpoint) = guarding(quick());
    let late = Error::deadline_exceeded("too late to send").with_origin(Origin::NotSent);
    let _ = endpoint.call(Request::new(Ask::Fail(late))).await;
    assert_eq!(guard.gate().state_at(now()), State::Closed);
    let _ = endpoint.call(Request::new(Ask::Fail(Error::deadline_exceeded("as told")))).await;
    assert_eq!(guard.gate().state_at(now()), State::Open);
}
