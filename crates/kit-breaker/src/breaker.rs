//! The breaker: a gate around the state machine.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use kit_base::{End, Error, Event, Gate, Judgement, Now, Observer, Verdict};

use crate::circuit::{Admission, Circuit, Nanos};
use crate::open_for::{LONGEST, OpenTimes, SHORTEST};
use crate::policy::Decision;
use crate::rules::{Outcome, Rules, nanos};
use crate::word::{CLEARED, Phase, Word};
use crate::{InvalidSettings, Settings, Snapshot, State, Tally};

/// When to come back while probes are under way: soon.
const SOON: Duration = Duration::from_millis(100);

/// A circuit breaker: a gate that stops asking a peer that fails, and tries now and then whether it is well again.
///
/// Put it around an endpoint with [`Guard::new`](kit_base::Guard::new); the guard gives it back
/// ([`Guard::gate`](kit_base::Guard::gate)) for its state and its switches. One breaker is one circuit: see
/// [`Keyed`](crate::Keyed) for one a key.
#[doc(alias("Gobreaker", "HandyBreaker", "Hystrix", "CircuitBreaker"))]
pub struct Breaker<O = ()> {
    circuit: Circuit,
    rules: ArcSwap<Rules>,
    /// Held while the rules and what the circuit knows of them change together.
    changing: Mutex<()>,
    times: OpenTimes,
    epoch: OnceLock<Instant>,
    opened: AtomicU64,
    refused: AtomicU64,
    failures: AtomicU64,
    name: Cow<'static, str>,
    observer: O,
}

impl Breaker {
    /// A closed circuit with these settings.
    ///
    /// # Errors
    /// A setting makes no sense.
    pub fn new(settings: Settings) -> Result<Self, InvalidSettings> {
        Rules::new(settings).map(|rules| Self::with_rules(rules, Cow::Borrowed(""), ()))
    }
}

impl<O: Observer> Breaker<O> {
    fn with_rules(rules: Rules, name: Cow<'static, str>, observer: O) -> Self {
        Self {
            circuit: Circuit::new(rules.flags()),
            rules: ArcSwap::from_pointee(rules),
            changing: Mutex::new(()),
            times: OpenTimes::new(),
            epoch: OnceLock::new(),
            opened: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            name,
            observer,
        }
    }

    /// The same with this name: the key of its events.
    #[must_use]
    pub fn named(self, name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The same, telling this observer what it does.
    pub fn observed_by<P: Observer>(self, observer: P) -> Breaker<P> {
        Breaker {
            circuit: self.circuit,
            rules: self.rules,
            changing: self.changing,
            times: self.times,
            epoch: self.epoch,
            opened: self.opened,
            refused: self.refused,
            failures: self.failures,
            name: self.name,
            observer,
        }
    }

    /// A new circuit with the same settings, name and observer.
    #[must_use]
    pub fn fresh(&self) -> Self
    where
        O: Clone,
    {
        Self::with_rules(Rules::of_checked(self.settings()), self.name.clone(), self.observer.clone())
    }

    /// The name; empty unless [named](Self::named).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The settings in use.
    pub fn settings(&self) -> Settings {
        self.rules.load().settings.clone()
    }

    /// Changes the settings while it runs. A closed circuit begins to count anew; an open one stays open for as long as it
    /// would have, and probes go on.
    ///
    /// # Errors
    /// A setting makes no sense; nothing has changed then.
    pub fn change(&self, settings: Settings) -> Result<(), InvalidSettings> {
        let rules = Rules::new(settings)?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let flags = rules.flags();
        self.rules.store(Arc::new(rules));
        self.circuit.set_flags(flags);
        Ok(())
    }

    /// Opens it, until it is told otherwise. What is under way does not count any more.
    pub fn force_open(&self) {
        self.force(Phase::ForcedOpen, "forced_open");
    }

    /// Keeps it closed, whatever happens, until it is told otherwise.
    pub fn force_closed(&self) {
        self.force(Phase::ForcedClosed, "forced_closed");
    }

    /// Switches it off, until it is told otherwise: it lets everything in, and looks at nothing.
    pub fn disable(&self) {
        self.force(Phase::Disabled, "disabled");
    }

    /// Closes it, from whatever state, and begins anew.
    pub fn reset(&self) {
        self.times.reset();
        self.force(Phase::Closed, "reset");
    }

    fn force(&self, phase: Phase, what: &'static str) {
        self.circuit.force(phase);
        self.tell(what);
    }

    /// What it does with calls at this moment, by the clock of its guard. An open circuit whose time has passed is
    /// half-open, though it is the next call that makes it so.
    pub fn state_at(&self, now: Instant) -> State {
        self.snapshot_at(now).state
    }

    /// What can be seen of it at this moment, by the clock of its guard.
    pub fn snapshot_at(&self, now: Instant) -> Snapshot {
        let now = self.nanos(now);
        let moment = self.circuit.moment();
        let word = self.circuit.word();
        let (state, open_for) = match word.phase() {
            Phase::Closed => (State::Closed, None),
            Phase::Open if now >= moment => (State::HalfOpen, None),
            Phase::Open => (State::Open, Some(Duration::from_nanos(moment - now))),
            Phase::Opening => (State::Open, None),
            Phase::HalfOpen => (State::HalfOpen, None),
            Phase::ForcedOpen => (State::ForcedOpen, None),
            Phase::ForcedClosed => (State::ForcedClosed, None),
            Phase::Disabled => (State::Disabled, None),
        };
        let closed = word.phase() == Phase::Closed;
        // As with an open circuit whose time has passed: what the next call forgets is not there any more.
        let forgotten = closed && word.has(CLEARED) && moment != 0 && now >= moment;
        let window = self.rules.load().tally(word.generation(), now);
        let probes = if word.phase() == Phase::HalfOpen { word.probes() } else { Default::default() };
        Snapshot {
            state,
            open_for,
            consecutive_failures: if closed && !forgotten { word.failures() } else { 0 },
            window: if forgotten { window.map(|_| Tally::default()) } else { window },
            probes: probes.running,
            successes: probes.successes,
            opened: self.opened.load(Relaxed),
            refused: self.refused.load(Relaxed),
            failures: self.failures.load(Relaxed),
        }
    }

    fn nanos(&self, now: Instant) -> Nanos {
        nanos(now.saturating_duration_since(*self.epoch.get_or_init(|| now)))
    }

    /// The moment that [`nanos`](Self::nanos) made this of.
    fn instant(&self, now: Nanos) -> Option<Instant> {
        self.epoch.get()?.checked_add(Duration::from_nanos(now))
    }

    fn tell(&self, what: &'static str) {
        self.observer.observe(&Event::new("breaker", what, &self.name));
    }

    /// Admits where a clock, or more than the word, is needed.
    #[inline(never)]
    fn admit_by_rules(&self, word: Word, now: &Now<'_>) -> Result<Permit, Error> {
        let at = self.nanos(now.get());
        if word.phase() == Phase::Closed && !word.has(CLEARED) {
            return Ok(Permit { at, ..Permit::of(word.generation()) });
        }
        let rules = self.rules.load();
        loop {
            match self.circuit.admit(&rules.limits, at) {
                Admission::Counted { generation, probe, began } => {
                    if began {
                        self.tell("half_opened");
                    }
                    return Ok(Permit { probe, at, ..Permit::of(generation) });
                }
                Admission::Uncounted => return Ok(Permit { counted: false, ..Permit::of(0) }),
                Admission::Lost { generation } => self.open(&rules, generation, None, at),
                Admission::Closed => self.closed(),
                Admission::Refused { wait, forced } => {
                    if rules.settings.observe_only && !forced {
                        self.tell("would_refuse");
                        return Ok(Permit { counted: false, ..Permit::of(0) });
                    }
                    self.refused.fetch_add(1, Relaxed);
                    self.tell("refused");
                    let refusal = Error::unavailable("circuit breaker is open").with_reason("CIRCUIT_OPEN");
                    let wait = wait.map_or(SOON, Duration::from_nanos);
                    return Err(if forced { refusal } else { refusal.with_retry_after(wait) });
                }
            }
        }
    }

    /// Counts the end of a call.
    #[inline(never)]
    fn settle(&self, permit: Permit, end: &End<'_>) {
        let Permit { generation, probe, answered, counted, at } = permit;
        if !counted {
            return;
        }
        let rules = self.rules.load();
        let instant = end.now.get();
        let now = self.nanos(instant);
        let moment = self.circuit.moment();
        let word = self.circuit.word();
        if word.has(CLEARED) {
            self.circuit.forget(word, moment, &rules.limits, now);
        }
        if self.circuit.word().generation() != generation {
            return;
        }
        let took = Duration::from_nanos(now.saturating_sub(at));
        let slow = rules.is_slow(took);
        match rules.outcome(end, probe, took) {
            Outcome::Nothing if probe => self.circuit.give_back(generation, answered),
            Outcome::Nothing => {}
            Outcome::Calm(time) => self.open(&rules, generation, Some(time), now),
            Outcome::Success if probe && slow => self.open(&rules, generation, None, now),
            Outcome::Success => {
                if !probe {
                    self.heed(&rules, generation, rules.record(generation, (instant, now), false, slow), None, now);
                }
                if self.circuit.success(generation, answered, &rules.limits) {
                    self.circuit.closed(moment, &rules.limits, now);
                    self.closed();
                }
            }
            Outcome::Failure => {
                self.failures.fetch_add(1, Relaxed);
                let hint = rules.hint(&end.judgement.retry_hint);
                if self.circuit.failure(generation, &rules.limits) {
                    self.open(&rules, generation, hint, now);
                } else if !probe {
                    self.heed(&rules, generation, rules.record(generation, (instant, now), true, slow), hint, now);
                }
            }
        }
    }

    fn heed(&self, rules: &Rules, generation: u32, decision: Decision, hint: Option<Duration>, now: Nanos) {
        match decision {
            Decision::Stay => {}
            Decision::Open => self.open(rules, generation, hint, now),
            Decision::OpenFor(time) => self.open(rules, generation, hint.or(Some(time)), now),
        }
    }

    /// Opens the circuit, unless somebody has changed it meanwhile.
    #[cold]
    fn open(&self, rules: &Rules, generation: u32, wish: Option<Duration>, now: Nanos) {
        let Some(tripped) = self.circuit.trip(generation) else { return };
        let again = || rules.reopen(self.instant(now)?);
        let wish = if tripped.half_open { wish.or_else(again) } else { wish };
        let time = wish.map(|time| time.clamp(SHORTEST, LONGEST));
        let time = time.unwrap_or_else(|| self.times.next(&rules.settings.open_for));
        self.circuit.open(tripped, now.saturating_add(nanos(time)));
        self.opened.fetch_add(1, Relaxed);
        self.tell("opened");
    }

    #[cold]
    fn closed(&self) {
        self.times.reset();
        self.tell("closed");
    }
}

impl Default for Breaker {
    /// With [gobreaker's defaults](Settings::gobreaker).
    fn default() -> Self {
        Self::new(Settings::gobreaker()).expect("gobreaker's defaults make sense")
    }
}

/// What a breaker remembers of a call that it let in.
#[derive(Debug)]
pub struct Permit {
    generation: u32,
    probe: bool,
    /// A probe that has the head of a good answer.
    answered: bool,
    counted: bool,
    at: Nanos,
}

impl Permit {
    #[inline]
    const fn of(generation: u32) -> Self {
        Self { generation, probe: false, answered: false, counted: true, at: 0 }
    }
}

impl<Req, Res, Err, O: Observer + 'static> Gate<Req, Res, Err> for Breaker<O> {
    type Permit = Permit;

    #[inline]
    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<Permit, Error> {
        let word = self.circuit.word();
        if word.lets_in() { Ok(Permit::of(word.generation())) } else { self.admit_by_rules(word, now) }
    }

    #[inline]
    fn answer(&self, permit: &mut Permit, _: &mut Result<Res, Err>, judgement: &Judgement) {
        if permit.probe && judgement.verdict == Verdict::Success {
            permit.answered = self.circuit.answered(permit.generation);
        }
    }

    #[inline]
    fn finish(&self, permit: Permit, end: &End<'_>) {
        if end.judgement.verdict == Verdict::Success && self.circuit.word().needs_no_success() {
            return;
        }
        self.settle(permit, end);
    }
}

impl<O> fmt::Debug for Breaker<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("name", &self.name).field("circuit", &self.circuit).finish_non_exhaustive()
    }
}
