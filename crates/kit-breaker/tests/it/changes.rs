//! Settings that change while it runs, and states that are forced.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use kit_base::{Cause, Clock, End, Error, Event, Gate, Judgement, Kind, Now, Origin};
use kit_breaker::{Breaker, Decision, Policy, Settings, State, Window};
use kit_testing::clock::ManualClock;

use crate::support::{ByHand, Chance, Told};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn quick() -> Settings {
    Settings::new().consecutive_failures(1).open_for(ms(10_000))
}

fn told_by(settings: Settings) -> (ByHand<Told>, Told) {
    let told = Told::default();
    (ByHand::over(Breaker::new(settings).expect("it makes sense").observed_by(told.clone())), told)
}

#[test]
fn a_closed_circuit_counts_anew_by_its_new_settings() {
    let by_hand = ByHand::new(Settings::new().consecutive_failures(5));
    for _ in 0..4 {
        by_hand.fail(by_hand.begin());
    }
    by_hand.breaker.change(Settings::new().consecutive_failures(3)).unwrap();
    assert_eq!(by_hand.snapshot().consecutive_failures, 0);
    for failures in 1..=3 {
        assert_eq!(by_hand.state(), State::Closed, "{failures}");
        by_hand.fail(by_hand.begin());
    }
    assert_eq!(by_hand.state(), State::Open);
}

#[test]
fn an_open_circuit_stays_open_for_its_time_and_then_lives_by_its_new_settings() {
    let by_hand = ByHand::new(quick());
    by_hand.fail(by_hand.begin());
    by_hand.advance(ms(4_000));
    by_hand.breaker.change(quick().open_for(ms(1_000)).probes(3).successes_to_close(2)).unwrap();
    assert_eq!(by_hand.refused(), Some(ms(6_000)));
    by_hand.advance(ms(6_000));
    let (one, two, three) = (by_hand.begin(), by_hand.begin(), by_hand.begin());
    assert_eq!(by_hand.refused(), Some(ms(100)));
    by_hand.succeed(one);
    by_hand.leave(two);
    assert_eq!(by_hand.state(), State::HalfOpen);
    by_hand.fail(three);
    assert_eq!(by_hand.refused(), Some(ms(1_000)));
}

#[test]
fn a_half_open_circuit_takes_more_probes_or_fewer_at_once() {
    let by_hand = ByHand::new(quick());
    by_hand.fail(by_hand.begin());
    by_hand.advance(ms(10_000));
    let one = by_hand.begin();
    assert_eq!(by_hand.refused(), Some(ms(100)));
    by_hand.breaker.change(quick().probes(3)).unwrap();
    let (two, three) = (by_hand.begin(), by_hand.begin());
    assert_eq!(by_hand.refused(), Some(ms(100)));
    by_hand.breaker.change(quick().probes(2)).unwrap();
    by_hand.leave(one);
    // Two are still under way.
    assert_eq!(by_hand.refused(), Some(ms(100)));
    by_hand.succeed(two);
    assert_eq!(by_hand.state(), State::HalfOpen);
    by_hand.succeed(three);
    assert_eq!(by_hand.state(), State::Closed);
}

#[test]
fn a_half_open_circuit_that_has_the_successes_it_needs_now_closes_for_the_next_call() {
    let (by_hand, told) = told_by(quick().successes_to_close(3));
    by_hand.fail(by_hand.begin());
    by_hand.advance(ms(10_000));
    for _ in 0..2 {
        by_hand.succeed(by_hand.begin());
    }
    by_hand.breaker.change(quick().successes_to_close(2)).unwrap();
    told.take();
    by_hand.succeed(by_hand.begin());
    assert_eq!((by_hand.state(), told.take()), (State::Closed, vec!["closed"]));
}

#[test]
fn new_times_to_be_open_for_begin_at_once_and_old_ones_go_on_through_other_changes() {
    let growing = |first: u64| quick().open_for(kit_breaker::OpenFor::each([first, 2 * first].map(ms).into_iter()));
    let by_hand = ByHand::new(growing(100));
    let opens_for = |time| {
        by_hand.fail(by_hand.begin());
        assert_eq!(by_hand.snapshot().open_for, Some(ms(time)));
        by_hand.advance(ms(time));
    };
    opens_for(100);
    by_hand.breaker.change(by_hand.breaker.settings().probes(2)).unwrap();
    opens_for(200);
    by_hand.breaker.change(growing(7)).unwrap();
    opens_for(7);
    opens_for(14);
}

#[test]
fn forced_states_hold_whatever_happens_until_a_reset() {
    let (by_hand, told) = told_by(quick());
    by_hand.breaker.force_open();
    for _ in 0..3 {
        let refusal = by_hand.admit().unwrap_err();
        assert_eq!((refusal.kind(), refusal.retry_after()), (Kind::Unavailable, None));
        by_hand.advance(ms(100_000));
    }
    assert_eq!((by_hand.state(), by_hand.snapshot().refused), (State::ForcedOpen, 3));
    assert_eq!(told.take(), ["forced_open", "refused", "refused", "refused"]);
    for (force, state, what) in [
        (Breaker::force_closed as fn(&Breaker<Told>), State::ForcedClosed, "forced_closed"),
        (Breaker::disable, State::Disabled, "disabled"),
    ] {
        force(&by_hand.breaker);
        for _ in 0..10 {
            by_hand.fail(by_hand.begin());
        }
        assert_eq!((by_hand.state(), by_hand.snapshot().failures), (state, 0));
        assert_eq!(told.take(), [what]);
    }
    by_hand.breaker.reset();
    assert_eq!((by_hand.state(), told.take()), (State::Closed, vec!["reset"]));
    by_hand.fail(by_hand.begin());
    assert_eq!((by_hand.state(), told.take()), (State::Open, vec!["opened"]));
    by_hand.breaker.reset();
    assert_eq!(by_hand.state(), State::Closed);
    by_hand.succeed(by_hand.begin());
}

#[test]
fn a_change_does_not_end_a_forced_state() {
    for (force, state) in [
        (Breaker::force_open as fn(&Breaker), State::ForcedOpen),
        (Breaker::force_closed, State::ForcedClosed),
        (Breaker::disable, State::Disabled),
    ] {
        let by_hand = ByHand::new(quick());
        force(&by_hand.breaker);
        by_hand.breaker.change(quick().failure_rate(0.5).clear_every(ms(1)).slow_calls(ms(1), 0.5)).unwrap();
        assert_eq!(by_hand.state(), state);
        // What the new settings need is there when it ends.
        by_hand.breaker.reset();
        by_hand.fail(by_hand.begin());
        assert_eq!(by_hand.state(), State::Open);
    }
}

#[test]
fn observing_it_refuses_nothing_moves_as_it_would_and_tells() {
    let (by_hand, told) = told_by(quick().consecutive_failures(2).observe_only());
    let others: Vec<_> = (0..2).map(|_| by_hand.begin()).collect();
    others.into_iter().for_each(|call| by_hand.fail(call));
    assert_eq!((by_hand.state(), told.take()), (State::Open, vec!["opened"]));
    // Calls that it would refuse count for nothing, however they end.
    for _ in 0..3 {
        by_hand.fail(by_hand.begin());
        by_hand.succeed(by_hand.begin());
    }
    assert_eq!(told.take(), ["would_refuse"; 6]);
    assert_eq!((by_hand.state(), by_hand.snapshot().failures, by_hand.snapshot().refused), (State::Open, 2, 0));
    by_hand.advance(ms(10_000));
    let (probe, other) = (by_hand.begin(), by_hand.begin());
    assert_eq!(told.take(), ["half_opened", "would_refuse"]);
    by_hand.fail(other);
    assert_eq!(by_hand.state(), State::HalfOpen);
    by_hand.succeed(probe);
    assert_eq!((by_hand.state(), told.take()), (State::Closed, vec!["closed"]));
    // Observing and not, while it runs.
    by_hand.breaker.change(quick()).unwrap();
    by_hand.fail(by_hand.begin());
    by_hand.refused();
    by_hand.breaker.change(quick().observe_only()).unwrap();
    by_hand.succeed(by_hand.begin());
    assert_eq!(told.take(), ["opened", "refused", "would_refuse"]);
    // What somebody forces is not observed, it is done.
    by_hand.breaker.force_open();
    assert_eq!(by_hand.refused(), None);
}

/// A breaker that many threads use, and a clock that one of them moves.
struct Load<O: kit_base::Observer + 'static> {
    breaker: Breaker<O>,
    clock: ManualClock,
}

impl<O: kit_base::Observer + 'static> Load<O> {
    /// A call, from its beginning to its end. False if it was refused.
    fn call(&self, judgement: Judgement, cause: Cause) -> bool {
        let Ok(mut permit) = Gate::<(), (), Error>::admit(&self.breaker, &mut (), &Now::new(&self.clock)) else {
            return false;
        };
        Gate::<(), (), Error>::answer(&self.breaker, &mut permit, &mut Ok(()), &judgement);
        let now = Now::new(&self.clock);
        let mut end = End::answered(&judgement, &now);
        end.cause = cause;
        Gate::<(), (), Error>::finish(&self.breaker, permit, &end);
        true
    }

    fn state(&self) -> State {
        self.breaker.state_at(self.clock.now())
    }
}

/// Settings with which every flag is on or off, by the bits of a number.
fn flags(of: u64) -> Settings {
    let mut settings = Settings::new().consecutive_failures(3).open_for(ms(1)).probe_within(ms(1));
    if of & 1 != 0 {
        settings = settings.slow_calls(ms(5), 0.5).window(Window::Calls(8)).min_calls(4);
    }
    if of & 2 != 0 {
        settings = settings.failure_rate(0.5).window(Window::Time(ms(50))).min_calls(4);
    }
    if of & 4 != 0 {
        settings = settings.clear_every(ms(3));
    }
    settings.probes(1 + (of >> 3 & 1) as u32)
}

#[test]
fn changes_and_forced_states_under_load_leave_it_in_order() {
    let load =
        Load { breaker: Breaker::new(flags(0)).unwrap().observed_by(|_: &Event<'_>| ()), clock: ManualClock::new() };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 0..2 {
            let (load, over) = (&load, &over);
            scope.spawn(move || {
                let chance = &mut Chance(seed);
                while !over.load(Relaxed) {
                    match chance.under(4) {
                        0 => load.call(Judgement::SUCCESS, Cause::Answered),
                        1 => load.call(Judgement::LEFT, Cause::Left),
                        _ => load.call(Judgement::of_kind(Kind::Internal), Cause::Answered),
                    };
                    load.clock.advance(Duration::from_micros(chance.under(300)));
                }
            });
        }
        let chance = &mut Chance(7);
        let end = Instant::now() + ms(700);
        while Instant::now() < end {
            match chance.under(12) {
                0 => load.breaker.force_open(),
                1 => load.breaker.force_closed(),
                2 => load.breaker.disable(),
                3..6 => load.breaker.reset(),
                _ => load.breaker.change(flags(chance.under(16))).unwrap(),
            }
        }
        over.store(true, Relaxed);
    });
    // It is whole: it counts, opens, is half-open and closes as any other.
    load.breaker.change(flags(0)).unwrap();
    load.breaker.reset();
    for _ in 0..3 {
        assert!(load.call(Judgement::of_kind(Kind::Internal), Cause::Answered));
    }
    assert_eq!(load.state(), State::Open);
    load.clock.advance(ms(1));
    assert!(load.call(Judgement::SUCCESS, Cause::Answered));
    assert_eq!(load.state(), State::Closed);
}

/// A policy that is let go of slowly: it says that it is, and waits for a word, though not for ever.
struct Lingers(Sender<()>, Arc<Mutex<Receiver<()>>>);

impl Policy for Lingers {
    fn success(&mut self, _: Instant) {}

    fn failure(&mut self, _: Instant) -> Decision {
        Decision::Stay
    }

    fn reset(&mut self, _: Instant) {}
}

impl Drop for Lingers {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
        let _ = self.1.lock().unwrap().recv_timeout(ms(200));
    }
}

/// The flags in the word and the rules belong together, whoever was last. One change is held up as it lets go of the rules
/// before, and the other comes meanwhile.
#[test]
fn changes_at_once_leave_the_flags_and_the_rules_of_one_of_them() {
    for [one, other] in [[2, 4], [4, 2]] {
        let load = Load { breaker: Breaker::new(flags(0)).unwrap(), clock: ManualClock::new() };
        let ((lingers, held_up), (word, wait)) = (channel(), channel());
        let wait = Arc::new(Mutex::new(wait));
        load.breaker.change(flags(0).policy(move || Lingers(lingers.clone(), Arc::clone(&wait)))).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| load.breaker.change(flags(one)).unwrap());
            held_up.recv().unwrap();
            load.breaker.change(flags(other)).unwrap();
            // Nobody hears it if this change had to wait for the other.
            let _ = word.send(());
        });
        let windowed = load.breaker.snapshot_at(load.clock.now()).window.is_some();
        // Successes are counted only with the flag of windows, and failures forgotten only with that of clearing.
        load.call(Judgement::SUCCESS, Cause::Answered);
        load.call(Judgement::of_kind(Kind::Internal), Cause::Answered);
        let seen = load.breaker.snapshot_at(load.clock.now());
        assert_eq!(seen.window.map(|tally| tally.calls >= 2), windowed.then_some(true), "{one} and {other}");
        load.clock.advance(ms(3));
        load.call(Judgement::LEFT, Cause::Left);
        let kept = load.breaker.snapshot_at(load.clock.now()).consecutive_failures;
        assert_eq!(kept, u32::from(windowed), "{one} and {other}");
    }
}

/// Each event and each count is of something that happened once.
#[test]
fn counts_and_events_are_exact_under_load() {
    let told: Arc<[AtomicU64; 4]> = Arc::default();
    let names = ["opened", "half_opened", "closed", "refused"];
    let order = Arc::new(Mutex::new(Vec::new()));
    let observer = {
        let (told, order) = (Arc::clone(&told), Arc::clone(&order));
        move |event: &Event<'_>| {
            let which = names.iter().position(|&name| name == event.what).expect("one of these");
            told[which].fetch_add(1, Relaxed);
            if which < 3 {
                order.lock().unwrap().push(event.what);
            }
        }
    };
    let settings = Settings::new().consecutive_failures(2).open_for(ms(1)).probe_within(ms(60_000));
    let load = Load { breaker: Breaker::new(settings).unwrap().observed_by(observer), clock: ManualClock::new() };
    let (refused, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for seed in 0..3 {
            let (load, refused, failed) = (&load, &refused, &failed);
            scope.spawn(move || {
                let chance = &mut Chance(seed);
                for _ in 0..20_000 {
                    let fails = chance.one_in(2);
                    let judgement = if fails { Judgement::of_kind(Kind::Internal) } else { Judgement::SUCCESS };
                    if !load.call(judgement, Cause::Answered) {
                        refused.fetch_add(1, Relaxed);
                    } else if fails {
                        failed.fetch_add(1, Relaxed);
                    }
                    load.clock.advance(Duration::from_micros(chance.under(200)));
                }
            });
        }
    });
    let seen = load.breaker.snapshot_at(load.clock.now());
    let [opened, half_opened, closed, refusals] = std::array::from_fn(|which| told[which].load(Relaxed));
    assert_eq!((seen.opened, seen.refused), (opened, refusals));
    assert_eq!(refusals, refused.load(Relaxed));
    // A call of an older generation fails, and does not count.
    assert!(seen.failures <= failed.load(Relaxed));
    assert!(opened > 100 && closed > 10, "{opened} {closed}");
    // Each time that it began with probes it had opened, and each time that it closed it had begun.
    let now = u64::from(matches!(load.state(), State::HalfOpen) && seen.probes > 0);
    assert!(opened - half_opened <= 1 && half_opened >= closed + now, "{opened} {half_opened} {closed}");
}

/// A refusal says that it is one.
#[test]
fn a_refusal_by_the_gate_says_why() {
    let by_hand = ByHand::new(quick());
    by_hand.breaker.force_open();
    let refusal = by_hand.admit().unwrap_err();
    assert_eq!(refusal.reason(), Some("CIRCUIT_OPEN"));
    // The guard makes it a local refusal.
    assert_eq!(refusal.origin(), Origin::Remote);
}
