//! What generated code needs; no part of the interface.

use std::marker::PhantomData;

use kit_base::{Error, Failure, Origin, RetryHint};

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

/// Whether kind and reason are all that an error says, so that a variant without fields stands for it.
#[must_use]
pub fn says_no_more(error: &Error) -> bool {
    error.origin() == Origin::Remote && error.retry_hint() == RetryHint::None
}
