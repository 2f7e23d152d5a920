//! The layer that keeps deadlines, and its settings.

use std::error::Error as StdError;
use std::fmt;
use std::time::{Duration, Instant};

use kit_base::Deadline;
use tower_layer::Layer;

use crate::Deadlined;

/// A layer that keeps the deadline of each call: the caller's, or a default where the caller has none, and in any case
/// no more than a cap.
///
/// The deadline stands in the context that the inner endpoint sees. When it passes, the inner future is dropped, and
/// the answer is of the kind [`DeadlineExceeded`](kit_base::Kind::DeadlineExceeded), never `Cancelled`. A call whose
/// deadline has passed before never reaches the inner endpoint, and its error has the origin
/// [`NotSent`](kit_base::Origin::NotSent). Where the answer is there in the moment when the deadline passes, the answer
/// counts.
///
/// ```
/// use std::time::Duration;
/// use kit_endpoint::DeadlineLayer;
///
/// let layer = DeadlineLayer::new().with_default(Duration::from_secs(5))?.with_cap(Duration::from_secs(60))?;
/// assert_eq!(layer.cap(), Some(Duration::from_secs(60)));
///
/// let error = DeadlineLayer::new().with_cap(Duration::ZERO).unwrap_err();
/// assert_eq!(error.to_string(), "the cap on deadlines must be greater than zero, got 0ns");
/// # Ok::<(), kit_endpoint::ZeroLimit>(())
/// ```
///
/// Time is tokio's, so that paused time works in tests. A call without any deadline costs nothing; one that is answered
/// at its first poll costs a reading of the clock, and no timer. Where an answer streams, this bounds the time to its
/// head; the rest is bounded by whoever makes the stream, by the deadline in the context.
///
/// The layer holds settings only: clones and endpoints share nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadlineLayer {
    default: Option<Duration>,
    cap: Option<Duration>,
}

impl DeadlineLayer {
    /// Keeps the caller's deadline, and sets none.
    #[must_use]
    pub const fn new() -> Self {
        Self { default: None, cap: None }
    }

    /// The same, giving calls without a deadline this much time.
    ///
    /// # Errors
    /// The time is zero.
    pub const fn with_default(mut self, default: Duration) -> Result<Self, ZeroLimit> {
        if default.is_zero() {
            return Err(ZeroLimit { what: "default deadline", given: default });
        }
        self.default = Some(default);
        Ok(self)
    }

    /// The same, giving no call more than this much time, whatever the caller or the default say.
    ///
    /// # Errors
    /// The time is zero.
    pub const fn with_cap(mut self, cap: Duration) -> Result<Self, ZeroLimit> {
        if cap.is_zero() {
            return Err(ZeroLimit { what: "cap on deadlines", given: cap });
        }
        self.cap = Some(cap);
        Ok(self)
    }

    /// The time for calls without a deadline.
    #[must_use]
    pub const fn default_time(&self) -> Option<Duration> {
        self.default
    }

    /// The most time for any call.
    #[must_use]
    pub const fn cap(&self) -> Option<Duration> {
        self.cap
    }

    /// The deadline of a call whose caller gave this one, if any.
    pub(crate) fn deadline(&self, callers: Option<Deadline>, now: Instant) -> Option<Deadline> {
        let wanted = callers.or_else(|| self.default.map(|default| Deadline::after(now, default)));
        let cap = self.cap.map(|cap| Deadline::after(now, cap));
        match (wanted, cap) {
            (Some(wanted), Some(cap)) => Some(wanted.min(cap)),
            (wanted, cap) => wanted.or(cap),
        }
    }

    /// Whether a call without a deadline stays without one.
    pub(crate) fn sets_none(&self) -> bool {
        self.default.is_none() && self.cap.is_none()
    }
}

impl<E> Layer<E> for DeadlineLayer {
    type Service = Deadlined<E>;

    fn layer(&self, inner: E) -> Deadlined<E> {
        Deadlined::new(inner, *self)
    }
}

/// A limit of no time at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZeroLimit {
    what: &'static str,
    given: Duration,
}

impl fmt::Display for ZeroLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} must be greater than zero, got {:?}", self.what, self.given)
    }
}

impl StdError for ZeroLimit {}
