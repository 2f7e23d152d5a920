//! The gates that are put at each place: a limit, a limit that loses places, a breaker, and one that counts ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kit_base::{Cause, End, Error, Gate, Guard, Judgement, Now, Standard, Verdict};
use kit_testing::laws::{Breaker, Ends, LawsClock, Setup};

pub(super) const MOST: usize = 3;
pub(super) const BREAKER: Breaker = Breaker { failures: 3, open_for: Duration::from_secs(10), probes: 2 };

/// Which callers take their place with them for ever.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Loses {
    Nobody,
    /// Who leaves before the answer.
    Callers,
    /// Who leaves while reading a body or stream.
    Readers,
}

/// At most [`MOST`] calls at a time.
pub(super) struct AtMost {
    running: AtomicUsize,
    loses: Loses,
}

impl AtMost {
    pub(super) fn new(loses: Loses) -> Self {
        Self { running: AtomicUsize::new(0), loses }
    }
}

impl<Req, Res, Err> Gate<Req, Res, Err> for AtMost {
    /// Whether the head of the answer has been seen.
    type Permit = bool;

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<bool, Error> {
        let room = |running| (running < MOST).then_some(running + 1);
        let taken = self.running.fetch_update(Ordering::AcqRel, Ordering::Acquire, room);
        taken.map(|_| false).map_err(|running| Error::resource_exhausted(format!("{running} calls are running")))
    }

    fn answer(&self, answered: &mut bool, _: &mut Result<Res, Err>, _: &Judgement) {
        *answered = true;
    }

    fn finish(&self, answered: bool, end: &End<'_>) {
        let loses = match self.loses {
            Loses::Nobody => false,
            Loses::Callers => !answered,
            Loses::Readers => answered,
        };
        if !(loses && end.cause == Cause::Left) {
            self.running.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Opens after failures with nothing between them; half-open, one success closes it, and one failure opens it again.
pub(super) struct Circuit(Mutex<State>);

struct State {
    /// Counts the changes of phase: a call says nothing about a phase that it was not admitted in.
    turn: u64,
    phase: Phase,
}

enum Phase {
    Closed { failures: usize },
    Open { since: Instant },
    HalfOpen { probes: usize },
}

impl State {
    fn turn_to(&mut self, phase: Phase) {
        self.turn += 1;
        self.phase = phase;
    }
}

impl<Req, Res, Err> Gate<Req, Res, Err> for Circuit {
    type Permit = u64;

    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<u64, Error> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(state.phase, Phase::Open { since } if now.get().duration_since(since) >= BREAKER.open_for) {
            state.turn_to(Phase::HalfOpen { probes: 0 });
        }
        match &mut state.phase {
            Phase::Closed { .. } => Ok(state.turn),
            Phase::HalfOpen { probes } if *probes < BREAKER.probes => {
                *probes += 1;
                Ok(state.turn)
            }
            Phase::Open { .. } | Phase::HalfOpen { .. } => Err(Error::unavailable("the circuit is open")),
        }
    }

    fn finish(&self, turn: u64, end: &End<'_>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.turn != turn {
            return;
        }
        let (failed, worked) = (end.judgement.is_failure(), end.judgement.verdict == Verdict::Success);
        let opens = match &mut state.phase {
            Phase::Closed { failures } if failed => {
                *failures += 1;
                *failures == BREAKER.failures
            }
            Phase::Closed { failures } if worked => {
                *failures = 0;
                false
            }
            Phase::HalfOpen { probes } => {
                *probes -= 1;
                failed
            }
            Phase::Closed { .. } | Phase::Open { .. } => false,
        };
        if opens {
            state.turn_to(Phase::Open { since: end.now.get() });
        } else if worked && matches!(state.phase, Phase::HalfOpen { .. }) {
            state.turn_to(Phase::Closed { failures: 0 });
        }
    }
}

/// Refuses nothing, and counts ends.
pub(super) struct Counts(Ends);

impl Counts {
    pub(super) fn new(setup: &Setup) -> Self {
        Self(setup.ends())
    }
}

impl<Req, Res, Err> Gate<Req, Res, Err> for Counts {
    const REFUSES: bool = false;
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn finish(&self, (): (), _: &End<'_>) {
        self.0.add();
    }
}

type Guarding<G> = Guard<G, Standard, LawsClock>;

pub(super) fn at_most(setup: &Setup, loses: Loses) -> Guarding<AtMost> {
    Guard::with(AtMost::new(loses), Standard, setup.clock())
}

pub(super) fn circuit(setup: &Setup) -> Guarding<Circuit> {
    let closed = State { turn: 0, phase: Phase::Closed { failures: 0 } };
    Guard::with(Circuit(Mutex::new(closed)), Standard, setup.clock())
}

pub(super) fn counts(setup: &Setup) -> Guarding<Counts> {
    Guard::with(Counts::new(setup), Standard, setup.clock())
}
