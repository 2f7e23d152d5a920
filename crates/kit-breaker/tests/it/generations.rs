//! What calls bring that an older generation has let in: nothing.

use std::time::Duration;

use kit_base::{Cause, Judgement, Kind, Origin, RetryHint};
use kit_breaker::{Breaker, Permit, Settings, Snapshot, State, Window};

use crate::support::{ByHand, Told};

const TIME: Duration = Duration::from_secs(10);

/// Where a circuit is, with the way there from closed.
const WAYS: [Way; 8] = [
    Way { to: State::Closed, go: |_| {} },
    Way { to: State::Open, go: |by_hand| open(by_hand) },
    Way { to: State::HalfOpen, go: |by_hand| drop(half_open(by_hand)) },
    Way {
        to: State::Closed,
        go: |by_hand| {
            let probes = half_open(by_hand);
            by_hand.leave(by_hand.begin());
            probes.into_iter().for_each(|probe| by_hand.succeed(probe));
            by_hand.succeed(by_hand.begin());
        },
    },
    Way {
        to: State::Open,
        go: |by_hand| {
            for probe in half_open(by_hand) {
                by_hand.fail(probe);
            }
        },
    },
    Way { to: State::ForcedOpen, go: |by_hand| by_hand.breaker.force_open() },
    Way { to: State::ForcedClosed, go: |by_hand| by_hand.breaker.force_closed() },
    Way { to: State::Disabled, go: |by_hand| by_hand.breaker.disable() },
];

struct Way {
    to: State,
    go: fn(&ByHand<Told>),
}

fn open(by_hand: &ByHand<Told>) {
    while by_hand.state() == State::Closed {
        by_hand.fail(by_hand.begin());
    }
}

/// One of two probes is under way.
fn half_open(by_hand: &ByHand<Told>) -> Vec<Permit> {
    open(by_hand);
    by_hand.advance(TIME);
    vec![by_hand.begin()]
}

/// How a call may end.
const ENDS: [fn(&ByHand<Told>, Permit); 7] = [
    |by_hand, permit| by_hand.succeed(permit),
    |by_hand, permit| by_hand.fail(permit),
    |by_hand, permit| by_hand.leave(permit),
    |by_hand, permit| by_hand.panic(permit),
    |by_hand, permit| by_hand.end(permit, Judgement::of_kind(Kind::NotFound), Cause::Answered),
    |by_hand, permit| {
        let busy = Judgement::of_parts(Kind::Unavailable, Origin::Remote, RetryHint::After(TIME * 3));
        by_hand.end(permit, busy, Cause::Answered);
    },
    |by_hand, mut permit| {
        by_hand.answer(&mut permit, Judgement::SUCCESS);
        by_hand.fail(permit);
    },
];

fn settings() -> Vec<Settings> {
    let all = Settings::new()
        .open_for(TIME)
        .probes(2)
        .successes_to_close(1)
        .heed_retry_after(TIME * 5)
        .probe_within(Duration::from_secs(1_000));
    let rate = all.clone().failure_rate(0.1).min_calls(2);
    vec![
        all.clone().consecutive_failures(2),
        rate.clone().window(Window::Calls(4)),
        rate.clone().window(Window::Time(TIME * 100)),
        rate.window(Window::Whole),
        all.consecutive_failures(2).clear_every(TIME * 1_000),
    ]
}

fn new(settings: &Settings) -> (ByHand<Told>, Told) {
    let told = Told::default();
    (ByHand::over(Breaker::new(settings.clone()).expect("it makes sense").observed_by(told.clone())), told)
}

/// A call that was let in in one state ends in another that is not the same any more.
#[test]
fn what_an_older_generation_brings_changes_nothing_in_any_state() {
    let same = |before: &Snapshot, after: &Snapshot| assert_eq!(before, after);
    for settings in settings() {
        for from in [0, 2, 3] {
            for (way, to) in WAYS.iter().enumerate().skip(1) {
                for end in ENDS {
                    let (by_hand, told) = new(&settings);
                    (WAYS[from].go)(&by_hand);
                    assert_eq!(by_hand.state(), WAYS[from].to);
                    let old = by_hand.begin();
                    // From half-open the way goes on by a reset, which is a generation too.
                    by_hand.breaker.reset();
                    (to.go)(&by_hand);
                    assert_eq!(by_hand.state(), to.to, "{from} {way}");
                    let before = by_hand.snapshot();
                    told.take();
                    end(&by_hand, old);
                    same(&before, &by_hand.snapshot());
                    assert_eq!(told.take(), [""; 0], "{from} {way} {settings:?}");
                }
            }
        }
    }
}

/// The same without a reset: by the ways that a circuit goes by itself.
#[test]
fn calls_from_each_phase_of_a_whole_round_are_of_their_phase_alone() {
    for settings in settings() {
        for end in ENDS {
            let (by_hand, told) = new(&settings);
            let closed = by_hand.begin();
            let probe = half_open(&by_hand).pop().unwrap();
            end(&by_hand, closed);
            assert_eq!((by_hand.state(), by_hand.snapshot().probes), (State::HalfOpen, 1));
            let lost = by_hand.begin();
            by_hand.fail(probe);
            by_hand.advance(TIME);
            let second = by_hand.begin();
            told.take();
            // A probe of the half-open time before.
            end(&by_hand, lost);
            assert_eq!((by_hand.state(), by_hand.snapshot().probes), (State::HalfOpen, 1));
            let third = by_hand.begin();
            by_hand.succeed(second);
            assert_eq!((by_hand.state(), told.take()), (State::Closed, vec!["closed"]));
            let before = by_hand.snapshot();
            end(&by_hand, third);
            assert_eq!(by_hand.snapshot(), before);
            assert_eq!(told.take(), [""; 0]);
        }
    }
}

#[test]
fn a_call_that_a_forced_state_let_in_does_not_count_after_it() {
    for force in [Breaker::force_closed, Breaker::disable] {
        for end in ENDS {
            let (by_hand, told) = new(&settings()[0]);
            force(&by_hand.breaker);
            let calls: Vec<_> = (0..5).map(|_| by_hand.begin()).collect();
            by_hand.breaker.reset();
            let before = by_hand.snapshot();
            told.take();
            calls.into_iter().for_each(|call| end(&by_hand, call));
            assert_eq!(by_hand.snapshot(), before);
            assert_eq!(told.take(), [""; 0]);
        }
    }
}

#[test]
fn a_call_from_before_a_change_of_settings_does_not_count_in_a_closed_circuit() {
    for settings in settings() {
        for end in ENDS {
            let (by_hand, told) = new(&settings);
            let calls: Vec<_> = (0..5).map(|_| by_hand.begin()).collect();
            by_hand.fail(by_hand.begin());
            by_hand.breaker.change(settings.clone()).unwrap();
            let before = by_hand.snapshot();
            assert_eq!(before.consecutive_failures, 0);
            calls.into_iter().for_each(|call| end(&by_hand, call));
            assert_eq!(by_hand.snapshot(), before);
            assert_eq!(told.take(), [""; 0]);
        }
    }
}

#[test]
fn a_call_from_before_it_forgot_does_not_count() {
    for end in ENDS {
        let (by_hand, _) = new(&settings()[4]);
        let call = by_hand.begin();
        by_hand.advance(TIME * 1_000);
        by_hand.fail(by_hand.begin());
        let before = by_hand.snapshot();
        assert_eq!(before.consecutive_failures, 1);
        end(&by_hand, call);
        assert_eq!(by_hand.snapshot(), before);
    }
}
