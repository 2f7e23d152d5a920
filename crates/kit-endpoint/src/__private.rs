//! What generated code needs; no part of the interface.

use std::error::Error as _;
use std::fmt::Display;
use std::marker::PhantomData;

use kit_base::{Error, Failure, Kind, Origin, RetryHint};

/// A type that exists for error types of services only. `Failure` comes first: its message says what to derive.
#[derive(Debug)]
pub struct IsError<E>(PhantomData<E>)
where
    E: Failure + From<Error> + Into<Error> + Send + 'static;

/// A type that exists for messages of services only.
#[derive(Debug)]
pub struct IsMessage<M>(PhantomData<M>)
where
    M: Send + 'static;

/// Whether an error of a variant's kind and reason says nothing but the variant's own text, so that the variant stands
/// for it. The neutral text, with which such an error comes back from a peer, says even less.
#[must_use]
pub fn says_no_more(error: &Error, text: &dyn Display) -> bool {
    let is_neutral = matches!(error.kind(), Kind::Internal | Kind::Unknown) && error.message() == error.peer_message();
    error.origin() == Origin::Remote
        && error.retry_hint() == RetryHint::None
        && error.source().is_none()
        && (is_neutral || error.message() == text.to_string())
}
