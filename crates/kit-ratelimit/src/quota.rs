//! How much is allowed: so many in a time, and how many at once.

use std::error::Error as StdError;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::gcra::{Pace, duration};

/// How much is allowed: a rate, and a burst.
///
/// A bucket of `burst` tokens begins full and gets a token back at even intervals, `rate` of them in each period, until it is
/// full again. In any time of length `t` there pass at most `burst + rate · t`.
///
/// ```
/// use std::time::Duration;
/// use kit_ratelimit::{Quota, nonzero};
///
/// // 5 a second, evenly; up to 5 at once.
/// let quota = Quota::per_second(nonzero!(5));
/// assert_eq!((quota.burst().get(), quota.interval()), (5, Duration::from_millis(200)));
///
/// // 100 a minute, one after the other.
/// let quota = Quota::per_minute(nonzero!(100)).with_burst(nonzero!(1));
/// assert_eq!((quota.burst().get(), quota.interval()), (1, Duration::from_millis(600)));
///
/// // 10 in a quarter of an hour.
/// let quota = Quota::per(nonzero!(10), Duration::from_secs(900))?;
/// assert_eq!(quota.to_string(), "10 per 900s");
/// # Ok::<(), kit_ratelimit::InvalidQuota>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    rate: NonZeroU32,
    period: Duration,
    pub(crate) most: NonZeroU32,
}

/// What takes longer to come back is no rate.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

impl Quota {
    /// So many a second, and as many at once.
    pub const fn per_second(rate: NonZeroU32) -> Self {
        Self { rate, period: Duration::from_secs(1), most: rate }
    }

    /// So many a minute, and as many at once.
    pub const fn per_minute(rate: NonZeroU32) -> Self {
        Self { period: Duration::from_secs(60), ..Self::per_second(rate) }
    }

    /// So many an hour, and as many at once.
    pub const fn per_hour(rate: NonZeroU32) -> Self {
        Self { period: Duration::from_secs(3600), ..Self::per_second(rate) }
    }

    /// So many in each of these periods, and as many at once. One each 200 ms, and one at a time, is
    /// `Quota::per(nonzero!(1), Duration::from_millis(200))`.
    ///
    /// # Errors
    /// The period is zero, or longer than 366 days.
    #[doc(alias = "Every")]
    #[doc(alias = "with_period")]
    pub fn per(rate: NonZeroU32, period: Duration) -> Result<Self, InvalidQuota> {
        if period.is_zero() || period > LONGEST {
            return Err(InvalidQuota(period));
        }
        Ok(Self { period, ..Self::per_second(rate) })
    }

    /// The same with so many at once, but no more than come back in the [`LONGEST_REFILL`](Self::LONGEST_REFILL).
    #[doc(alias = "allow_burst")]
    #[must_use]
    pub const fn with_burst(self, burst: NonZeroU32) -> Self {
        Self { most: burst, ..self }
    }

    /// So long at most it takes to fill an empty bucket: ten years. [`burst`](Self::burst) gives no more than that.
    pub const LONGEST_REFILL: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

    /// How many tokens come back in each period.
    pub const fn rate(&self) -> NonZeroU32 {
        self.rate
    }

    /// The period of the rate.
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// How many at once: the size of the bucket.
    pub fn burst(&self) -> NonZeroU32 {
        Pace::from(*self).burst()
    }

    /// After how long each token comes back. Kept in quarters of a nanosecond, rounded up, so that there are never more.
    pub fn interval(&self) -> Duration {
        duration(Pace::from(*self).interval)
    }

    /// How long it takes to fill an empty bucket.
    pub fn refill(&self) -> Duration {
        duration(Pace::from(*self).refill)
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {:?}", self.rate, self.period)?;
        if self.most == self.rate { Ok(()) } else { write!(f, ", {} at once", self.burst()) }
    }
}

/// A number that is not zero, checked when the program is built. (`cargo check` alone does not look.)
///
/// ```
/// use kit_ratelimit::{Quota, nonzero};
/// let _ = Quota::per_second(nonzero!(5));
/// ```
///
/// ```compile_fail
/// use kit_ratelimit::{Quota, nonzero};
/// let _ = Quota::per_second(nonzero!(0));
/// ```
#[macro_export]
macro_rules! nonzero {
    ($number:expr) => {
        const { ::core::num::NonZero::new($number).expect("zero is no limit: nothing would ever pass") }
    };
}

/// A period that is none: zero, or longer than 366 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidQuota(Duration);

impl fmt::Display for InvalidQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the period of a quota must be from 1ns to 366 days, got {:?}", self.0)
    }
}

impl StdError for InvalidQuota {}
