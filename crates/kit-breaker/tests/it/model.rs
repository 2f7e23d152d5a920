//! Histories by chance, against a slow model of a breaker that is plain to see.

use std::cell::Cell;
use std::time::{Duration, Instant};

use kit_base::{Cause, Judgement, Kind, Origin, RetryHint};
use kit_breaker::{Breaker, Decision, OpenFor, Permit, Policy, Settings, State, Tally, Window};

use crate::support::{ByHand, Chance, Told};

/// Settings, as the model reads them.
#[derive(Clone, Debug)]
struct Plain {
    consecutive: Option<u32>,
    rate: Option<f64>,
    slow: Option<(Duration, f64)>,
    /// A policy that opens for 7 s at this failure since it was reset.
    policy: Option<u32>,
    window: Window,
    min_calls: u32,
    clear: Option<Duration>,
    /// The times for which it opens; the last one stays.
    open_for: Vec<Duration>,
    heed: Option<Duration>,
    probes: u32,
    successes: Option<u32>,
    within: Duration,
    observe_only: bool,
}

const POLICY_OPENS_FOR: Duration = Duration::from_secs(7);

struct EachSo(u32, u32);

impl Policy for EachSo {
    fn success(&mut self, _: Instant) {}

    fn failure(&mut self, _: Instant) -> Decision {
        self.1 += 1;
        if self.1 >= self.0 { Decision::OpenFor(POLICY_OPENS_FOR) } else { Decision::Stay }
    }

    fn reset(&mut self, _: Instant) {
        self.1 = 0;
    }
}

impl Plain {
    fn by_chance(chance: &mut Chance) -> Self {
        let ms = Duration::from_millis;
        let window = chance.of(&[
            Window::Calls(1),
            Window::Calls(3),
            Window::Calls(10),
            Window::Calls(40),
            Window::Time(ms(1_000)),
            Window::Time(ms(77)),
            Window::Time(ms(20_000)),
            Window::Whole,
        ]);
        let most = if let Window::Calls(calls) = window { u64::from(calls) } else { 12 };
        let mut plain = Self {
            consecutive: chance.of(&[None, Some(1), Some(2), Some(4)]),
            rate: chance.of(&[None, None, Some(0.01), Some(0.5), Some(0.8), Some(1.0)]),
            slow: chance.of(&[None, None, Some((ms(100), 0.5)), Some((ms(1_000), 1.0)), Some((ms(1), 0.1))]),
            policy: chance.of(&[None, None, Some(1), Some(3), Some(6)]),
            window,
            min_calls: 1 + chance.under(most) as u32,
            clear: chance.of(&[None, None, Some(ms(500)), Some(ms(5_000)), Some(ms(100_000))]),
            open_for: chance.of::<&[Duration]>(&[&[ms(1_000)], &[ms(3), ms(2_000), ms(10_000)]]).to_vec(),
            heed: chance.of(&[None, Some(ms(3_000)), Some(ms(50_000))]),
            probes: chance.of(&[1, 1, 2, 3]),
            successes: chance.of(&[None, None, Some(1), Some(2), Some(5)]),
            within: chance.of(&[ms(700), ms(2_000), ms(60_000)]),
            observe_only: chance.one_in(6),
        };
        if plain.rate.is_none() && plain.slow.is_none() && plain.policy.is_none() && plain.heed.is_none() {
            plain.consecutive = plain.consecutive.or(Some(3));
        }
        plain
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::new()
            .window(self.window)
            .min_calls(self.min_calls)
            .open_for(match self.open_for.len() {
                1 => OpenFor::from(self.open_for[0]),
                _ => OpenFor::each(self.open_for.clone().into_iter()),
            })
            .probes(self.probes)
            .probe_within(self.within);
        if let Some(failures) = self.consecutive {
            settings = settings.consecutive_failures(failures);
        }
        if let Some(share) = self.rate {
            settings = settings.failure_rate(share);
        }
        if let Some((limit, share)) = self.slow {
            settings = settings.slow_calls(limit, share);
        }
        if let Some(failures) = self.policy {
            settings = settings.policy(move || EachSo(failures, 0));
        }
        if let Some(interval) = self.clear {
            settings = settings.clear_every(interval);
        }
        if let Some(at_most) = self.heed {
            settings = settings.heed_retry_after(at_most);
        }
        if let Some(successes) = self.successes {
            settings = settings.successes_to_close(successes);
        }
        if self.observe_only { settings.observe_only() } else { settings }
    }

    fn needed(&self) -> u32 {
        self.successes.unwrap_or(self.probes)
    }

    fn measures(&self) -> bool {
        self.rate.is_some() || self.slow.is_some()
    }
}

/// A call that the model has let in.
#[derive(Clone, Copy, Debug)]
struct Ticket {
    generation: u64,
    counted: bool,
    probe: bool,
    head: bool,
    at: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    ended: Duration,
    failed: bool,
    slow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Closed,
    Open { until: Duration },
    HalfOpen { running: u32, successes: u32, heads: u32, lost_at: Duration },
    Forced(State),
}

/// The breaker, as its documentation says it is.
struct Model {
    plain: Plain,
    phase: Phase,
    generation: u64,
    row: u32,
    calls: Vec<Call>,
    policy_failures: u32,
    /// When it forgets; not known before somebody looks.
    forget_at: Option<Duration>,
    /// How many of the times to be open for were used.
    times: usize,
    opened: u64,
    refused: u64,
    failures: u64,
    told: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Counts {
    Success,
    Failure,
    Nothing,
    Calm(Duration),
}

impl Model {
    fn new(plain: Plain) -> Self {
        Self {
            plain,
            phase: Phase::Closed,
            generation: 0,
            row: 0,
            calls: Vec::new(),
            policy_failures: 0,
            forget_at: None,
            times: 0,
            opened: 0,
            refused: 0,
            failures: 0,
            told: Vec::new(),
        }
    }

    /// Whatever was before counts no more.
    fn turn(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
        self.row = 0;
        self.calls.clear();
        self.policy_failures = 0;
    }

    fn force(&mut self, state: State, told: &'static str) {
        if state == State::Closed {
            self.turn(Phase::Closed);
            self.times = 0;
            self.forget_at = None;
        } else {
            self.turn(Phase::Forced(state));
        }
        self.told.push(told);
    }

    fn change(&mut self, plain: Plain) {
        self.plain = plain;
        self.times = 0;
        self.calls.clear();
        self.policy_failures = 0;
        if self.phase == Phase::Closed {
            self.turn(Phase::Closed);
            self.forget_at = None;
        }
    }

    fn open(&mut self, wish: Option<Duration>, now: Duration) {
        let time = wish.unwrap_or_else(|| {
            let time = self.plain.open_for[self.times.min(self.plain.open_for.len() - 1)];
            self.times += 1;
            time
        });
        self.turn(Phase::Open { until: now + time.max(Duration::from_millis(1)) });
        self.opened += 1;
        self.told.push("opened");
    }

    fn close(&mut self, now: Duration) {
        self.turn(Phase::Closed);
        self.times = 0;
        self.forget_at = self.plain.clear.map(|interval| now + interval);
        self.told.push("closed");
    }

    fn forget(&mut self, now: Duration) {
        let (Some(interval), Phase::Closed) = (self.plain.clear, self.phase) else { return };
        match self.forget_at {
            None => self.forget_at = Some(now + interval),
            Some(at) if now >= at => {
                self.turn(Phase::Closed);
                self.forget_at = Some(now + interval);
            }
            Some(_) => {}
        }
    }

    /// Lets a call in, or says after which time to come back.
    fn admit(&mut self, now: Duration) -> Result<Ticket, Option<Duration>> {
        let uncounted = Ticket { generation: 0, counted: false, probe: false, head: false, at: now };
        loop {
            let counted = Ticket { generation: self.generation, counted: true, ..uncounted };
            match self.phase {
                Phase::Forced(State::ForcedOpen) => {
                    self.refused += 1;
                    self.told.push("refused");
                    return Err(None);
                }
                Phase::Forced(_) => return Ok(uncounted),
                Phase::Closed => {
                    self.forget(now);
                    return Ok(Ticket { generation: self.generation, ..counted });
                }
                Phase::Open { until } if now < until => return self.refuse(uncounted, until - now),
                Phase::Open { .. } => {
                    let lost_at = now + self.plain.within;
                    self.turn(Phase::HalfOpen { running: 1, successes: 0, heads: 0, lost_at });
                    self.told.push("half_opened");
                    return Ok(Ticket { generation: self.generation, probe: true, ..counted });
                }
                Phase::HalfOpen { running, successes, heads, lost_at } => {
                    let useful = self.plain.needed().max(self.plain.probes);
                    if running < self.plain.probes && running + successes < useful {
                        let lost_at = now + self.plain.within;
                        self.phase = Phase::HalfOpen { running: running + 1, successes, heads, lost_at };
                        return Ok(Ticket { probe: true, ..counted });
                    }
                    let good = if now >= lost_at { successes + heads } else { successes };
                    if good >= self.plain.needed() {
                        self.close(now);
                    } else if now < lost_at {
                        return self.refuse(uncounted, Duration::from_millis(100));
                    } else if heads == 0 {
                        self.open(None, now);
                    } else {
                        let lost_at = now + self.plain.within;
                        self.turn(Phase::HalfOpen { running: 0, successes: good, heads: 0, lost_at });
                    }
                }
            }
        }
    }

    fn refuse(&mut self, uncounted: Ticket, after: Duration) -> Result<Ticket, Option<Duration>> {
        if self.plain.observe_only {
            self.told.push("would_refuse");
            return Ok(uncounted);
        }
        self.refused += 1;
        self.told.push("refused");
        Err(Some(after))
    }

    fn head(&mut self, ticket: &mut Ticket) {
        if let Phase::HalfOpen { heads, .. } = &mut self.phase {
            if ticket.probe && ticket.generation == self.generation {
                *heads += 1;
                ticket.head = true;
            }
        }
    }

    fn counts(&self, ticket: &Ticket, judgement: &Judgement, cause: Cause, took: Duration) -> Counts {
        let had_time = self.plain.slow.is_none_or(|(limit, _)| took >= limit);
        let remote = judgement.origin == Origin::Remote;
        match judgement.kind {
            None => Counts::Success,
            _ if cause == Cause::Left => Counts::Nothing,
            Some(Kind::NotFound) if ticket.probe && remote => Counts::Success,
            Some(Kind::Unavailable) if judgement.retry_hint != RetryHint::None => {
                self.hint(judgement).filter(|_| remote).map_or(Counts::Nothing, Counts::Calm)
            }
            Some(Kind::DeadlineExceeded) if had_time && remote => Counts::Failure,
            Some(Kind::Unavailable | Kind::Internal) if judgement.origin != Origin::LocalRefusal => Counts::Failure,
            _ => Counts::Nothing,
        }
    }

    fn hint(&self, judgement: &Judgement) -> Option<Duration> {
        match (judgement.retry_hint, self.plain.heed) {
            (RetryHint::After(after), Some(at_most)) => Some(after.min(at_most)),
            _ => None,
        }
    }

    fn end(&mut self, ticket: Ticket, judgement: &Judgement, cause: Cause, now: Duration) {
        if !ticket.counted {
            return;
        }
        self.forget(now);
        if ticket.generation != self.generation {
            return;
        }
        let took = now - ticket.at;
        let slow = self.plain.slow.is_some_and(|(limit, _)| took >= limit);
        let counts = self.counts(&ticket, judgement, cause, took);
        let hint = self.hint(judgement);
        if counts == Counts::Failure {
            self.failures += 1;
        }
        if let Counts::Calm(time) = counts {
            return self.open(Some(time), now);
        }
        if let Phase::HalfOpen { running, successes, heads, lost_at } = self.phase {
            let (running, heads) = (running - 1, heads - u32::from(ticket.head));
            match counts {
                Counts::Failure => self.open(hint, now),
                Counts::Success if slow => self.open(None, now),
                Counts::Success if successes + 1 >= self.plain.needed() => self.close(now),
                Counts::Success => self.phase = Phase::HalfOpen { running, successes: successes + 1, heads, lost_at },
                _ => self.phase = Phase::HalfOpen { running, successes, heads, lost_at },
            }
            return;
        }
        if counts == Counts::Nothing {
            return;
        }
        let failed = counts == Counts::Failure;
        self.row = if failed { self.row + 1 } else { 0 };
        self.calls.push(Call { ended: now, failed, slow });
        self.policy_failures += u32::from(failed);
        if failed && self.plain.consecutive.is_some_and(|most| self.row >= most) {
            self.open(hint, now);
        } else if (failed || slow) && self.is_too_much(now) {
            self.open(if failed { hint } else { None }, now);
        } else if failed && self.plain.policy.is_some_and(|most| self.policy_failures >= most) {
            self.open(hint.or(Some(POLICY_OPENS_FOR)), now);
        }
    }

    fn tally(&self, now: Duration) -> (u32, u32, u32) {
        let in_window = |at: usize, call: &Call| match self.plain.window {
            Window::Calls(calls) => self.calls.len() - at <= calls as usize,
            Window::Time(time) => {
                let tenth = |moment: Duration| moment.as_nanos() / (time.as_nanos() / 10);
                tenth(call.ended) + 10 > tenth(now)
            }
            _ => true,
        };
        let calls = || self.calls.iter().enumerate().filter(|(at, call)| in_window(*at, call)).map(|(_, call)| call);
        let count = |which: fn(&Call) -> bool| calls().filter(|call| which(call)).count() as u32;
        (count(|_| true), count(|call| call.failed), count(|call| call.slow))
    }

    fn is_too_much(&self, now: Duration) -> bool {
        let (calls, failures, slow) = self.tally(now);
        let reaches = |part: u32, share: Option<f64>| {
            share.is_some_and(|share| part > 0 && f64::from(part) >= share * f64::from(calls))
        };
        self.plain.measures()
            && calls >= self.plain.min_calls
            && (reaches(failures, self.plain.rate) || reaches(slow, self.plain.slow.map(|(_, share)| share)))
    }

    fn agrees(&self, by_hand: &ByHand<Told>, told: &Told, now: Duration) {
        let seen = by_hand.snapshot();
        let (state, open_for) = match self.phase {
            Phase::Closed => (State::Closed, None),
            Phase::Open { until } if now >= until => (State::HalfOpen, None),
            Phase::Open { until } => (State::Open, Some(until - now)),
            Phase::HalfOpen { .. } => (State::HalfOpen, None),
            Phase::Forced(state) => (state, None),
        };
        assert_eq!((seen.state, seen.open_for), (state, open_for));
        assert_eq!(by_hand.state(), state);
        let (probes, successes) = match self.phase {
            Phase::HalfOpen { running, successes, .. } => (running, successes),
            _ => (0, 0),
        };
        // What the next call forgets is not shown any more.
        let forgotten = self.phase == Phase::Closed && self.forget_at.is_some_and(|at| now >= at);
        let row = if forgotten { 0 } else { self.row };
        assert_eq!((seen.probes, seen.successes, seen.consecutive_failures), (probes, successes, row));
        let counted = |tally: Tally| (tally.calls, tally.failures, tally.slow);
        let tally = || if forgotten { (0, 0, 0) } else { self.tally(now) };
        assert_eq!(seen.window.map(counted), self.plain.measures().then(tally));
        assert_eq!((seen.opened, seen.refused, seen.failures), (self.opened, self.refused, self.failures));
        assert_eq!(told.take(), self.told);
    }

    /// A time that may make a difference.
    fn time(&self, now: Duration, chance: &mut Chance) -> Duration {
        let moment = match self.phase {
            Phase::Closed => self.forget_at,
            Phase::Open { until } => Some(until),
            Phase::HalfOpen { lost_at, .. } => Some(lost_at),
            Phase::Forced(_) => None,
        };
        let tenth = if let Window::Time(time) = self.plain.window { time / 10 } else { Duration::from_millis(9) };
        let left = moment.map_or(tenth, |moment| moment.saturating_sub(now));
        match chance.under(12) {
            0 => left,
            1 => left.saturating_sub(Duration::from_nanos(1)),
            2 => left + Duration::from_nanos(1),
            3 => tenth,
            4 => tenth * 10,
            5 => self.plain.slow.map_or(Duration::ZERO, |(limit, _)| limit),
            6 => Duration::from_millis(chance.under(100_000)),
            7 if chance.one_in(20) => Duration::from_secs(chance.under(40 * 24 * 60 * 60)),
            _ => Duration::from_millis(chance.under(50)),
        }
    }
}

fn judgement_by_chance(chance: &mut Chance, failing: u64) -> (Judgement, Cause) {
    let after = RetryHint::After(Duration::from_millis(chance.under(10_000)));
    let of = |kind, origin, hint| (Judgement::of_parts(kind, origin, hint), Cause::Answered);
    if !chance.one_in(failing) {
        return (Judgement::SUCCESS, Cause::Answered);
    }
    match chance.under(13) {
        0 => (Judgement::LEFT, Cause::Left),
        1 => of(Kind::NotFound, Origin::Remote, RetryHint::None),
        2 => of(Kind::Unavailable, Origin::Remote, after),
        3 => of(Kind::Internal, Origin::Remote, after),
        4 => of(Kind::DeadlineExceeded, Origin::Remote, RetryHint::None),
        5 => (Judgement::of_kind(Kind::Internal), Cause::Panicked),
        6 => of(Kind::ResourceExhausted, Origin::Remote, after),
        7 => of(Kind::Unavailable, Origin::LocalRefusal, RetryHint::None),
        8 => of(Kind::Unavailable, Origin::NotSent, RetryHint::None),
        9 => of(Kind::DeadlineExceeded, Origin::NotSent, RetryHint::None),
        10 => of(Kind::NotFound, Origin::LocalRefusal, RetryHint::None),
        _ => of(Kind::Unavailable, Origin::Remote, RetryHint::None),
    }
}

fn history(seed: u64, steps: usize) {
    let chance = &mut Chance(seed);
    let plain = Plain::by_chance(chance);
    let told = Told::default();
    let by_hand = ByHand::over(Breaker::new(plain.settings()).expect("it makes sense").observed_by(told.clone()));
    let mut model = Model::new(plain);
    let mut running: Vec<(Permit, Ticket)> = Vec::new();
    let passed = Cell::new(Duration::ZERO);
    let failing = chance.of(&[1, 1, 2, 5]);
    let forces = chance.one_in(3);
    for _ in 0..steps {
        let now = passed.get();
        match chance.under(20) {
            0..7 if running.len() < 8 => match (by_hand.admit(), model.admit(now)) {
                (Ok(permit), Ok(ticket)) => running.push((permit, ticket)),
                (Err(refusal), Err(after)) => {
                    assert_eq!((refusal.kind(), refusal.reason()), (Kind::Unavailable, Some("CIRCUIT_OPEN")));
                    assert_eq!(refusal.retry_after(), after);
                }
                (breaker, model) => panic!("{breaker:?}, and by the model {model:?}"),
            },
            0..14 => {
                let Some((mut permit, mut ticket)) =
                    (!running.is_empty()).then(|| running.swap_remove(chance.under(running.len() as u64) as usize))
                else {
                    continue;
                };
                if chance.one_in(4) {
                    by_hand.answer(&mut permit, Judgement::SUCCESS);
                    // There is one head a call, but a stream may wait for its end.
                    if !ticket.head {
                        model.head(&mut ticket);
                    }
                    if chance.one_in(2) {
                        let (judgement, cause) = judgement_by_chance(chance, failing);
                        by_hand.end(permit, judgement, cause);
                        model.end(ticket, &judgement, cause, now);
                    } else {
                        streaming_on(&by_hand, &mut model, (permit, ticket), &passed, chance);
                    }
                } else {
                    let (judgement, cause) = judgement_by_chance(chance, failing);
                    by_hand.end(permit, judgement, cause);
                    model.end(ticket, &judgement, cause, now);
                }
            }
            14..18 => {
                passed.set(now + model.time(now, chance));
                by_hand.go_to(passed.get());
            }
            18 if chance.one_in(4) => {
                let plain = Plain::by_chance(chance);
                by_hand.breaker.change(plain.settings()).expect("it makes sense");
                model.change(plain);
            }
            19 if forces && chance.one_in(4) => match chance.under(6) {
                0 => {
                    by_hand.breaker.force_open();
                    model.force(State::ForcedOpen, "forced_open");
                }
                1 => {
                    by_hand.breaker.force_closed();
                    model.force(State::ForcedClosed, "forced_closed");
                }
                2 => {
                    by_hand.breaker.disable();
                    model.force(State::Disabled, "disabled");
                }
                _ => {
                    by_hand.breaker.reset();
                    model.force(State::Closed, "reset");
                }
            },
            _ => {}
        }
        model.agrees(&by_hand, &told, passed.get());
        model.told.clear();
    }
}

/// The head is there, and the rest comes after some time, in which others ask.
fn streaming_on(
    by_hand: &ByHand<Told>,
    model: &mut Model,
    (permit, ticket): (Permit, Ticket),
    passed: &Cell<Duration>,
    chance: &mut Chance,
) {
    passed.set(passed.get() + model.time(passed.get(), chance));
    by_hand.go_to(passed.get());
    let others = (by_hand.admit(), model.admit(passed.get()));
    let (judgement, cause) = judgement_by_chance(chance, 2);
    by_hand.end(permit, judgement, cause);
    model.end(ticket, &judgement, cause, passed.get());
    match others {
        (Ok(permit), Ok(ticket)) => {
            by_hand.leave(permit);
            model.end(ticket, &Judgement::LEFT, Cause::Left, passed.get());
        }
        (Err(_), Err(_)) => {}
        (breaker, model) => panic!("{breaker:?}, and by the model {model:?}"),
    }
}

fn histories(seeds: std::ops::Range<u64>, steps: usize) {
    for seed in seeds {
        let history = std::panic::AssertUnwindSafe(|| history(seed, steps));
        if let Err(panic) = std::panic::catch_unwind(history) {
            let text = panic.downcast_ref::<String>().map_or("", String::as_str);
            panic!("with the seed {seed}: {text}");
        }
    }
}

#[test]
fn three_thousand_histories_are_those_of_the_model() {
    histories(0..3_000, 150);
}

#[test]
#[ignore = "takes a minute: runs with --deep"]
fn a_hundred_thousand_histories_are_those_of_the_model() {
    histories(3_000..103_000, 300);
}
