//! Settings at work: what counts, and whether it opens the circuit.

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use kit_base::{Cause, End, Kind, Now, Origin, RetryHint, Verdict};

use crate::circuit::{Limits, Nanos};
use crate::policy::{Decision, Seat};
use crate::window::Counter;
use crate::word::{CLEARED, TIMED, WINDOWED};
use crate::{InvalidSettings, Settings, Tally, Window};

/// Checked settings, and what they count in. A change of settings makes a new one.
pub(crate) struct Rules {
    /// Shared by the circuits of all keys.
    pub(crate) settings: Arc<Settings>,
    pub(crate) limits: Limits,
    counter: Option<Counter>,
    /// Whether the counter asks for the time.
    counts_time: bool,
    /// When a call is slow.
    slow: Option<Nanos>,
    policy: Option<Seat>,
}

/// How a call counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    /// The peer may have said for how long it wants to be left alone.
    Failure(Option<Duration>),
    /// Not at all.
    Nothing,
    /// The peer wants to be left alone for a while.
    Calm(Duration),
}

impl Rules {
    pub(crate) fn new(settings: Settings) -> Result<Self, InvalidSettings> {
        settings.check()?;
        Ok(Self::of_checked(Arc::new(settings)))
    }

    pub(crate) fn of_checked(settings: Arc<Settings>) -> Self {
        let limits = Limits {
            consecutive: settings.consecutive,
            probes: settings.probes,
            successes: settings.needed_successes(),
            probe_within: nanos(settings.probe_within),
            clear_every: settings.clear_every.map_or(0, nanos),
        };
        let counter = settings.measures().then(|| Counter::new(settings.window, settings.slow.is_some()));
        let policy = settings.policy.as_ref().map(|make| Seat::new(make()));
        let counts_time = matches!(settings.window, Window::Time(_));
        let slow = settings.slow.map(|(limit, _)| nanos(limit));
        Self { settings, limits, counter, counts_time, slow, policy }
    }

    /// What the word of the circuit must know of them.
    pub(crate) fn flags(&self) -> u64 {
        let flag = |on: bool, flag: u64| if on { flag } else { 0 };
        flag(self.settings.slow.is_some(), TIMED)
            | flag(self.counter.is_some() || self.policy.is_some(), WINDOWED)
            | flag(self.settings.clear_every.is_some(), CLEARED)
    }

    /// How a call counts that did not go well.
    pub(crate) fn outcome_of_failed(&self, end: &End<'_>, probe: bool, slow: bool) -> Outcome {
        let judgement = end.judgement;
        let answered = end.cause == Cause::Answered && judgement.origin == Origin::Remote;
        match judgement.verdict {
            // Its deadline was earlier than the limit.
            Verdict::Expired if self.settings.slow.is_some() && !slow => Outcome::Nothing,
            _ if judgement.is_failure() => Outcome::Failure(self.hint(&judgement.retry_hint)),
            // It was there to say so. Where nobody asks for anything right, the circuit must close all the same.
            Verdict::Caller if probe && answered => Outcome::Success,
            Verdict::Overloaded if answered && judgement.kind == Some(Kind::Unavailable) => {
                self.hint(&judgement.retry_hint).map_or(Outcome::Nothing, Outcome::Calm)
            }
            _ => Outcome::Nothing,
        }
    }

    /// For how long the peer wants to be left alone, if that is heeded.
    fn hint(&self, hint: &RetryHint) -> Option<Duration> {
        match (hint, self.settings.heed) {
            (RetryHint::After(after), Some(at_most)) => Some((*after).min(at_most)),
            _ => None,
        }
    }

    /// Whether a call was slow that was let in at this moment.
    #[inline]
    pub(crate) fn is_slow(&self, at: Nanos, present: &Present<'_>) -> bool {
        self.slow.is_some_and(|limit| present.nanos().saturating_sub(at) >= limit)
    }

    /// Counts a call of a closed circuit: whether the circuit must open for it, by a rate or by the user's policy.
    ///
    /// Inlined at any price: it is called at two places, and on the way of a success there is little of it.
    #[inline(always)]
    pub(crate) fn record(&self, generation: u32, present: &Present<'_>, failed: bool, slow: bool) -> Decision {
        if let Some(counter) = &self.counter {
            let now = if self.counts_time { present.nanos() } else { 0 };
            counter.record(generation, now, failed, slow);
            if (failed || slow) && self.is_too_much(&counter.tally(generation, now)) {
                return Decision::Open;
            }
        }
        self.policy.as_ref().map_or(Decision::Stay, |policy| policy.record(generation, failed, present.instant()))
    }

    /// For how long the user's policy wants a circuit open whose probe failed.
    pub(crate) fn reopen(&self, now: Instant) -> Option<Duration> {
        self.policy.as_ref().and_then(|policy| policy.reopen(now))
    }

    fn is_too_much(&self, tally: &Tally) -> bool {
        let reaches = |part: u32, share: Option<f64>| {
            share.is_some_and(|share| part > 0 && f64::from(part) / f64::from(tally.calls) >= share)
        };
        tally.calls >= self.settings.needed_calls()
            && (reaches(tally.failures, self.settings.failure_rate)
                || reaches(tally.slow, self.settings.slow.map(|(_, share)| share)))
    }

    /// Whether a closed circuit of this generation would forget a failure, or a slow call, if it went.
    pub(crate) fn remembers(&self, generation: u32, now: Nanos) -> bool {
        self.tally(generation, now).is_some_and(|tally| tally.failures > 0 || tally.slow > 0)
            || self.policy.as_ref().is_some_and(Seat::has_seen_a_failure)
    }

    pub(crate) fn tally(&self, generation: u32, now: Nanos) -> Option<Tally> {
        self.counter.as_ref().map(|counter| counter.tally(generation, now))
    }
}

/// The moment when a call has ended. The clock is read when somebody asks.
pub(crate) struct Present<'a> {
    now: &'a Now<'a>,
    epoch: &'a OnceLock<Instant>,
    nanos: Cell<Option<Nanos>>,
}

impl<'a> Present<'a> {
    pub(crate) fn new(now: &'a Now<'a>, epoch: &'a OnceLock<Instant>) -> Self {
        Self { now, epoch, nanos: Cell::new(None) }
    }

    pub(crate) fn instant(&self) -> Instant {
        self.now.get()
    }

    pub(crate) fn nanos(&self) -> Nanos {
        self.nanos.get().unwrap_or_else(|| {
            let nanos = nanos_since(self.epoch, self.now.get());
            self.nanos.set(Some(nanos));
            nanos
        })
    }
}

/// Counts from the first moment that anybody has asked for.
pub(crate) fn nanos_since(epoch: &OnceLock<Instant>, now: Instant) -> Nanos {
    nanos(now.saturating_duration_since(*epoch.get_or_init(|| now)))
}

pub(crate) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("settings", &self.settings).finish_non_exhaustive()
    }
}
