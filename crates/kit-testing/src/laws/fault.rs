//! The error of the inner service.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use kit_base::{Error, Failure, Kind, Origin, RetryHint};

/// The error of an [`Inner`](super::Inner): its own, or the refusal of a layer over it, which it takes in by `From`.
///
/// Its own is of the kind `Unavailable`, so it trips a breaker, and may be tried again.
#[derive(Clone, Debug)]
pub struct Fault(Repr);

#[derive(Clone, Debug)]
enum Repr {
    /// The answer to a call that arrived: its number, counted from 0.
    Inner(usize),
    NotReady,
    Refused(Arc<Error>),
}

impl Fault {
    pub(crate) fn of_call(number: usize) -> Self {
        Self(Repr::Inner(number))
    }

    pub(crate) fn not_ready() -> Self {
        Self(Repr::NotReady)
    }

    /// Whether it came from the inner service, and not from a layer.
    #[must_use]
    pub fn is_inner(&self) -> bool {
        !matches!(self.0, Repr::Refused(_))
    }

    /// The number of the call that it answers.
    pub(crate) fn call(&self) -> Option<usize> {
        match self.0 {
            Repr::Inner(number) => Some(number),
            Repr::NotReady | Repr::Refused(_) => None,
        }
    }

    fn refusal(&self) -> Option<&Error> {
        match &self.0 {
            Repr::Refused(error) => Some(error),
            Repr::Inner(_) | Repr::NotReady => None,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self(Repr::Refused(Arc::new(error)))
    }
}

impl Failure for Fault {
    fn kind(&self) -> Kind {
        self.refusal().map_or(Kind::Unavailable, Error::kind)
    }

    fn origin(&self) -> Origin {
        self.refusal().map_or(Origin::Remote, Error::origin)
    }

    fn retry_hint(&self) -> RetryHint {
        self.refusal().map_or(RetryHint::None, Error::retry_hint)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Inner(number) => write!(f, "the inner service failed at call {number}"),
            Repr::NotReady => f.write_str("the inner service is broken"),
            Repr::Refused(error) => error.fmt(f),
        }
    }
}

impl StdError for Fault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.refusal().map(|error| error as _)
    }
}
