//! The deadline: a point in time, on the wire as `grpc-timeout`.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::Error;

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
/// # Ok::<(), kit_base::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timeout(pub Duration);

/// The most that fits the eight digits of the wire format.
const DIGITS: u32 = 99_999_999;

const UNITS: [(char, Duration); 6] = [
    ('n', Duration::from_nanos(1)),
    ('u', Duration::from_micros(1)),
    ('m', Duration::from_millis(1)),
    ('S', Duration::from_secs(1)),
    ('M', Duration::from_secs(60)),
    ('H', Duration::from_secs(3600)),
];

/// Writes the finest unit that fits eight digits, cut off, so that a deadline never grows on its way.
impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One division: each client call writes its deadline.
        let unit = UNITS.iter().find(|(_, size)| self.0 < *size * (DIGITS + 1));
        let of = |(unit, size): &(char, Duration)| (self.0.as_nanos() / size.as_nanos(), *unit);
        let (amount, unit) = unit.map_or((DIGITS.into(), 'H'), of);
        write!(f, "{amount}{unit}")
    }
}

/// Any other text is [`InvalidArgument`](crate::Kind::InvalidArgument).
impl FromStr for Timeout {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let unit = text.chars().last().filter(char::is_ascii)?;
            let digits = &text[..text.len() - 1];
            let right = (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            let amount: u32 = right.then(|| digits.parse().ok())??;
            let (_, size) = UNITS.iter().find(|(known, _)| *known == unit)?;
            Some(Self(*size * amount))
        };
        parse().ok_or_else(|| {
            let shown: String = text.chars().take(32).collect();
            let want = "want one to eight digits and a unit, one of H M S m u n";
            Error::invalid_argument(format!("invalid timeout {shown:?}: {want}"))
        })
    }
}
