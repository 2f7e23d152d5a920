//! The state machine: a word and a moment, and the races between calls that change them.
//!
//! Three rules keep it right. *One*: each change of phase makes a new generation, and a result counts only in the
//! generation that let its call in. *Two*: the moment is read before the word, and changed by comparing with what was read,
//! so that nobody whose view is old can change it. *Three*: whoever opens the circuit, or begins with its probes, makes the
//! word `Opening` first, and goes on once the moment is right; in between, everybody else is refused without a look at it.

use crate::sync::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};
use crate::word::{CLEARED, FLAGS, MOST_FAILURES, Phase, Probes, Word};

/// A moment, in nanoseconds since the circuit's first.
pub(crate) type Nanos = u64;

/// What the machine must know of the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// This many failures in a row open it.
    pub(crate) consecutive: Option<u32>,
    pub(crate) probes: u32,
    /// Successes of probes that close it.
    pub(crate) successes: u32,
    /// How long the probes may be without an answer.
    pub(crate) probe_within: Nanos,
    /// How often a closed circuit forgets.
    pub(crate) clear_every: Nanos,
}

/// The state machine. `moment` is, while open, when probes begin; while half-open, when the running probes are given up;
/// while closed, when it forgets.
#[derive(Debug)]
pub(crate) struct Circuit {
    word: AtomicU64,
    moment: AtomicU64,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It goes on, and counts in this generation. `began` says that it made an open circuit half-open.
    Counted { generation: u32, probe: bool, began: bool },
    /// It goes on and does not count.
    Uncounted,
    /// It is refused for at least this long; unless `forced`.
    Refused { wait: Option<Nanos>, forced: bool },
    /// The probes of this generation have no answer in time. The caller is asked to open the circuit and to come again.
    Lost { generation: u32 },
    /// The probes have good heads, and stream on: that closed the circuit. The caller is asked to come again.
    Closed,
}

impl Circuit {
    pub(crate) fn new(flags: u64) -> Self {
        Self { word: AtomicU64::new(Word::closed(flags).0), moment: AtomicU64::new(0) }
    }

    #[inline]
    pub(crate) fn word(&self) -> Word {
        Word(self.word.load(Acquire))
    }

    pub(crate) fn moment(&self) -> Nanos {
        self.moment.load(Acquire)
    }

    /// The word, and the moment that belongs to it.
    pub(crate) fn look(&self) -> (Nanos, Word) {
        let mut moment = self.moment();
        loop {
            let word = self.word();
            let now = self.moment();
            if now == moment {
                return (moment, word);
            }
            moment = now;
        }
    }

    #[inline]
    fn change(&self, from: Word, to: Word) -> bool {
        self.word.compare_exchange(from.0, to.0, AcqRel, Acquire).is_ok()
    }

    fn change_moment(&self, from: Nanos, to: Nanos) -> bool {
        self.moment.compare_exchange(from, to, AcqRel, Acquire).is_ok()
    }

    /// Lets a call in, or refuses it.
    pub(crate) fn admit(&self, limits: &Limits, now: Nanos) -> Admission {
        loop {
            let (moment, word) = self.look();
            match word.phase() {
                Phase::Closed => {
                    let word = if self.forget(word, moment, limits, now) { self.word() } else { word };
                    if word.phase() == Phase::Closed {
                        return Admission::Counted { generation: word.generation(), probe: false, began: false };
                    }
                }
                Phase::Open if now < moment => {
                    return Admission::Refused { wait: Some(moment - now), forced: false };
                }
                Phase::Open => {
                    if let Some(begun) = self.begin(word, now.saturating_add(limits.probe_within)) {
                        return begun;
                    }
                }
                Phase::HalfOpen => {
                    if let Some(admission) = self.probe(word, moment, limits, now) {
                        return admission;
                    }
                }
                Phase::Opening => return Admission::Refused { wait: None, forced: false },
                Phase::ForcedOpen => return Admission::Refused { wait: None, forced: true },
                Phase::ForcedClosed | Phase::Disabled => return Admission::Uncounted,
            }
        }
    }

    /// A closed circuit whose time has come forgets: a new generation. True for whoever did it.
    pub(crate) fn forget(&self, word: Word, moment: Nanos, limits: &Limits, now: Nanos) -> bool {
        let due = word.has(CLEARED) && word.phase() == Phase::Closed && now >= moment;
        if !due || !self.change_moment(moment, now.saturating_add(limits.clear_every)) {
            return false;
        }
        // At the very first look nothing can have been counted.
        let mut word = word;
        while moment != 0 && word.phase() == Phase::Closed && !self.change(word, word.next(Phase::Closed)) {
            word = self.word();
        }
        true
    }

    /// From open to half-open, with the first probe. Nothing if somebody has changed the circuit meanwhile.
    fn begin(&self, word: Word, until: Nanos) -> Option<Admission> {
        let opening = word.next(Phase::Opening);
        let generation = opening.generation();
        let first = Probes { running: 1, ..Probes::default() };
        let begun = self.change(word, opening)
            && self.leave_opening(generation, until, |word| word.within(Phase::HalfOpen).with_probes(first));
        begun.then_some(Admission::Counted { generation, probe: true, began: true })
    }

    /// In a half-open circuit: one probe more, if there is room. Nothing if it must be looked at again.
    fn probe(&self, word: Word, moment: Nanos, limits: &Limits, now: Nanos) -> Option<Admission> {
        let probes = word.probes();
        let until = now.saturating_add(limits.probe_within);
        // No more than could be of use, as with gobreaker's `MaxRequests`.
        let useful = limits.successes.max(limits.probes);
        if probes.running < limits.probes && probes.running + probes.successes < useful {
            let next = word.with_probes(Probes { running: probes.running + 1, ..probes });
            return (self.change_moment(moment, until) && self.change(word, next)).then_some(Admission::Counted {
                generation: word.generation(),
                probe: true,
                began: false,
            });
        }
        // The peer is there, and sends answers that take long: streams. What they still bring is of an older generation then.
        let expired = now >= moment;
        let successes = probes.successes + if expired { probes.answered } else { 0 };
        if successes >= limits.successes {
            return self.close(word, limits, now).then_some(Admission::Closed);
        }
        if !expired {
            return Some(Admission::Refused { wait: None, forced: false });
        }
        if probes.answered == 0 {
            return Some(Admission::Lost { generation: word.generation() });
        }
        let next = word.next(Phase::HalfOpen).with_probes(Probes { successes, ..Probes::default() });
        let _ = self.change_moment(moment, until) && self.change(word, next);
        None
    }

    /// From half-open to closed; the time until it forgets begins. False if somebody has changed the circuit meanwhile.
    fn close(&self, word: Word, limits: &Limits, now: Nanos) -> bool {
        let next = word.next(Phase::Closed);
        let closes = self.change(word, next);
        if closes && next.has(CLEARED) {
            self.set_moment(next, now.saturating_add(limits.clear_every));
        }
        closes
    }

    /// Sets the moment, unless the circuit has another phase or generation meanwhile.
    fn set_moment(&self, of: Word, to: Nanos) -> bool {
        loop {
            let moment = self.moment();
            let word = self.word();
            if word.phase() != of.phase() || word.generation() != of.generation() {
                return false;
            }
            if self.change_moment(moment, to) {
                return true;
            }
        }
    }

    /// The head of a probe's answer is good. True if it counts.
    pub(crate) fn answered(&self, generation: u32) -> bool {
        self.change_probes(generation, |probes| Probes { answered: probes.answered + 1, ..probes })
    }

    /// A probe is over without a result: its place is free again.
    pub(crate) fn give_back(&self, generation: u32, answered: bool) {
        self.change_probes(generation, |probes| Probes { successes: probes.successes, ..over(probes, answered) });
    }

    fn change_probes(&self, generation: u32, change: impl Fn(Probes) -> Probes) -> bool {
        loop {
            let word = self.word();
            if word.phase() != Phase::HalfOpen || word.generation() != generation {
                return false;
            }
            if self.change(word, word.with_probes(change(word.probes()))) {
                return true;
            }
        }
    }

    /// A call went well. True if that closed the circuit.
    pub(crate) fn success(&self, generation: u32, answered: bool, limits: &Limits, now: Nanos) -> bool {
        loop {
            let word = self.word();
            if word.generation() != generation {
                return false;
            }
            let next = match word.phase() {
                Phase::Closed if word.failures() == 0 => return false,
                Phase::Closed => word.with_failures(0),
                Phase::HalfOpen => {
                    let probes = over(word.probes(), answered);
                    if probes.successes >= limits.successes {
                        if self.close(word, limits, now) {
                            return true;
                        }
                        continue;
                    }
                    word.with_probes(probes)
                }
                _ => return false,
            };
            if self.change(word, next) {
                return false;
            }
        }
    }

    /// A call failed. True if the circuit must open for it: the caller [trips](Self::trip) it.
    pub(crate) fn failure(&self, generation: u32, limits: &Limits) -> bool {
        loop {
            let word = self.word();
            if word.generation() != generation {
                return false;
            }
            match word.phase() {
                Phase::Closed => {
                    let failures = (word.failures() + 1).min(MOST_FAILURES);
                    if self.change(word, word.with_failures(failures)) {
                        return limits.consecutive.is_some_and(|most| failures >= most);
                    }
                }
                Phase::HalfOpen => return true,
                _ => return false,
            }
        }
    }

    /// Opens a circuit that is closed or half-open in this generation. Whoever gets `Some` must tell
    /// [until when](Self::open), and nobody else does; it says whether it was half-open.
    pub(crate) fn trip(&self, generation: u32) -> Option<Tripped> {
        loop {
            let word = self.word();
            let half_open = match word.phase() {
                Phase::Closed => false,
                Phase::HalfOpen => true,
                _ => return None,
            };
            if word.generation() != generation {
                return None;
            }
            let next = word.next(Phase::Opening);
            if self.change(word, next) {
                return Some(Tripped { generation: next.generation(), half_open });
            }
        }
    }

    /// Says until when a circuit is open that was [tripped](Self::trip). False if somebody has forced it meanwhile.
    pub(crate) fn open(&self, tripped: Tripped, until: Nanos) -> bool {
        self.leave_opening(tripped.generation, until, |word| word.within(Phase::Open))
    }

    /// From `Opening`, which whoever made this generation does alone.
    fn leave_opening(&self, generation: u32, until: Nanos, to: impl Fn(Word) -> Word) -> bool {
        let mut told = false;
        loop {
            let word = self.word();
            if word.phase() != Phase::Opening || word.generation() != generation {
                return false;
            }
            told = told || self.set_moment(word, until);
            if told && self.change(word, to(word)) {
                return true;
            }
        }
    }

    /// Puts it into this phase, closed or a forced one, in a new generation.
    pub(crate) fn force(&self, phase: Phase) {
        let mut word = self.word();
        while !self.change(word, word.next(phase)) {
            word = self.word();
        }
        if phase == Phase::Closed {
            // The next to look begins to count the time until it forgets.
            self.set_moment(word.next(phase), 0);
        }
    }

    /// Takes new flags: a closed circuit begins anew, any other stays as it is.
    pub(crate) fn set_flags(&self, flags: u64) {
        debug_assert_eq!(flags & !FLAGS, 0, "flags");
        loop {
            let word = self.word();
            let next = if word.phase() == Phase::Closed { word.next(Phase::Closed) } else { word };
            if self.change(word, next.with_flags(flags)) {
                if next.phase() == Phase::Closed {
                    self.set_moment(next, 0);
                }
                return;
            }
        }
    }
}

/// A circuit that was tripped: its generation, and whether it was half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a tripped circuit stays shut until it is told until when"]
pub(crate) struct Tripped {
    pub(crate) generation: u32,
    pub(crate) half_open: bool,
}

/// One probe less, and one success more.
const fn over(probes: Probes, answered: bool) -> Probes {
    Probes {
        running: probes.running.saturating_sub(1),
        successes: probes.successes + 1,
        answered: probes.answered.saturating_sub(answered as u32),
    }
}
