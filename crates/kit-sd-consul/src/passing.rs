//! Failures of the agent that pass by themselves, when to try again, and errors that more than one is told of.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kit_base::{Error, Kind};

/// Whether another try may go better without anybody's doing.
pub(crate) fn passes(error: &Error) -> bool {
    let kinds = [Kind::Unavailable, Kind::DeadlineExceeded, Kind::ResourceExhausted, Kind::Aborted, Kind::DataLoss];
    kinds.contains(&error.kind())
}

/// How long the agent asks to wait, within reason.
pub(crate) fn asked_pause(error: &Error) -> Duration {
    error.retry_after().unwrap_or_default().min(Duration::from_secs(60))
}

/// The same error, for somebody else.
pub(crate) fn again(error: &Arc<Error>) -> Error {
    let copy = Error::new(error.kind(), error.message().to_owned());
    let copy = copy.with_origin(error.origin()).with_retry_hint(error.retry_hint());
    if error.source().is_some() { copy.with_source(Cause(error.clone())) } else { copy }
}

/// The source of a shared error.
#[derive(Debug)]
struct Cause(Arc<Error>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.source().map_or(Ok(()), |source| fmt::Display::fmt(source, f))
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source().and_then(StdError::source)
    }
}
