//! Settings at work: what counts, and whether it opens the circuit.

use std::fmt;
use std::time::{Duration, Instant};

use kit_base::{Cause, End, Kind, Origin, RetryHint, Verdict};

use crate::circuit::{Limits, Nanos};
use crate::policy::{Decision, Seat};
use crate::window::Counter;
use crate::word::{CLEARED, TIMED, WINDOWED};
use crate::{InvalidSettings, Settings, Tally};

/// Checked settings, and what they count in. A change of settings makes a new one.
pub(crate) struct Rules {
    pub(crate) settings: Settings,
    pub(crate) limits: Limits,
    counter: Option<Counter>,
    policy: Option<Seat>,
}

/// How a call counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Failure,
    /// Not at all.
    Nothing,
    /// The peer wants to be left alone for a while.
    Calm(Duration),
}

impl Rules {
    pub(crate) fn new(settings: Settings) -> Result<Self, InvalidSettings> {
        settings.check()?;
        Ok(Self::of_checked(settings))
    }

    pub(crate) fn of_checked(settings: Settings) -> Self {
        let limits = Limits {
            consecutive: settings.consecutive,
            probes: settings.probes,
            successes: settings.needed_successes(),
            probe_within: nanos(settings.probe_within),
            clear_every: settings.clear_every.map_or(0, nanos),
        };
        let counter = settings.measures().then(|| Counter::new(settings.window));
        let policy = settings.policy.as_ref().map(|make| Seat::new(make()));
        Self { settings, limits, counter, policy }
    }

    /// What the word of the circuit must know of them.
    pub(crate) fn flags(&self) -> u64 {
        let flag = |on: bool, flag: u64| if on { flag } else { 0 };
        flag(self.settings.slow.is_some(), TIMED)
            | flag(self.counter.is_some() || self.policy.is_some(), WINDOWED)
            | flag(self.settings.clear_every.is_some(), CLEARED)
    }

    /// How a call counts that took this long.
    pub(crate) fn outcome(&self, end: &End<'_>, probe: bool, took: Duration) -> Outcome {
        let judgement = end.judgement;
        let answered = end.cause == Cause::Answered && judgement.origin == Origin::Remote;
        match judgement.verdict {
            Verdict::Success => Outcome::Success,
            _ if end.cause == Cause::Left => Outcome::Nothing,
            Verdict::Expired if self.settings.slow.is_some_and(|(limit, _)| took < limit) => Outcome::Nothing,
            _ if judgement.is_failure() => Outcome::Failure,
            // It was there to say so. Where nobody asks for anything right, the circuit must close all the same.
            Verdict::Caller if probe && answered => Outcome::Success,
            Verdict::Overloaded if answered && judgement.kind == Some(Kind::Unavailable) => {
                self.hint(&judgement.retry_hint).map_or(Outcome::Nothing, Outcome::Calm)
            }
            _ => Outcome::Nothing,
        }
    }

    /// For how long the peer wants to be left alone, if that is heeded.
    pub(crate) fn hint(&self, hint: &RetryHint) -> Option<Duration> {
        match (hint, self.settings.heed) {
            (RetryHint::After(after), Some(at_most)) => Some((*after).min(at_most)),
            _ => None,
        }
    }

    pub(crate) fn is_slow(&self, took: Duration) -> bool {
        self.settings.slow.is_some_and(|(limit, _)| took >= limit)
    }

    /// Counts a call of a closed circuit: whether the circuit must open for it, by a rate or by the user's policy.
    pub(crate) fn record(&self, generation: u32, at: (Instant, Nanos), failed: bool, slow: bool) -> Decision {
        let (instant, now) = at;
        if let Some(counter) = &self.counter {
            counter.record(generation, now, failed, slow);
            if (failed || slow) && self.is_too_much(&counter.tally(generation, now)) {
                return Decision::Open;
            }
        }
        self.policy.as_ref().map_or(Decision::Stay, |policy| policy.record(generation, failed, instant))
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

    pub(crate) fn tally(&self, generation: u32, now: Nanos) -> Option<Tally> {
        self.counter.as_ref().map(|counter| counter.tally(generation, now))
    }
}

pub(crate) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("settings", &self.settings).finish_non_exhaustive()
    }
}
