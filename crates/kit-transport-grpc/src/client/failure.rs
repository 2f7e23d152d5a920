//! What goes wrong below gRPC as an error: connections, HTTP/2, and answers that are not gRPC.
//! Source: gRPC over HTTP/2, "Errors"; gRPC, "HTTP to gRPC Status Code Mapping".

use std::error::Error as StdError;

use h2::Reason;
use http::header::CONTENT_TYPE;
use http::response::Parts;
use kit_base::{Deadline, Error, Kind, Origin, ServiceError};

use super::BoxError;
use super::call::passed;
use crate::protocol::{ANSWER, PROTOCOL};
use crate::status_of;
use crate::within::now;

/// A request that got no answer.
pub(super) fn unanswered<E: Into<BoxError>>(error: ServiceError<E>) -> Error {
    match error {
        ServiceError::Refused(error) => error,
        ServiceError::Inner(error) => {
            let error = error.into();
            let not_sent = Of::look(&*error).not_sent;
            broken(error).with_origin(if not_sent { Origin::NotSent } else { Origin::Remote })
        }
    }
}

/// An answer that broke off after its head: whatever the peer says, it has begun.
pub(super) fn broken(error: BoxError) -> Error {
    let of = Of::look(&*error);
    let (kind, message) = match (of.reason, of.unconnected) {
        (_, true) => (Kind::Unavailable, "cannot connect to the service".to_owned()),
        (Some(reason), _) if of.stream => (kind_of(reason), format!("the stream was reset: {reason:?}")),
        (Some(reason), _) => (Kind::Unavailable, format!("the connection ended: {reason:?}")),
        (None, _) => (Kind::Unavailable, "the connection broke off".to_owned()),
    };
    Error::new(kind, message).with_source(error)
}

/// The error of a call as it is told to the caller.
pub(super) fn settled(error: Error, deadline: Option<Deadline>) -> Error {
    match error.reason() {
        // Clocks differ, and so the service may have been the first to see it. Source: as above, "Client Cancellation".
        _ if error.kind() == Kind::Cancelled && deadline.is_some_and(|deadline| deadline.has_passed(now())) => {
            passed().with_source(error)
        }
        Some(PROTOCOL) if status_of(&error).is_none() => error.with_reason(ANSWER),
        _ => error,
    }
}

/// What the causes of an error say.
#[derive(Default)]
struct Of {
    /// There was no connection.
    unconnected: bool,
    /// The request was not sent, or its peer says that nothing has been done with it.
    not_sent: bool,
    /// The code of HTTP/2, and whether it ended the stream alone.
    reason: Option<Reason>,
    stream: bool,
}

impl Of {
    fn look(error: &(dyn StdError + 'static)) -> Self {
        let mut of = Self::default();
        let mut cause = Some(error);
        while let Some(error) = cause {
            of.unconnected |= error.is::<tonic::ConnectError>()
                || error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect());
            of.not_sent |= error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled);
            if let Some(h2) = error.downcast_ref::<h2::Error>() {
                of.reason = h2.reason();
                of.stream = h2.is_reset();
                // The streams that a GOAWAY does not name as served end by it. Source: RFC 9113, sections 6.8 and 8.7.
                of.not_sent |= h2.is_remote() && (h2.is_go_away() || h2.reason() == Some(Reason::REFUSED_STREAM));
            }
            cause = error.source();
        }
        of.not_sent |= of.unconnected;
        of
    }
}

fn kind_of(reason: Reason) -> Kind {
    match reason {
        Reason::REFUSED_STREAM => Kind::Unavailable,
        Reason::CANCEL => Kind::Cancelled,
        Reason::ENHANCE_YOUR_CALM => Kind::ResourceExhausted,
        Reason::INADEQUATE_SECURITY => Kind::PermissionDenied,
        Reason::STREAM_CLOSED | Reason::HTTP_1_1_REQUIRED => Kind::Unknown,
        _ => Kind::Internal,
    }
}

/// An answer that is not one of gRPC, by its status.
pub(super) fn foreign(head: &Parts) -> Error {
    let kind = Kind::from_http_status_of_grpc(head.status).unwrap_or(Kind::Unknown);
    let content = head.headers.get(CONTENT_TYPE).map_or("no content type".into(), |content| {
        format!("the content type {:?}", String::from_utf8_lossy(&content.as_bytes()[..content.len().min(64)]))
    });
    Error::new(kind, format!("the answer is not gRPC: HTTP status {} with {content}", head.status))
}

/// A head without a status, where one is due.
pub(super) fn without_status(head: &Parts) -> Error {
    let kind = Kind::from_http_status_of_grpc(head.status).unwrap_or(Kind::Unknown);
    Error::new(kind, format!("the answer has no grpc-status, under the HTTP status {}", head.status))
}

/// The same of trailers.
pub(super) fn trailers_without_status() -> Error {
    Error::unknown("the trailers have no grpc-status")
}
