//! What goes wrong below gRPC as an error: connections, HTTP/2, and answers that are not gRPC.
//! Source: gRPC over HTTP/2, "Errors"; gRPC, "HTTP to gRPC Status Code Mapping".

use std::error::Error as StdError;
use std::fmt;

use h2::Reason;
use http::header::CONTENT_TYPE;
use http::response::Parts;
use kit_base::{Deadline, Error, Kind, Origin, ServiceError};
use tonic::Status;

use super::{BoxError, ConnectionError};
use crate::from_status;
use crate::protocol::{ANSWER, PROTOCOL, is_breach};
use crate::within::{now, passed};

/// A request that got no answer.
pub(super) fn unanswered<E: Into<BoxError>>(error: ServiceError<E>) -> Error {
    match error {
        ServiceError::Refused(error) => error,
        ServiceError::Inner(error) => {
            let error = error.into();
            Of::look(&*error).error(error, false)
        }
    }
}

/// An answer that broke off after its head: whatever the peer says, it has begun.
pub(super) fn broken(error: BoxError) -> Error {
    Of::look(&*error).error(error, true)
}

/// A status of a client of tonic's: what the peer sent, or what tonic has made of that which went wrong below. Then the causes
/// say more than the status.
pub(super) fn of_status(status: Status) -> Error {
    let of = Of::look(&status);
    if of.below { of.error(Box::new(Made(status)), false) } else { from_status(status) }
}

/// The error of a call as it is told to the caller.
pub(super) fn settled(error: Error, deadline: Option<Deadline>) -> Error {
    match error.reason() {
        // Clocks differ, and so the service may have been the first to see it. Source: as above, "Client Cancellation".
        _ if error.kind() == Kind::Cancelled && deadline.is_some_and(|deadline| deadline.has_passed(now())) => {
            passed().with_source(error)
        }
        Some(PROTOCOL) if is_breach(&error) => error.with_reason(ANSWER),
        _ => error,
    }
}

/// The error with the request, where another instance may take it: nobody has seen it, and it is not at fault itself.
pub(super) fn giving_back<R: Send + 'static>(error: Error, again: impl FnOnce() -> Option<R>) -> Error {
    if (error.origin(), error.kind()) != (Origin::NotSent, Kind::Unavailable) {
        return error;
    }
    match again() {
        Some(request) => error.with_unsent(request),
        None => error,
    }
}

/// What the causes of an error say.
#[derive(Default)]
struct Of {
    /// It comes from below gRPC.
    below: bool,
    /// A layer of kit has refused.
    refused: Option<Error>,
    /// tonic's own timer was first.
    late: bool,
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
            let connection = error.downcast_ref::<ConnectionError>();
            let hyper = error.downcast_ref::<hyper::Error>();
            let h2 = error.downcast_ref::<h2::Error>();
            let refused = error.downcast_ref::<Error>();
            let late = error.is::<tonic::TimeoutExpired>();
            let unconnected = error.is::<tonic::ConnectError>() || connection.is_some_and(ConnectionError::is_connect);
            of.below |=
                unconnected || late || connection.is_some() || hyper.is_some() || h2.is_some() || refused.is_some();
            of.unconnected |= unconnected;
            of.late |= late;
            of.not_sent |=
                connection.is_some_and(ConnectionError::is_unsent) || hyper.is_some_and(hyper::Error::is_canceled);
            if let Some(h2) = h2 {
                of.reason = h2.reason();
                of.stream = h2.is_reset();
                // The streams that a GOAWAY does not name as served end by it. Source: RFC 9113, sections 6.8 and 8.7.
                of.not_sent |= h2.is_remote() && (h2.is_go_away() || h2.reason() == Some(Reason::REFUSED_STREAM));
            }
            if let (None, Some(refused)) = (&of.refused, refused) {
                of.refused = Some(copy(refused));
            }
            cause = error.source();
        }
        of.not_sent |= of.unconnected;
        of
    }

    fn error(self, source: BoxError, answered: bool) -> Error {
        if let Some(refused) = self.refused {
            return refused.with_source(source);
        }
        if self.late {
            return passed().with_source(source);
        }
        let (kind, message) = match (self.reason, self.unconnected) {
            (_, true) => (Kind::Unavailable, "cannot connect to the service".to_owned()),
            (Some(reason), _) if self.stream => (kind_of(reason), format!("the stream was reset: {reason:?}")),
            (Some(Reason::NO_ERROR), _) => (Kind::Unavailable, "the service closes the connection".to_owned()),
            (Some(reason), _) => (Kind::Unavailable, format!("the connection ended: {reason:?}")),
            (None, _) => (Kind::Unavailable, "the connection broke off".to_owned()),
        };
        let origin = if self.not_sent && !answered { Origin::NotSent } else { Origin::Remote };
        Error::new(kind, message).with_origin(origin).with_source(source)
    }
}

/// The error that is behind another one, which cannot be taken out of there.
fn copy(error: &Error) -> Error {
    let copy = Error::new(error.kind(), error.message().to_owned());
    let copy = copy.with_origin(error.origin()).with_retry_hint(error.retry_hint());
    match error.reason() {
        Some(reason) => copy.with_reason(reason.to_owned()),
        None => copy,
    }
}

/// A status that no peer has sent, so that it is not taken for one.
#[derive(Debug)]
struct Made(Status);

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Made {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
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
