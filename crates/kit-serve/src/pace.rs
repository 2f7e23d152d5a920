//! The least rate at which bytes must pass, and the credit that they earn.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::limits::bounded;

/// How much time a client can have saved up, in graces.
const MOST: u32 = 10;

/// The least rate at which a client must send a body, or take an answer.
///
/// A client starts with the grace as its credit; each byte earns it the time that a byte takes at this rate, up to ten
/// times the grace, and waiting for it costs the time waited. So a steady client of this rate is never too slow, one
/// that was faster may pause, and one that stops is found after the grace at the earliest, ten graces at the latest.
///
/// 240 bytes a second after 5 seconds unless set, far below any client that a person waits for. Source: the defaults
/// of ASP.NET's Kestrel.
#[doc(alias = "MinDataRate")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinRate {
    bytes_per_second: NonZeroU32,
    grace: Duration,
}

impl MinRate {
    /// So many bytes a second, after this grace, at least 1 ms.
    #[must_use]
    pub fn new(bytes_per_second: NonZeroU32, grace: Duration) -> Self {
        Self { bytes_per_second, grace: bounded(grace) }
    }

    pub(crate) fn grace(self) -> Duration {
        self.grace
    }
}

impl Default for MinRate {
    fn default() -> Self {
        const { Self { bytes_per_second: NonZeroU32::new(240).unwrap(), grace: Duration::from_secs(5) } }
    }
}

/// What is left of a client's credit.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: MinRate,
    credit: Duration,
}

impl Pace {
    pub(crate) fn new(rate: MinRate) -> Self {
        Self { rate, credit: rate.grace }
    }

    pub(crate) fn earn(&mut self, bytes: u64) {
        let rate = u64::from(self.rate.bytes_per_second.get());
        // The rest is below 2^32, so that its nanoseconds fit.
        let earned = Duration::from_secs(bytes / rate) + Duration::from_nanos(bytes % rate * 1_000_000_000 / rate);
        self.credit = self.credit.saturating_add(earned).min(self.rate.grace.saturating_mul(MOST));
    }

    /// Pays for a wait; false if the credit did not suffice.
    pub(crate) fn spend(&mut self, waited: Duration) -> bool {
        let enough = waited <= self.credit;
        self.credit = self.credit.saturating_sub(waited);
        enough
    }

    /// How much longer may be waited.
    pub(crate) fn left(&self) -> Duration {
        self.credit
    }

    /// As if nothing had been waited for.
    pub(crate) fn reset(&mut self) {
        self.credit = self.rate.grace;
    }
}
