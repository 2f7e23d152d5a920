//! A circuit for each key, and a bounded number of them.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

use std::collections::VecDeque;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use kit_base::{
    Context, End, Endpoint, Error, Event, Gate, Guard, Judgement, Kind, NameOperation, Now, Observer, Operation,
    Request, Standard, Tower,
};
use kit_breaker::{Decision, Keyed, KeyedPermit, Policy, Settings, State, Window};
use kit_testing::laws::{Breaker as Declared, Laws, Setup};
use kit_testing::memory::{Growth, alone};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use crate::support::{AsTold, Ask, now};

const FAILURE: Judgement = Judgement::of_kind(Kind::Unavailable);

fn most(circuits: usize) -> NonZeroUsize {
    NonZeroUsize::new(circuits).unwrap()
}

fn after(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The message is the key; 0 stands for none.
type Call = Request<u64>;

fn by_number(request: &Call) -> Option<u64> {
    Some(*request.message()).filter(|key| *key != 0)
}

type Numbered<O = ()> = Keyed<u64, fn(&Call) -> Option<u64>, O>;

fn numbered(settings: Settings) -> Numbered {
    Keyed::by(settings, by_number as fn(&Call) -> Option<u64>).unwrap()
}

/// A gate and the moment of its guard, without an endpoint.
struct Calls<O = ()> {
    keyed: Numbered<O>,
    begin: Instant,
    at: Mutex<Duration>,
}

impl<O: Observer + Clone + 'static> Calls<O> {
    fn new(keyed: Numbered<O>) -> Self {
        Self { keyed, begin: Instant::now(), at: Mutex::default() }
    }

    fn wait(&self, time: Duration) {
        *self.at.lock().unwrap() += time;
    }

    fn now(&self) -> Instant {
        self.begin + *self.at.lock().unwrap()
    }

    fn begin(&self, key: u64) -> Result<KeyedPermit<u64, O>, Error> {
        Gate::<Call, (), Error>::admit(&self.keyed, &mut Request::new(key), &Now::new(&|| self.now()))
    }

    fn end(&self, permit: KeyedPermit<u64, O>, judgement: &Judgement) {
        let clock = || self.now();
        Gate::<Call, (), Error>::finish(&self.keyed, permit, &End::answered(judgement, &Now::new(&clock)));
    }

    fn call(&self, key: u64, judgement: &Judgement) -> Result<(), Error> {
        self.begin(key).map(|permit| self.end(permit, judgement))
    }

    fn succeed(&self, key: u64) -> Result<(), Error> {
        self.call(key, &Judgement::SUCCESS)
    }

    fn fail(&self, key: u64, times: u32) {
        (0..times).for_each(|_| self.call(key, &FAILURE).unwrap());
    }

    fn state(&self, key: u64) -> Option<State> {
        self.keyed.breaker(&key).map(|breaker| breaker.state_at(self.now()))
    }
}

/// Writes down what happens, as `what key`.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Log {
    fn observe(&self, event: &Event<'_>) {
        assert_eq!(event.source, "breaker");
        self.0.lock().unwrap().push(format!("{} {}", event.what, event.key));
    }
}

#[test]
fn each_key_has_a_circuit_of_its_own_which_all_calls_share() {
    let calls = Calls::new(numbered(Settings::gobreaker()));
    calls.fail(1, 6);
    calls.fail(2, 5);
    assert_eq!(calls.succeed(1).unwrap_err().reason(), Some("CIRCUIT_OPEN"));
    assert_eq!((calls.state(1), calls.state(2), calls.state(3)), (Some(State::Open), Some(State::Closed), None));
    assert_eq!(calls.keyed.len(), 2);
    calls.wait(after(60));
    calls.succeed(1).unwrap();
    assert_eq!(calls.state(1), Some(State::Closed));
    // A fresh one has the same settings and no state.
    let fresh = Calls::new(calls.keyed.fresh());
    assert!(fresh.keyed.is_empty());
    fresh.fail(2, 6);
    fresh.succeed(2).unwrap_err();
}

#[test]
fn a_call_without_a_key_is_not_guarded() {
    let calls = Calls::new(numbered(Settings::gobreaker()));
    calls.fail(0, 100);
    assert_eq!((calls.keyed.len(), calls.keyed.unguarded()), (0, 0));
}

#[test]
fn settings_that_make_no_sense_are_refused_and_change_nothing() {
    let none: Result<Numbered, _> = Keyed::by(Settings::new(), by_number as fn(&Call) -> Option<u64>);
    assert!(none.unwrap_err().to_string().contains("no rule"));
    assert!(Keyed::per_operation(Settings::new()).is_err());
    let calls = Calls::new(numbered(Settings::gobreaker()));
    assert!(calls.keyed.change(Settings::gobreaker().probes(0)).is_err());
    calls.fail(1, 6);
    assert_eq!(calls.state(1), Some(State::Open));
}

#[test]
fn new_settings_are_those_of_all_circuits_and_of_those_to_come() {
    let window = Settings::new().failure_rate(0.5).window(Window::Calls(10)).min_calls(2);
    for (from, to) in [(Settings::gobreaker(), window.clone()), (window, Settings::gobreaker())] {
        let calls = Calls::new(numbered(from));
        (1..=200).for_each(|key| calls.succeed(key).unwrap());
        calls.keyed.change(to.consecutive_failures(2)).unwrap();
        for key in 1..=400 {
            calls.fail(key, 2);
            assert_eq!(calls.state(key), Some(State::Open), "{key}");
        }
    }
}

#[test]
fn circuits_that_come_in_while_settings_change_have_the_new_ones_too() {
    for round in 0..50 {
        let calls = Calls::new(numbered(Settings::gobreaker()));
        let begin = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                begin.wait();
                (1..=500).for_each(|key| calls.succeed(key).unwrap());
            });
            begin.wait();
            calls.keyed.change(Settings::gobreaker().consecutive_failures(1)).unwrap();
        });
        for key in 1..=500 {
            calls.fail(key, 1);
            assert_eq!(calls.state(key), Some(State::Open), "{key} in round {round}");
        }
    }
}

#[test]
fn two_that_bring_the_same_new_key_share_one_circuit() {
    for round in 0..200 {
        let calls = Calls::new(numbered(Settings::gobreaker()));
        let begin = Barrier::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    begin.wait();
                    (1..=20).for_each(|key| calls.fail(key, 3));
                });
            }
        });
        for key in 1..=20 {
            assert_eq!(calls.state(key), Some(State::Open), "{key} in round {round}");
        }
        assert_eq!(calls.keyed.len(), 20);
    }
}

/// All ways in which somebody could want to fill the places.
#[derive(Clone, Copy, Debug)]
enum Flood {
    Healthy,
    Failing,
    InFlight,
    Left,
    Opening,
}

const FLOODS: [Flood; 5] = [Flood::Healthy, Flood::Failing, Flood::InFlight, Flood::Left, Flood::Opening];

/// Many calls under new keys, of which each comes once; those in flight are given back.
fn flood<O: Observer + Clone + 'static>(
    calls: &Calls<O>,
    flood: Flood,
    keys: std::ops::Range<u64>,
) -> Vec<KeyedPermit<u64, O>> {
    let mut running = Vec::new();
    for key in keys {
        match flood {
            Flood::Healthy => calls.succeed(key).unwrap(),
            Flood::Failing => calls.fail(key, 1),
            Flood::InFlight => running.push(calls.begin(key).unwrap()),
            Flood::Left => calls.call(key, &Judgement::LEFT).unwrap(),
            // By whatever rule, it is open after the sixth.
            Flood::Opening => (0..6).for_each(|_| drop(calls.call(key, &FAILURE))),
        }
    }
    running
}

/// Fifty times as many as there are places; ten million come with --deep.
const ATTACK: std::ops::Range<u64> = 1_000_000..1_005_000;

#[test]
fn whoever_calls_under_many_keys_resets_no_circuit_that_is_open_or_counts_failures() {
    for kind in FLOODS {
        let calls = Calls::new(numbered(Settings::gobreaker()).most(most(100)));
        calls.fail(1, 6);
        calls.fail(2, 5);
        calls.keyed.breaker_or_new(3, calls.now()).unwrap().force_open();
        calls.keyed.breaker_or_new(4, calls.now()).unwrap().disable();
        let slow = calls.begin(5).unwrap();
        let running = flood(&calls, kind, ATTACK);
        assert_eq!(calls.keyed.len(), 100, "{kind:?}");
        calls.succeed(1).unwrap_err();
        calls.fail(2, 1);
        assert_eq!(calls.state(2), Some(State::Open), "{kind:?}");
        assert_eq!((calls.state(3), calls.state(4)), (Some(State::ForcedOpen), Some(State::Disabled)), "{kind:?}");
        // What was under way counts where it began.
        calls.end(slow, &FAILURE);
        assert_eq!(calls.keyed.breaker(&5).map(|it| it.snapshot_at(now()).consecutive_failures), Some(1), "{kind:?}");
        running.into_iter().for_each(|permit| calls.end(permit, &FAILURE));
    }
}

#[test]
fn nor_one_that_counts_in_a_window_or_by_a_policy() {
    let rate = Settings::new().failure_rate(0.5).min_calls(4);
    let all = [
        rate.clone(),
        rate.clone().window(Window::Calls(10)),
        rate.window(Window::Whole),
        Settings::new().policy(|| Third(0)),
    ];
    for settings in all {
        for kind in FLOODS {
            let calls = Calls::new(numbered(settings.clone()).most(most(50)));
            calls.fail(1, 2);
            calls.succeed(1).unwrap();
            let running = flood(&calls, kind, 1_000_000..1_000_500);
            assert_eq!(calls.keyed.len(), 50);
            calls.fail(1, 1);
            assert_eq!(calls.state(1), Some(State::Open), "{settings:?} {kind:?}");
            drop(running);
        }
    }
}

/// A policy that opens at the third failure.
struct Third(u32);

impl Policy for Third {
    fn success(&mut self, _: Instant) {}

    fn failure(&mut self, _: Instant) -> Decision {
        self.0 += 1;
        if self.0 == 3 { Decision::Open } else { Decision::Stay }
    }

    fn reset(&mut self, _: Instant) {
        self.0 = 0;
    }
}

#[test]
fn a_policy_that_has_begun_anew_holds_no_place() {
    let calls = Calls::new(numbered(Settings::new().policy(|| Third(0))).most(most(1)));
    calls.fail(1, 1);
    calls.succeed(1).unwrap();
    calls.succeed(2).unwrap();
    assert_eq!(calls.state(2), None, "the other has seen a failure");
    calls.keyed.breaker(&1).unwrap().reset();
    calls.succeed(1).unwrap();
    calls.succeed(2).unwrap();
    assert_eq!((calls.state(1), calls.state(2)), (None, Some(State::Closed)));
}

#[test]
fn a_circuit_that_saw_slow_calls_keeps_its_place() {
    let calls = Calls::new(numbered(Settings::new().slow_calls(after(1), 0.5).min_calls(4)).most(most(20)));
    for _ in 0..3 {
        let slow = calls.begin(1).unwrap();
        calls.wait(after(1));
        calls.end(slow, &Judgement::SUCCESS);
    }
    flood(&calls, Flood::Healthy, 1_000_000..1_001_000);
    let slow = calls.begin(1).unwrap();
    calls.wait(after(1));
    calls.end(slow, &Judgement::SUCCESS);
    assert_eq!(calls.state(1), Some(State::Open));
}

#[test]
fn whoever_is_called_while_somebody_takes_its_place_is_counted() {
    let calls = Calls::new(numbered(Settings::gobreaker()).most(most(4)));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut keys = 1_000_000..;
            while !done.load(SeqCst) {
                keys.next().into_iter().for_each(|key| calls.succeed(key).unwrap());
            }
        });
        let honest = catch_unwind(AssertUnwindSafe(|| {
            for turn in 0..2_000 {
                // It holds nothing, and may lose its place at any time until the first failure.
                (0..20).for_each(|_| calls.succeed(1).unwrap());
                calls.fail(1, 6);
                assert_eq!(calls.state(1), Some(State::Open), "turn {turn}");
                calls.keyed.breaker(&1).unwrap().reset();
            }
        }));
        done.store(true, SeqCst);
        honest.unwrap();
    });
    assert_eq!(calls.keyed.unguarded(), 0);
}

#[test]
fn known_keys_go_on_as_before_while_others_are_flooding() {
    let calls = Calls::new(numbered(Settings::gobreaker()).most(most(100)));
    calls.fail(1, 1);
    for attack in [1, 2, 3, 4].map(|round| round * 1_000_000) {
        // Failing keys take all the places there are.
        flood(&calls, Flood::Failing, attack..attack + 1_000);
        calls.fail(1, 1);
    }
    calls.fail(1, 1);
    calls.succeed(1).unwrap_err();
    // A newcomer that finds no place is let in and counts nowhere.
    let unguarded = calls.keyed.unguarded();
    calls.fail(9, 20);
    assert_eq!((calls.state(9), calls.keyed.unguarded()), (None, unguarded + 20));
}

#[test]
fn a_healthy_circuit_that_is_called_stays_before_one_that_is_not() {
    let calls = Calls::new(numbered(Settings::gobreaker()).most(most(100)));
    for key in 0..2_000 {
        (1..=10).for_each(|honest| calls.succeed(honest).unwrap());
        calls.succeed(1_000_000 + key).unwrap();
        assert!((1..=10).all(|honest| calls.state(honest).is_some()), "{key}");
    }
    assert_eq!((calls.keyed.len(), calls.keyed.unguarded()), (100, 0));
}

#[test]
fn all_known_keys_up_to_the_bound_keep_their_places() {
    for bound in [1, 2, 7, 100, 5_000] {
        let calls = Calls::new(numbered(Settings::gobreaker()).most(most(bound)));
        let keys = 1..=bound as u64;
        keys.clone().for_each(|key| calls.succeed(key).unwrap());
        assert_eq!(keys.filter(|key| calls.state(*key).is_some()).count(), bound);
        calls.succeed(1_000_000).unwrap();
        assert_eq!((calls.keyed.len(), calls.state(1_000_000).is_some()), (bound, true));
        // One more has a place though all the others were called lately.
        let all = (1..=bound as u64).filter(|key| calls.state(*key).is_some()).chain([1_000_000]);
        all.for_each(|key| calls.succeed(key).unwrap());
        calls.succeed(2_000_000).unwrap();
        assert_eq!((calls.keyed.len(), calls.state(2_000_000).is_some()), (bound, true));
    }
}

#[test]
fn what_has_failures_and_was_idle_makes_room_and_says_so() {
    let log = Log::default();
    let keyed = numbered(Settings::gobreaker()).most(most(2)).idle(after(100)).observed_by(log.clone());
    let calls = Calls::new(keyed);
    calls.fail(1, 1);
    calls.wait(after(50));
    calls.fail(2, 1);
    calls.wait(after(49));
    calls.fail(3, 1);
    assert_eq!((calls.state(3), log.take()), (None, vec!["unguarded ".to_owned()]));
    calls.wait(after(1));
    calls.fail(3, 1);
    assert_eq!((calls.state(1), calls.state(2), calls.state(3)), (None, Some(State::Closed), Some(State::Closed)));
    assert_eq!(log.take(), ["forgotten 1"]);
    // Each call counts as one, also one that is refused.
    calls.fail(2, 5);
    calls.wait(after(99));
    calls.succeed(3).unwrap();
    calls.fail(3, 1);
    calls.begin(2).unwrap();
    calls.wait(after(2));
    calls.succeed(4).unwrap();
    assert_eq!((calls.state(2), calls.state(3), calls.state(4)), (Some(State::HalfOpen), Some(State::Closed), None));
}

/// A probe that streams on is a success when its time is over, in the circuit of a key too.
#[test]
fn the_head_of_a_probe_is_seen() {
    let calls = Calls::new(numbered(Settings::gobreaker().probe_within(after(10))));
    calls.fail(1, 6);
    calls.wait(after(60));
    let mut stream = calls.begin(1).unwrap();
    Gate::<Call, (), Error>::answer(&calls.keyed, &mut stream, &mut Ok(()), &Judgement::SUCCESS);
    calls.wait(after(10));
    calls.succeed(1).unwrap();
    assert_eq!(calls.state(1), Some(State::Closed));
    calls.end(stream, &FAILURE);
    assert_eq!(calls.state(1), Some(State::Closed));
}

/// A call that takes long is of use until it ends.
#[test]
fn what_was_called_is_idle_from_the_end_of_its_call() {
    let calls = Calls::new(numbered(Settings::gobreaker()).most(most(1)).idle(after(100)));
    calls.fail(1, 4);
    let long = calls.begin(1).unwrap();
    calls.wait(after(1_000));
    calls.end(long, &FAILURE);
    calls.wait(after(99));
    calls.succeed(2).unwrap();
    assert_eq!(calls.state(2), None);
    calls.fail(1, 1);
    assert_eq!(calls.state(1), Some(State::Open));
}

#[test]
fn what_is_open_stays_until_its_time_has_passed_though_nobody_calls() {
    let settings = Settings::gobreaker().open_for(after(1_000));
    let calls = Calls::new(numbered(settings).most(most(1)).idle(after(10)));
    calls.fail(1, 6);
    calls.wait(after(999));
    calls.succeed(2).unwrap();
    calls.succeed(1).unwrap_err();
    calls.wait(after(1));
    // It was called a second ago.
    calls.succeed(2).unwrap();
    assert_eq!(calls.state(1), Some(State::HalfOpen));
    calls.wait(after(9));
    calls.succeed(2).unwrap();
    assert_eq!((calls.state(1), calls.state(2)), (None, Some(State::Closed)));
}

#[test]
fn what_somebody_has_forced_stays_until_it_is_reset() {
    let calls = Calls::new(numbered(Settings::gobreaker()).most(most(2)).idle(after(1)));
    calls.succeed(1).unwrap();
    calls.keyed.breaker(&1).unwrap().force_closed();
    calls.keyed.breaker_or_new(2, calls.now()).unwrap().force_open();
    calls.wait(after(1_000_000));
    flood(&calls, Flood::Healthy, 1_000_000..1_000_100);
    assert_eq!((calls.state(1), calls.state(2)), (Some(State::ForcedClosed), Some(State::ForcedOpen)));
    assert!(calls.keyed.breaker_or_new(3, calls.now()).is_none());
    calls.keyed.breaker(&1).unwrap().reset();
    calls.succeed(3).unwrap();
    assert_eq!((calls.state(1), calls.state(3)), (None, Some(State::Closed)));
}

#[test]
fn to_look_for_a_place_by_hand_is_no_call() {
    let log = Log::default();
    let calls = Calls::new(numbered(Settings::gobreaker()).most(most(1)).observed_by(log.clone()));
    let running = calls.begin(1).unwrap();
    assert!(calls.keyed.breaker_or_new(2, calls.now()).is_none());
    assert_eq!((calls.keyed.unguarded(), log.take()), (0, vec![]));
    calls.succeed(2).unwrap();
    assert_eq!((calls.keyed.unguarded(), log.take()), (1, vec!["unguarded ".to_owned()]));
    calls.end(running, &Judgement::SUCCESS);
}

#[test]
fn failures_that_the_next_call_will_clear_keep_no_place() {
    let settings = Settings::gobreaker().clear_every(after(10));
    let calls = Calls::new(numbered(settings).most(most(1)));
    calls.fail(1, 5);
    calls.wait(after(9));
    calls.succeed(2).unwrap();
    assert_eq!((calls.state(1), calls.state(2)), (Some(State::Closed), None));
    calls.wait(after(1));
    calls.succeed(2).unwrap();
    assert_eq!((calls.state(1), calls.state(2)), (None, Some(State::Closed)));
}

#[test]
fn failing_keys_may_take_the_places_of_those_that_hold_nothing_and_of_no_others() {
    let calls = Calls::new(numbered(Settings::gobreaker()).most(most(100)));
    calls.fail(1, 1);
    calls.succeed(2).unwrap();
    for key in ATTACK {
        calls.fail(key, 1);
        calls.succeed(2).unwrap();
    }
    assert_eq!((calls.state(1), calls.state(2)), (Some(State::Closed), None));
}

#[test]
fn what_is_looked_at_keeps_its_place() {
    let calls = Calls::new(numbered(Settings::gobreaker()).most(most(1)));
    calls.succeed(1).unwrap();
    let held = calls.keyed.breaker(&1).unwrap();
    calls.succeed(2).unwrap();
    assert_eq!((*held.key(), calls.state(2)), (1, None));
    drop(held);
    calls.succeed(2).unwrap();
    assert_eq!(calls.state(2), Some(State::Closed));
}

#[test]
fn a_dashboard_sees_all_circuits_and_may_ask_for_them() {
    let calls = Calls::new(numbered(Settings::gobreaker()));
    (1..=1_000).for_each(|key| calls.fail(key, 6));
    let mut seen = Vec::new();
    calls.keyed.for_each(|key, breaker| {
        // No lock is held.
        calls.succeed(5_000 + key).unwrap();
        assert_eq!(breaker.name(), key.to_string());
        if breaker.state_at(calls.now()) == State::Open {
            seen.push(*key);
        }
    });
    seen.sort_unstable();
    assert_eq!(seen, (1..=1_000).collect::<Vec<_>>());
}

#[test]
fn events_have_the_text_of_the_key() {
    let log = Log::default();
    let calls = Calls::new(numbered(Settings::gobreaker()).observed_by(log.clone()));
    calls.fail(7, 6);
    calls.succeed(7).unwrap_err();
    calls.wait(after(60));
    calls.succeed(7).unwrap();
    assert_eq!(log.take(), ["opened 7", "refused 7", "half_opened 7", "closed 7"]);
}

#[test]
fn an_observer_may_ask_the_gate_that_it_observes() {
    type Asked = Mutex<Option<Box<dyn Fn() + Send>>>;
    static ASKED: Asked = Mutex::new(None);
    let ask = |_: &Event<'_>| {
        let ask = ASKED.lock().unwrap().take();
        if let Some(ask) = ask {
            ask();
        }
    };
    let calls = Arc::new(Calls::new(numbered(Settings::gobreaker()).most(most(1)).idle(after(1)).observed_by(ask)));
    let asked = Arc::new(AtomicUsize::new(0));
    for (key, times) in [(1, 6), (2, 1)] {
        let (weak, count) = (Arc::downgrade(&calls), Arc::clone(&asked));
        *ASKED.lock().unwrap() = Some(Box::new(move || {
            let calls = weak.upgrade().unwrap();
            count.fetch_add(calls.keyed.len(), SeqCst);
            calls.keyed.for_each(|_, breaker| breaker.reset());
            calls.keyed.change(Settings::gobreaker()).unwrap();
            calls.succeed(3).unwrap();
        }));
        calls.fail(key, times);
        calls.wait(after(61));
    }
    assert!(asked.load(SeqCst) > 0);
}

/// A key that panics when it is told to, wherever code of a key runs.
#[derive(Clone)]
struct Mine(u64, &'static str);

static TRIGGER: Mutex<&str> = Mutex::new("");
static SERIAL: Mutex<()> = Mutex::new(());

impl Mine {
    fn may_panic(&self, place: &str) {
        let trigger = *TRIGGER.lock().unwrap();
        assert!(!(trigger == place && self.1 == "bad"), "as told, in {place}");
    }
}

impl Hash for Mine {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.may_panic("hash");
        // One hash for many keys: the table must compare.
        (self.0 % 2).hash(state);
    }
}

impl PartialEq for Mine {
    fn eq(&self, other: &Self) -> bool {
        self.may_panic("eq");
        other.may_panic("eq");
        self.0 == other.0
    }
}

impl Eq for Mine {}

impl fmt::Display for Mine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.may_panic("display");
        write!(f, "mine {}", self.0)
    }
}

#[test]
fn a_panic_in_code_of_the_user_harms_nobody_else() {
    let _serial = SERIAL.lock().unwrap();
    let key = |request: &Request<Mine>| {
        request.message().may_panic("closure");
        Some(request.message().clone())
    };
    let observer = Arc::new(AtomicBool::new(false));
    let panics = Arc::clone(&observer);
    let tell = move |_: &Event<'_>| assert!(!panics.load(SeqCst), "as told, in observer");
    let keyed = Keyed::by(Settings::gobreaker(), key).unwrap().most(most(50)).observed_by(tell);
    let begin = Instant::now();
    let clock = || begin;
    let call = |mine: Mine, judgement: &Judgement| {
        let mut request = Request::new(mine);
        let permit = Gate::<Request<Mine>, (), Error>::admit(&keyed, &mut request, &Now::new(&clock))?;
        Gate::<Request<Mine>, (), Error>::finish(&keyed, permit, &End::answered(judgement, &Now::new(&clock)));
        Ok::<(), Error>(())
    };
    (0..5).for_each(|_| call(Mine(1, "good"), &FAILURE).unwrap());
    for place in ["hash", "eq", "display", "closure"] {
        *TRIGGER.lock().unwrap() = place;
        // The same hash as that of the honest key.
        catch_unwind(AssertUnwindSafe(|| call(Mine(3, "bad"), &FAILURE))).expect_err(place);
        *TRIGGER.lock().unwrap() = "";
        for other in 0..100 {
            call(Mine(10 + other, "good"), &Judgement::SUCCESS).unwrap();
        }
        assert_eq!(keyed.len(), 50);
    }
    observer.store(true, SeqCst);
    catch_unwind(AssertUnwindSafe(|| call(Mine(1, "good"), &FAILURE))).expect_err("observer");
    observer.store(false, SeqCst);
    // All six were counted.
    call(Mine(1, "good"), &FAILURE).unwrap_err();
    (0..100).for_each(|other| call(Mine(500 + other, "good"), &Judgement::SUCCESS).unwrap());
}

#[tokio::test(start_paused = true)]
async fn operations_of_requests_have_a_breaker_each() {
    let keyed = Keyed::per_operation(Settings::new().consecutive_failures(1)).unwrap();
    let guard = Guard::with(keyed, Standard, now);
    let endpoint = guard.layer(AsTold);
    let call = async |operation: &Operation, ask: Ask| {
        let context = Context::new().with_operation(operation.clone());
        endpoint.call(Request::from_parts(context, ask)).await
    };
    let (sum, concat) = (Operation::new("add", "sum"), Operation::new("add", "concat"));
    call(&sum, Ask::Fail(Error::internal("as told"))).await.unwrap_err();
    assert_eq!(call(&sum, Ask::Succeed).await.unwrap_err().reason(), Some("CIRCUIT_OPEN"));
    call(&concat, Ask::Succeed).await.unwrap();
    // Who has no name has one in common.
    call(&Operation::UNMATCHED, Ask::Fail(Error::internal("as told"))).await.unwrap_err();
    endpoint.call(Request::new(Ask::Succeed)).await.unwrap_err();
    assert_eq!(guard.gate().breaker(&sum).unwrap().name(), "add/sum");
    assert_eq!(guard.gate().len(), 3);
    // A call that hangs and is dropped gives everything back.
    let hanging = tokio::time::timeout(after(1), call(&concat, Ask::Hang)).await;
    assert!(hanging.is_err());
    call(&concat, Ask::Succeed).await.unwrap();
}

async fn by_path(request: http::Request<String>) -> Result<http::Response<String>, std::convert::Infallible> {
    let status = if request.uri().path() == "/bad" { 503 } else { 200 };
    Ok(http::Response::builder().status(status).body(String::new()).unwrap())
}

fn get(uri: &str) -> http::Request<String> {
    http::Request::get(uri).body(String::new()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn operations_of_http_requests_have_a_breaker_each() {
    let keyed = Keyed::per_operation(Settings::new().consecutive_failures(2)).unwrap();
    let guard = Guard::with(
        (
            NameOperation(|request: &http::Request<String>| Operation::new("http", request.uri().path().to_owned())),
            keyed,
        ),
        Standard,
        now,
    );
    let service = Tower::new(guard.clone()).answered().layer(service_fn(by_path));
    for status in [503, 503, 503] {
        let answer = service.clone().oneshot(get("/bad")).await.unwrap();
        assert_eq!(answer.status(), status);
    }
    assert_eq!(service.clone().oneshot(get("/good")).await.unwrap().status(), 200);
    let (_, keyed) = guard.gate();
    let state = |method: &str| {
        let operation = Operation::new("http", method.to_owned());
        keyed.breaker(&operation).map(|breaker| breaker.state_at(now()))
    };
    assert_eq!((state("/bad"), state("/good")), (Some(State::Open), Some(State::Closed)));
}

#[tokio::test(start_paused = true)]
async fn hosts_of_http_requests_have_a_breaker_each() {
    let settings = Settings::new().consecutive_failures(2);
    let keyed = Keyed::by(settings, |request: &http::Request<String>| request.uri().authority().cloned()).unwrap();
    let guard = Guard::with(keyed, Standard, now);
    let service = Tower::new(guard.clone()).answered().layer(service_fn(by_path));
    for _ in 0..2 {
        service.clone().oneshot(get("http://a.example/bad")).await.unwrap();
    }
    let problem = service.clone().oneshot(get("http://a.example/good")).await.unwrap();
    assert_eq!(problem.headers()["retry-after"], "60");
    assert_eq!(service.clone().oneshot(get("http://b.example/good")).await.unwrap().status(), 200);
    assert_eq!(guard.gate().len(), 2);
}

#[test]
fn it_keeps_the_laws_of_a_breaker() {
    let declared = Declared { failures: 5, open_for: after(10), probes: 2 };
    let settings = || Settings::new().consecutive_failures(5).open_for(after(10)).probes(2).successes_to_close(1);
    let keyed = move |setup: &Setup| Guard::with(Keyed::per_operation(settings()).unwrap(), Standard, setup.clock());
    Laws::endpoint(keyed).refusing().breaks(declared).check();
    Laws::stream(keyed).refusing().breaks(declared).check();
    Laws::service(move |setup| Tower::new(keyed(setup))).refusing().breaks(declared).check();
    Laws::http_service::<String, _, _, _>(move |setup| Tower::new(keyed(setup)).answered())
        .refusing()
        .breaks(declared)
        .check();
}

/// Bytes that a circuit needs.
fn bytes_a_key(settings: Settings) -> u64 {
    const KEYS: u64 = 40_000;
    // The pages of the program itself are none of a key's.
    Calls::new(numbered(settings.clone())).fail(1, 1);
    let growth = Growth::new();
    let calls = Calls::new(numbered(settings).most(most(KEYS as usize)));
    (1..=KEYS).for_each(|key| calls.fail(key, 1));
    assert_eq!(calls.keyed.len() as u64, KEYS);
    growth.most() / KEYS
}

#[cfg(target_os = "linux")]
#[test]
fn a_key_costs_what_the_documentation_says() {
    if alone("keyed::a_key_costs_what_the_documentation_says") {
        let plain = bytes_a_key(Settings::gobreaker());
        println!("{plain} bytes a key");
        assert!(plain <= 320, "{plain} bytes");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_key_with_a_window_costs_what_the_documentation_says() {
    if alone("keyed::a_key_with_a_window_costs_what_the_documentation_says") {
        let timed = bytes_a_key(Settings::new().failure_rate(0.5));
        println!("{timed} bytes a key");
        assert!(timed <= 630, "{timed} bytes");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_key_with_a_window_of_calls_costs_what_the_documentation_says() {
    if alone("keyed::a_key_with_a_window_of_calls_costs_what_the_documentation_says") {
        let bytes = bytes_a_key(Settings::new().failure_rate(0.5).window(Window::Calls(3_200)));
        println!("{bytes} bytes a key");
        assert!(bytes <= 1_450, "{bytes} bytes");
    }
}

/// The longest time that a call took of this thread's own, and by the clock on the wall, which counts waiting for locks and for
/// the machine's other programs too.
#[cfg(target_os = "linux")]
#[derive(Debug, Default)]
struct Stall {
    cpu: Duration,
    wall: Duration,
}

#[cfg(target_os = "linux")]
impl Stall {
    fn over(&mut self, call: impl FnOnce()) {
        let cpu = || {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
        };
        let (wall, before) = (Instant::now(), cpu());
        call();
        self.cpu = self.cpu.max(cpu() - before);
        self.wall = self.wall.max(wall.elapsed());
    }

    fn check(&self) {
        assert!(self.cpu < Duration::from_millis(20) && self.wall < Duration::from_secs(2), "{self:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes half a minute: runs with --deep"]
fn ten_million_healthy_keys_from_two_threads_cost_no_memory_and_no_circuit() {
    if alone("keyed::ten_million_healthy_keys_from_two_threads_cost_no_memory_and_no_circuit") {
        ten_million_keys(|_| Flood::Healthy);
    }
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes half a minute: runs with --deep"]
fn ten_million_keys_of_which_some_fail_or_are_slow_cost_no_memory_and_no_circuit() {
    if alone("keyed::ten_million_keys_of_which_some_fail_or_are_slow_cost_no_memory_and_no_circuit") {
        ten_million_keys(|key| [Flood::Failing, Flood::InFlight, Flood::Healthy, Flood::Healthy][(key % 4) as usize]);
    }
}

#[cfg(target_os = "linux")]
#[expect(clippy::print_stdout, reason = "the figures")]
fn ten_million_keys(kind: fn(u64) -> Flood) {
    const KEYS: u64 = 10_000_000;
    const BOUND: u64 = 10_000;
    let calls = Calls::new(numbered(Settings::gobreaker()));
    calls.fail(1, 6);
    calls.fail(2, 5);
    let growth = Growth::new();
    let done = AtomicUsize::new(0);
    let flood = |begin: u64| {
        let (mut stall, mut running) = (Stall::default(), VecDeque::new());
        let since = Instant::now();
        for key in begin..begin + KEYS / 2 {
            stall.over(|| running.extend(flood(&calls, kind(key), key..key + 1)));
            if running.len() > 1_000 {
                running.drain(..1).for_each(|permit| calls.end(permit, &FAILURE));
            }
        }
        done.fetch_add(1, SeqCst);
        (since.elapsed(), stall)
    };
    thread::scope(|scope| {
        let flood = &flood;
        let attack = [3, 3 + KEYS].map(|begin| scope.spawn(move || flood(begin)));
        let (mut stall, mut honest) = (Stall::default(), 0_u64);
        while done.load(SeqCst) < 2 {
            stall.over(|| {
                calls.succeed(1).unwrap_err();
                assert_eq!(calls.state(2), Some(State::Closed));
            });
            honest += 1;
            thread::sleep(Duration::from_micros(100));
        }
        for thread in attack {
            let (took, stall) = thread.join().unwrap();
            println!("{:?} a call of the flood, at most {stall:?}", took / (KEYS / 2) as u32);
            stall.check();
        }
        println!("{honest} turns of honest calls, at most {stall:?}");
        stall.check();
    });
    println!("grew by {} bytes, {} calls unguarded", growth.most(), calls.keyed.unguarded());
    assert!(growth.most() < 350 * BOUND + (4 << 20), "{} bytes", growth.most());
    assert_eq!(calls.keyed.len() as u64, BOUND);
    calls.succeed(1).unwrap_err();
    calls.fail(2, 1);
    calls.succeed(2).unwrap_err();
}
