//! What generated code needs; no part of the interface.

use kit_base::{Error, Failure, Origin, RetryHint};

/// Checks an error type of a service. `Failure` comes first: its message says what to derive.
pub const fn is_error<E>()
where
    E: Failure + From<Error> + Into<Error> + Send + 'static,
{
}

/// Checks a message of a service.
pub const fn is_message<M>()
where
    M: Send + 'static,
{
}

/// Whether kind and reason are all that an error says, so that a variant without fields stands for it.
#[must_use]
pub fn says_no_more(error: &Error) -> bool {
    error.origin() == Origin::Remote && error.retry_hint() == RetryHint::None
}
