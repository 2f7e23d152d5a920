//! The state of a circuit, packed into one word, so that each change of it is one compare-and-swap.

/// What a circuit is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Closed,
    /// Refuses until the moment that the circuit keeps beside the word.
    Open,
    HalfOpen,
    /// Refuses, while whoever opened it works out until when.
    Opening,
    ForcedOpen,
    ForcedClosed,
    Disabled,
}

/// The permit of a call needs the time of its admission.
pub(crate) const TIMED: u64 = 1 << 3;
/// Successes count too, not only failures.
pub(crate) const WINDOWED: u64 = 1 << 4;
/// A closed circuit forgets from time to time.
pub(crate) const CLEARED: u64 = 1 << 5;
pub(crate) const FLAGS: u64 = TIMED | WINDOWED | CLEARED;

const PHASE: u64 = 0b111;
const PAYLOAD_SHIFT: u32 = 6;
const PAYLOAD: u64 = (1 << 30) - 1;
const GENERATION_SHIFT: u32 = 36;

/// The most failures in a row that are counted.
pub(crate) const MOST_FAILURES: u32 = PAYLOAD as u32;
/// The most probes, and successes of probes, that are counted.
pub(crate) const MOST_PROBES: u32 = (1 << 10) - 1;

/// From the lowest bit: the phase (3 bits), flags (3), the payload (30), the generation (28), which each change of the phase
/// increases. The payload counts failures in a row while closed, and is a [`Probes`] while half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    pub(crate) const fn closed(flags: u64) -> Self {
        Self(Phase::Closed as u64 | flags)
    }

    /// Whether a call is simply let in: the circuit is closed, and no clock has to be read.
    #[inline]
    pub(crate) const fn lets_in(self) -> bool {
        self.0 & (PHASE | TIMED | CLEARED) == Phase::Closed as u64
    }

    /// Whether the success of a call that this word let in changes nothing.
    #[inline]
    pub(crate) const fn needs_no_success(self) -> bool {
        self.0 & (WINDOWED | CLEARED | PAYLOAD << PAYLOAD_SHIFT) == 0
    }

    pub(crate) const fn phase(self) -> Phase {
        match self.0 & PHASE {
            0 => Phase::Closed,
            1 => Phase::Open,
            2 => Phase::HalfOpen,
            3 => Phase::Opening,
            4 => Phase::ForcedOpen,
            5 => Phase::ForcedClosed,
            _ => Phase::Disabled,
        }
    }

    #[inline]
    pub(crate) const fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT) as u32
    }

    pub(crate) const fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }

    /// The next generation, in this phase, with an empty payload.
    pub(crate) const fn next(self, phase: Phase) -> Self {
        let generation = (self.0 >> GENERATION_SHIFT).wrapping_add(1) << GENERATION_SHIFT;
        Self(generation | self.0 & FLAGS | phase as u64)
    }

    /// The same generation in another phase.
    pub(crate) const fn within(self, phase: Phase) -> Self {
        Self(self.0 & !PHASE | phase as u64)
    }

    pub(crate) const fn without(self, flag: u64) -> Self {
        Self(self.0 & !flag)
    }

    pub(crate) const fn with_flags(self, flags: u64) -> Self {
        Self(self.0 & !FLAGS | flags)
    }

    pub(crate) const fn failures(self) -> u32 {
        (self.0 >> PAYLOAD_SHIFT & PAYLOAD) as u32
    }

    pub(crate) const fn with_failures(self, failures: u32) -> Self {
        Self(self.0 & !(PAYLOAD << PAYLOAD_SHIFT) | (failures as u64 & PAYLOAD) << PAYLOAD_SHIFT)
    }

    pub(crate) const fn probes(self) -> Probes {
        let payload = self.failures();
        Probes {
            running: payload & MOST_PROBES,
            successes: payload >> 10 & MOST_PROBES,
            answered: payload >> 20 & MOST_PROBES,
        }
    }

    pub(crate) const fn with_probes(self, probes: Probes) -> Self {
        self.with_failures(probes.running | probes.successes << 10 | probes.answered << 20)
    }
}

/// Whether a generation is just before another. They have 28 bits, and wrap around: what is not just before is after, so that
/// a window or a policy that begins late, with the generation 0, is not blind.
pub(crate) const fn is_older(generation: u32, than: u32) -> bool {
    let behind = than.wrapping_sub(generation) << 4 >> 4;
    behind != 0 && behind < 1 << 16
}

/// The probes of a half-open circuit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Probes {
    /// Let in, and not over.
    pub(crate) running: u32,
    pub(crate) successes: u32,
    /// Those of the running that have the head of a good answer, and stream on.
    pub(crate) answered: u32,
}
