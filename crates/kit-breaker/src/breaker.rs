//! The breaker: a gate around the state machine.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use kit_base::{End, Error, Event, Gate, Judgement, Now, Observer, Verdict};

use crate::circuit::{Admission, Circuit, Nanos};
use crate::current::Current;
use crate::open_for::{LONGEST, OpenTimes, SHORTEST};
use crate::policy::Decision;
use crate::rules::{Outcome, Present, Rules, nanos, nanos_since};
use crate::word::{CLEARED, Phase, Word};
use crate::{InvalidSettings, Settings, Snapshot, State, Tally};

/// When to come back while probes are under way: soon.
const SOON: Duration = Duration::from_millis(100);

/// A circuit breaker: a gate that stops asking a peer that fails, and tries now and then whether it is well again.
///
/// Put it around an endpoint with [`Guard::new`](kit_base::Guard::new); the guard gives it back
/// ([`Guard::gate`](kit_base::Guard::gate)) for its state and its switches. One breaker is one circuit, so it is no `Clone`: clones
/// of its guard share it, [`fresh`](Self::fresh) makes another, and [`Keyed`](crate::Keyed) has one a key.
#[doc(alias("Gobreaker", "HandyBreaker", "Hystrix", "CircuitBreaker"))]
pub struct Breaker<O = ()> {
    circuit: Circuit,
    rules: Current,
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
    /// A setting makes no sense, or no rule opens the circuit.
    pub fn new(settings: Settings) -> Result<Self, InvalidSettings> {
        Rules::new(settings).map(|rules| Self::with_rules(Arc::new(rules), Cow::Borrowed(""), ()))
    }
}

impl<O: Observer> Breaker<O> {
    pub(crate) fn with_rules(rules: Arc<Rules>, name: Cow<'static, str>, observer: O) -> Self {
        Self {
            circuit: Circuit::new(rules.flags()),
            rules: Current::new(rules),
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

    /// The same, telling this observer what it does: a closure `|event: &Event<'_>|`, say, whose parameter needs its type. Where
    /// the breaker's own type must be written down, `Arc<dyn Observer>` is an observer too.
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

    /// A new circuit with the same settings, name and observer: closed, with figures of its own.
    #[must_use]
    pub fn fresh(&self) -> Self
    where
        O: Clone,
    {
        let rules = Rules::of_checked(Arc::clone(&self.rules.load().settings));
        Self::with_rules(Arc::new(rules), self.name.clone(), self.observer.clone())
    }

    /// The name; empty unless [named](Self::named).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The settings in use.
    pub fn settings(&self) -> Settings {
        Settings::clone(&self.rules.load().settings)
    }

    /// Changes the settings while it runs. A closed circuit begins to count anew, without the calls that are under way; an open
    /// one stays open for as long as it would have, probes go on, and what is forced stays. New times to be open for begin
    /// with their first.
    ///
    /// # Errors
    /// A setting makes no sense, or no rule opens the circuit; nothing has changed then.
    pub fn change(&self, settings: Settings) -> Result<(), InvalidSettings> {
        Rules::new(settings).map(|rules| self.follow(Arc::new(rules)))
    }

    pub(crate) fn follow(&self, rules: Arc<Rules>) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let flags = rules.flags();
        let new_times = !rules.settings.open_for.is(&self.rules.load().settings.open_for);
        self.rules.store(rules);
        if new_times {
            self.times.reset();
        }
        self.circuit.set_flags(flags);
    }

    /// Opens it, until it is told otherwise. What is under way does not count any more.
    pub fn force_open(&self) {
        self.force(Phase::ForcedOpen, "forced_open");
    }

    /// Keeps it closed, whatever happens, until it is told otherwise. Nothing counts meanwhile.
    pub fn force_closed(&self) {
        self.force(Phase::ForcedClosed, "forced_closed");
    }

    /// Switches it off, until it is told otherwise: it lets everything in, and looks at nothing. For calls that is the same as
    /// [forced closed](Self::force_closed); the state says which of the two was meant.
    pub fn disable(&self) {
        self.force(Phase::Disabled, "disabled");
    }

    /// Closes it, from whatever state, and begins anew: it counts from nothing, and opens for its first time. The figures of
    /// what it has [ever](Snapshot) done go on.
    pub fn reset(&self) {
        self.times.reset();
        self.force(Phase::Closed, "reset");
    }

    fn force(&self, phase: Phase, what: &'static str) {
        self.circuit.force(phase);
        self.tell(what);
    }

    /// What it does with calls at this moment, by the clock of its guard: `Instant::now()`, unless [`Guard::with`] was given
    /// another; `tokio::time::Instant::now().into_std()` with paused time. An open circuit whose time has passed is half-open,
    /// though it is the next call that makes it so.
    ///
    /// [`Guard::with`]: kit_base::Guard::with
    pub fn state_at(&self, now: Instant) -> State {
        self.snapshot_at(now).state
    }

    /// What can be seen of it at this moment, by the clock of its guard.
    pub fn snapshot_at(&self, now: Instant) -> Snapshot {
        let now = self.nanos(now);
        let (moment, word) = self.circuit.look();
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
        let forgotten = is_forgotten(word, moment, now);
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

    /// Whether calls are let in without a clock, and their successes change nothing: there is nothing to remember.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        let word = self.circuit.word();
        word.lets_in() && word.needs_no_success()
    }

    /// What would be forgotten if it went now.
    pub(crate) fn memory(&self, now: Instant) -> Memory {
        let now = self.nanos(now);
        let (moment, word) = self.circuit.look();
        match word.phase() {
            Phase::ForcedOpen | Phase::ForcedClosed | Phase::Disabled => Memory::Order,
            Phase::Open if now < moment => Memory::Order,
            Phase::Closed if is_forgotten(word, moment, now) => Memory::Nothing,
            Phase::Closed if word.failures() == 0 && !self.rules.load().remembers(word.generation(), now) => {
                Memory::Nothing
            }
            Phase::Closed | Phase::Open | Phase::Opening | Phase::HalfOpen => Memory::Failures,
        }
    }

    pub(crate) fn nanos(&self, now: Instant) -> Nanos {
        nanos_since(&self.epoch, now)
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
    fn admit_by_rules(&self, now: &Now<'_>) -> Result<Permit, Error> {
        match self.circuit.word().phase() {
            Phase::ForcedClosed | Phase::Disabled => return Ok(Permit::UNCOUNTED),
            Phase::ForcedOpen => return Err(self.refusal()),
            _ => {}
        }
        let at = self.nanos(now.get());
        // The two that come up most: a closed circuit that is not to forget yet, and an open one.
        let (moment, word) = self.circuit.look();
        match word.phase() {
            Phase::Closed if !word.has(CLEARED) || at < moment => {
                Ok(Permit { generation: word.generation(), kind: Kind::Call, at })
            }
            Phase::Open if at < moment && !self.rules.load().settings.observe_only => {
                Err(self.refusal().with_retry_after(Duration::from_nanos(moment - at)))
            }
            _ => self.admit_by_limits(at),
        }
    }

    /// Admits where the circuit may have to change for it.
    #[inline(never)]
    fn admit_by_limits(&self, at: Nanos) -> Result<Permit, Error> {
        let rules = &*self.rules.load();
        loop {
            match self.circuit.admit(&rules.limits, at) {
                Admission::Counted { generation, probe, began } => {
                    if began {
                        self.tell("half_opened");
                    }
                    return Ok(Permit { generation, kind: if probe { Kind::Probe } else { Kind::Call }, at });
                }
                Admission::Uncounted => return Ok(Permit::UNCOUNTED),
                Admission::Lost { generation } => self.open(rules, generation, None, at),
                Admission::Closed => self.closed(),
                Admission::Refused { forced: true, .. } => return Err(self.refusal()),
                Admission::Refused { .. } if rules.settings.observe_only => {
                    self.tell("would_refuse");
                    return Ok(Permit::UNCOUNTED);
                }
                Admission::Refused { wait, .. } => {
                    return Err(self.refusal().with_retry_after(wait.map_or(SOON, Duration::from_nanos)));
                }
            }
        }
    }

    fn refusal(&self) -> Error {
        self.refused.fetch_add(1, Relaxed);
        self.tell("refused");
        Error::unavailable("circuit breaker is open").with_reason("CIRCUIT_OPEN")
    }

    /// Counts the end of a call. One that went well has no `failed`, and so nobody has to write down how it ended.
    #[inline(never)]
    fn settle(&self, generation: u32, kind: Kind, at: Nanos, now: &Now<'_>, failed: Option<&End<'_>>) {
        if kind == Kind::Uncounted {
            return;
        }
        let present = Present::new(now, &self.epoch);
        let moment = self.circuit.moment();
        let mut word = self.circuit.word();
        if word.has(CLEARED) && word.phase() == Phase::Closed && present.nanos() >= moment {
            self.circuit.forget(word, moment, &self.rules.load().limits, present.nanos());
            word = self.circuit.word();
        }
        if word.generation() != generation {
            return;
        }
        if failed.is_none() && word.without(CLEARED).needs_no_success() {
            return;
        }
        let rules = &*self.rules.load();
        let (probe, answered) = (kind != Kind::Call, kind == Kind::AnsweredProbe);
        let slow = rules.is_slow(at, &present);
        let outcome = failed.map_or(Outcome::Success, |end| rules.outcome_of_failed(end, probe, slow));
        match outcome {
            Outcome::Nothing if probe => self.circuit.give_back(generation, answered),
            Outcome::Nothing => {}
            Outcome::Calm(time) => self.open(rules, generation, Some(time), present.nanos()),
            Outcome::Success if probe && slow => self.open(rules, generation, None, present.nanos()),
            Outcome::Success => {
                if !probe {
                    self.heed(rules, generation, rules.record(generation, &present, false, slow), None, &present);
                }
                // Only a probe closes it, and has a use for the time.
                let now = if probe { present.nanos() } else { 0 };
                let matters = probe || word.failures() > 0;
                if matters && self.circuit.success(generation, answered, &rules.limits, now) {
                    self.closed();
                }
            }
            Outcome::Failure(hint) => {
                self.failures.fetch_add(1, Relaxed);
                if self.circuit.failure(generation, &rules.limits) {
                    self.open(rules, generation, hint, present.nanos());
                } else if !probe {
                    self.heed(rules, generation, rules.record(generation, &present, true, slow), hint, &present);
                }
            }
        }
    }

    #[inline]
    fn heed(&self, rules: &Rules, generation: u32, decision: Decision, hint: Option<Duration>, present: &Present<'_>) {
        match decision {
            Decision::Stay => {}
            Decision::Open => self.open(rules, generation, hint, present.nanos()),
            Decision::OpenFor(time) => self.open(rules, generation, hint.or(Some(time)), present.nanos()),
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
        if self.circuit.open(tripped, now.saturating_add(nanos(time))) {
            self.opened.fetch_add(1, Relaxed);
            self.tell("opened");
        }
    }

    #[cold]
    fn closed(&self) {
        self.times.reset();
        self.tell("closed");
    }
}

/// Whether the next call forgets what a closed circuit has counted. As with an open one whose time has passed: that is not
/// there any more.
const fn is_forgotten(word: Word, moment: Nanos, now: Nanos) -> bool {
    matches!(word.phase(), Phase::Closed) && word.has(CLEARED) && moment != 0 && now >= moment
}

impl Default for Breaker {
    /// With [gobreaker's defaults](Settings::gobreaker).
    fn default() -> Self {
        Self::new(Settings::gobreaker()).expect("gobreaker's defaults make sense")
    }
}

/// What a circuit would forget if it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Nothing that matters: it is closed, and has seen no failure lately.
    Nothing,
    /// Failures that may open it, or that have opened it before.
    Failures,
    /// That it is open until a moment that is to come, or what somebody has said.
    Order,
}

/// What a breaker remembers of a call that it let in.
#[derive(Debug)]
pub struct Permit {
    generation: u32,
    kind: Kind,
    /// When it was let in; the end of time where nobody will ask.
    at: Nanos,
}

/// What a call is to its circuit. As wide as the generation, so that a permit is copied in two moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Kind {
    Call,
    Probe,
    /// A probe that has the head of a good answer.
    AnsweredProbe,
    Uncounted,
}

impl Permit {
    const UNCOUNTED: Self = Self { generation: 0, kind: Kind::Uncounted, at: Nanos::MAX };
}

impl<Req, Res, Err, O: Observer + 'static> Gate<Req, Res, Err> for Breaker<O> {
    type Permit = Permit;

    #[inline]
    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<Permit, Error> {
        let word = self.circuit.word();
        if word.lets_in() {
            return Ok(Permit { generation: word.generation(), kind: Kind::Call, at: Nanos::MAX });
        }
        // Field by field, and so in `finish`: a permit that is handed on as a whole is kept in memory on the short way too.
        let Permit { generation, kind, at } = self.admit_by_rules(now)?;
        Ok(Permit { generation, kind, at })
    }

    #[inline]
    fn answer(&self, permit: &mut Permit, _: &mut Result<Res, Err>, judgement: &Judgement) {
        let good = permit.kind == Kind::Probe && judgement.verdict == Verdict::Success;
        if good && self.circuit.answered(permit.generation) {
            permit.kind = Kind::AnsweredProbe;
        }
    }

    #[inline]
    fn finish(&self, permit: Permit, end: &End<'_>) {
        let Permit { generation, kind, at } = permit;
        if end.judgement.verdict != Verdict::Success {
            self.settle(generation, kind, at, end.now, Some(end));
        } else if !self.circuit.word().needs_no_success() {
            self.settle(generation, kind, at, end.now, None);
        }
    }
}

impl<O> fmt::Debug for Breaker<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("name", &self.name).field("circuit", &self.circuit).finish_non_exhaustive()
    }
}
