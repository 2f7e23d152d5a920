//! Requests that get no answer of a backend: why, and what the proxy answers instead.

use std::convert::Infallible;
use std::error::Error as StdError;

use http::StatusCode;
use http_body_util::LengthLimitError;
use kit_base::{Error, Origin, ServiceError};

use super::upload::Upload;
use crate::pieces::{has_cause, is_timed_out};

/// An error of a body or client, as tower and axum have it.
pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// No backend answered: 502.
pub(super) const BAD_GATEWAY: &str = "BAD_GATEWAY";
/// A backend did not answer in time: 504.
pub(super) const GATEWAY_TIMEOUT: &str = "GATEWAY_TIMEOUT";
/// The client's body did not come: 408.
pub(super) const REQUEST_TIMEOUT: &str = "REQUEST_TIMEOUT";
/// The client's body is longer than whoever serves takes: 413.
pub(super) const TOO_LARGE: &str = "BODY_TOO_LARGE";
/// The target is longer than can be sent: 414.
pub(super) const TOO_LONG: &str = "URI_TOO_LONG";
/// A body panicked: 500.
pub(super) const PANIC: &str = "PANIC";
/// The client's body broke off, or its target cannot be sent: 400.
pub(super) const MALFORMED: &str = "MALFORMED_REQUEST";

/// How an endpoint under a proxy fails: with a refusal of a layer, which is answered as what it is, or because the
/// backend could not be reached, which is 502.
#[diagnostic::on_unimplemented(
    message = "a proxy cannot tell what the error `{Self}` of its endpoint means",
    note = "it can of `kit_base::Error` and of `kit_base::ServiceError<E>`, which `FromService` and `FromHttpService` give"
)]
pub trait BackendError: Send {
    /// The error that the proxy answers. Under the reason `BAD_GATEWAY` its status is 502, else that of its kind.
    fn into_error(self) -> Error;
}

impl BackendError for Error {
    fn into_error(self) -> Error {
        self
    }
}

impl BackendError for Infallible {
    fn into_error(self) -> Error {
        match self {}
    }
}

impl<E: Into<BoxError> + Send> BackendError for ServiceError<E> {
    fn into_error(self) -> Error {
        match self {
            Self::Inner(error) => unanswered(error.into(), false),
            Self::Refused(error) => error,
        }
    }
}

/// The error of a client that got no answer. `not_sent` if it surely did not send the request.
pub(super) fn unanswered(error: BoxError, not_sent: bool) -> Error {
    let origin = if not_sent { Origin::NotSent } else { Origin::Remote };
    if has_cause(&*error, is_timed_out) {
        let late = Error::deadline_exceeded("the backend cannot be reached in time").with_reason(GATEWAY_TIMEOUT);
        return late.with_origin(origin).with_source(error);
    }
    let what = match not_sent {
        true => "the backend cannot be reached",
        false => "the backend did not answer",
    };
    Error::unavailable(what).with_reason(BAD_GATEWAY).with_origin(origin).with_source(error)
}

/// The error of a request whose body broke off at the client, which is none of the backend's, if it did.
pub(super) fn broken_upload(upload: Option<&Upload>) -> Option<Error> {
    let why = upload?.broken()?;
    let error = match why {
        TOO_LARGE => Error::invalid_argument("the body is longer than the server takes"),
        REQUEST_TIMEOUT => Error::invalid_argument("the body of the request came too slowly"),
        PANIC => return Some(Error::internal("the body of the request panicked").with_reason(why)),
        _ => Error::invalid_argument("the body of the request broke off"),
    };
    Some(error.with_reason(why).with_origin(Origin::LocalRefusal))
}

/// Why a client's body broke off, as a reason.
pub(super) fn reason_of_broken(error: &(dyn StdError + 'static)) -> &'static str {
    match error {
        error if error.downcast_ref::<Error>().is_some_and(|error| error.reason() == Some(PANIC)) => PANIC,
        error if has_cause(error, |cause| cause.is::<LengthLimitError>()) => TOO_LARGE,
        error if has_cause(error, is_timed_out) => REQUEST_TIMEOUT,
        _ => MALFORMED,
    }
}

/// The status of the proxy's own answer to an error.
pub(super) fn status(error: &Error) -> StatusCode {
    match error.reason() {
        Some(BAD_GATEWAY) => StatusCode::BAD_GATEWAY,
        Some(REQUEST_TIMEOUT) => StatusCode::REQUEST_TIMEOUT,
        Some(TOO_LARGE) => StatusCode::PAYLOAD_TOO_LARGE,
        Some(TOO_LONG) => StatusCode::URI_TOO_LONG,
        _ => error.kind().http_status(),
    }
}
