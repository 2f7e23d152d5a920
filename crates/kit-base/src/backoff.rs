//! Pauses between tries: exponential, bounded, with jitter.

use std::error::Error as StdError;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Pauses that grow by a factor up to a maximum, each cut at random by up to the share of `jitter`.
///
/// Source: "Exponential Backoff and Jitter", AWS Architecture Blog; a jitter of 1 is its "full jitter".
///
/// ```
/// use std::time::Duration;
/// use kit_base::Backoff;
///
/// let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10))?.with_jitter(0.0)?;
/// let pauses: Vec<_> = backoff.pauses().take(3).collect();
/// assert_eq!(pauses, [100, 200, 400].map(Duration::from_millis));
/// # Ok::<(), kit_base::InvalidBackoff>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    factor: f64,
    jitter: f64,
}

impl Backoff {
    /// Pauses from `initial` up to `max`, growing by the factor 2, with full jitter.
    ///
    /// # Errors
    /// `initial` is zero, or greater than `max`.
    pub fn new(initial: Duration, max: Duration) -> Result<Self, InvalidBackoff> {
        if initial.is_zero() {
            return Err(InvalidBackoff(format!("initial pause must be greater than zero, got {initial:?}")));
        }
        if initial > max {
            return Err(InvalidBackoff(format!("initial pause {initial:?} is greater than the maximum {max:?}")));
        }
        Ok(Self { initial, max, factor: 2.0, jitter: 1.0 })
    }

    /// The same with this factor, 1 or more.
    ///
    /// # Errors
    /// It is less than 1, or no finite number.
    pub fn with_factor(mut self, factor: f64) -> Result<Self, InvalidBackoff> {
        if !factor.is_finite() || factor < 1.0 {
            return Err(InvalidBackoff(format!("factor must be a finite number from 1, got {factor}")));
        }
        self.factor = factor;
        Ok(self)
    }

    /// The same with this jitter: the share of each pause that is left to chance, 0 to 1.
    ///
    /// # Errors
    /// It is not within 0 and 1.
    pub fn with_jitter(mut self, jitter: f64) -> Result<Self, InvalidBackoff> {
        if !(0.0..=1.0).contains(&jitter) {
            return Err(InvalidBackoff(format!("jitter must be from 0 to 1, got {jitter}")));
        }
        self.jitter = jitter;
        Ok(self)
    }

    /// The pauses, without end, from a seed of the process's own.
    pub fn pauses(&self) -> Pauses {
        self.pauses_from(RandomState::new().hash_one(0u8))
    }

    /// The pauses, without end, from this seed: the same each time.
    pub fn pauses_from(&self, seed: u64) -> Pauses {
        Pauses { backoff: *self, next: self.initial, state: seed }
    }
}

/// The pauses of a [`Backoff`].
#[derive(Clone, Debug)]
pub struct Pauses {
    backoff: Backoff,
    next: Duration,
    state: u64,
}

impl Pauses {
    /// Begins anew with the initial pause, after a success.
    pub fn reset(&mut self) {
        self.next = self.backoff.initial;
    }

    /// The next number of SplitMix64, as a share from 0 to 1.
    fn chance(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) as f64 / u64::MAX as f64
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let Backoff { max, factor, jitter, .. } = self.backoff;
        let full = self.next;
        let grown = full.as_secs_f64() * factor;
        self.next = if grown < max.as_secs_f64() { Duration::from_secs_f64(grown) } else { max };
        let share = 1.0 - jitter * self.chance();
        // The longest durations are rounded up to what does not fit one.
        Some(Duration::try_from_secs_f64(full.as_secs_f64() * share).map_or(full, |pause| pause.min(full)))
    }
}

/// A setting of a [`Backoff`] that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidBackoff(String);

impl fmt::Display for InvalidBackoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for InvalidBackoff {}
