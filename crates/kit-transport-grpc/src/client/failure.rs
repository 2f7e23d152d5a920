//! What goes wrong below gRPC as an error: connections, HTTP/2, and answers that are not gRPC.
//! Source: gRPC over HTTP/2, "Errors"; gRPC, "HTTP to gRPC Status Code Mapping".

use std::error::Error as StdError;

use h2::Reason;
use http::header::CONTENT_TYPE;
use http::response::Parts;
use kit_base::{Error, Kind, Origin, ServiceError};

use super::{BoxError, ConnectionError};

/// A request that got no answer.
pub(super) fn unanswered<E: Into<BoxError>>(error: ServiceError<E>) -> Error {
    match error {
        ServiceError::Refused(error) => error,
        ServiceError::Inner(error) => broken(error.into()),
    }
}

/// An answer, or a request, that broke off.
pub(super) fn broken(error: BoxError) -> Error {
    let of = Of::look(&*error);
    let (kind, message) = match (of.reason, of.unconnected) {
        (_, true) => (Kind::Unavailable, "cannot connect to the service".to_owned()),
        (Some(reason), _) if of.stream => (kind_of(reason), format!("the stream was reset: {reason}")),
        (Some(Reason::NO_ERROR), _) => (Kind::Unavailable, "the service closes the connection".to_owned()),
        (Some(reason), _) => (Kind::Unavailable, format!("the connection ended: {reason}")),
        (None, _) => (Kind::Unavailable, "the connection broke off".to_owned()),
    };
    let not_sent = of.unconnected || of.unsent || (of.stream && of.reason == Some(Reason::REFUSED_STREAM));
    let origin = if not_sent { Origin::NotSent } else { Origin::Remote };
    Error::new(kind, message).with_origin(origin).with_source(error)
}

/// What the causes of an error say.
#[derive(Default)]
struct Of {
    /// There was no connection.
    unconnected: bool,
    /// The request was not sent, or not processed, as its connection ended before.
    unsent: bool,
    /// The code of HTTP/2, and whether it ended the stream alone.
    reason: Option<Reason>,
    stream: bool,
}

impl Of {
    fn look(error: &(dyn StdError + 'static)) -> Self {
        let mut of = Self::default();
        let mut cause = Some(error);
        while let Some(error) = cause {
            of.unconnected |= error.is::<tonic::ConnectError>();
            if let Some(error) = error.downcast_ref::<ConnectionError>() {
                of.unconnected |= error.is_connect();
                of.unsent |= error.is_unsent();
            }
            of.unsent |= error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled);
            if let Some(h2) = error.downcast_ref::<h2::Error>() {
                of.reason = h2.reason();
                of.stream = h2.is_reset();
                // h2 gives it to streams that the peer says it did not process, and to those that were not opened any more.
                of.unsent |= h2.is_go_away() && h2.is_remote();
            }
            cause = error.source();
        }
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

/// An answer that ended without a status.
pub(super) fn without_status(head: &Parts) -> Error {
    let kind = Kind::from_http_status_of_grpc(head.status).unwrap_or(Kind::Unknown);
    Error::new(kind, format!("the answer ended without a grpc-status, under the HTTP status {}", head.status))
}
