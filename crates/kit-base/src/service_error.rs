//! The error of a tower service behind kit layers.

use std::error::Error as StdError;
use std::fmt;

use crate::{Error, Failure, Kind, Origin, RetryHint};

/// The error of a tower service as an endpoint: the service's own error, type and all, or a refusal of a kit layer.
///
/// It gives layers a `From<Error>` where the service's error has none (`Infallible`, tonic's and reqwest's transport
/// errors). An own error counts as [`Kind::Unavailable`]: the service could not be reached, or broke off.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing between the service and the layers over it")]
pub enum ServiceError<E> {
    /// The error of the service.
    Inner(E),
    /// A refusal, or another error, of a layer.
    Refused(Error),
}

impl<E> From<Error> for ServiceError<E> {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl<E> ServiceError<E> {
    fn refusal(&self) -> Option<&Error> {
        match self {
            Self::Inner(_) => None,
            Self::Refused(error) => Some(error),
        }
    }
}

impl<E> Failure for ServiceError<E> {
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

impl<E: fmt::Display> fmt::Display for ServiceError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inner(error) => error.fmt(f),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for ServiceError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Inner(error) => error.source(),
            Self::Refused(error) => error.source(),
        }
    }
}
