//! The deadline: a point in time, on the wire as `grpc-timeout`.

use std::error::Error as StdError;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// When the caller stops waiting. A point in time of this process, never of a wall clock.
///
/// Between processes it travels as the time that is left, in the `grpc-timeout` format, on every transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline at this moment.
    pub const fn at(moment: Instant) -> Self {
        Self(moment)
    }

    /// The deadline this long after `now`. A time too long for the clock is cut to some thirty years.
    pub fn after(now: Instant, timeout: Duration) -> Self {
        const LONG: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
        Self(now.checked_add(timeout.min(LONG)).unwrap_or(now))
    }

    /// The moment.
    pub const fn instant(self) -> Instant {
        self.0
    }

    /// The time that is left; zero once it has passed.
    pub fn left(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// Whether it has passed.
    pub fn has_passed(self, now: Instant) -> bool {
        self.0 <= now
    }
}

/// The time left for a call in the gRPC wire format: at most eight digits and a unit, `H`, `M`, `S`, `m`, `u` or `n`.
/// Source: gRPC over HTTP/2, "Timeout".
///
/// ```
/// use std::time::Duration;
/// use kit_base::Timeout;
///
/// let timeout: Timeout = "300m".parse()?;
/// assert_eq!(timeout, Timeout(Duration::from_millis(300)));
/// assert_eq!(timeout.to_string(), "300000u");
/// assert!("123456789n".parse::<Timeout>().is_err());
/// # Ok::<(), kit_base::InvalidTimeout>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timeout(pub Duration);

/// The most that fits the eight digits of the wire format.
const DIGITS: u128 = 99_999_999;

/// Writes the finest unit that fits eight digits, cut off, so that a deadline never grows on its way.
impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(left) = self;
        let seconds = u128::from(left.as_secs());
        let units = [
            (left.as_nanos(), 'n'),
            (left.as_micros(), 'u'),
            (left.as_millis(), 'm'),
            (seconds, 'S'),
            (seconds / 60, 'M'),
        ];
        let (amount, unit) =
            units.into_iter().find(|(amount, _)| *amount <= DIGITS).unwrap_or(((seconds / 3600).min(DIGITS), 'H'));
        write!(f, "{amount}{unit}")
    }
}

impl FromStr for Timeout {
    type Err = InvalidTimeout;

    fn from_str(text: &str) -> Result<Self, InvalidTimeout> {
        let invalid = || InvalidTimeout(text.chars().take(32).collect());
        let unit = text.chars().last().filter(char::is_ascii).ok_or_else(invalid)?;
        let digits = &text[..text.len() - 1];
        if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        let amount: u64 = digits.parse().map_err(|_| invalid())?;
        Ok(Self(match unit {
            'H' => Duration::from_secs(amount * 3600),
            'M' => Duration::from_secs(amount * 60),
            'S' => Duration::from_secs(amount),
            'm' => Duration::from_millis(amount),
            'u' => Duration::from_micros(amount),
            'n' => Duration::from_nanos(amount),
            _ => return Err(invalid()),
        }))
    }
}

/// A text that is no timeout in the gRPC wire format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTimeout(String);

impl fmt::Display for InvalidTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid timeout {:?}: want one to eight digits and a unit, one of H M S m u n", self.0)
    }
}

impl StdError for InvalidTimeout {}
