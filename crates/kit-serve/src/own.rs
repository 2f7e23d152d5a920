//! The answers of the server itself.

use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::body::{Body, Incoming};
use kit_base::Error;
use kit_base::wire::is_grpc;

use crate::link::InFlight;
use crate::response_body::ResponseBody;

/// What an answer must know of its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    http1: bool,
    head: bool,
    connect: bool,
    pub(crate) has_body: bool,
    grpc: bool,
}

impl Asked {
    pub(crate) fn by(request: &Request<Incoming>) -> Self {
        let has_body = !request.body().is_end_stream();
        Self {
            http1: request.version() < Version::HTTP_2,
            head: request.method() == Method::HEAD,
            connect: request.method() == Method::CONNECT,
            has_body,
            // A call of gRPC has a body always.
            grpc: has_body && is_grpc(request.headers()),
        }
    }

    /// Whether this is a call of gRPC.
    pub(crate) fn is_grpc(self) -> bool {
        self.grpc
    }

    /// Whether the body, if there is one, has to come at some rate: one of gRPC has pauses as long as its caller
    /// pleases, and that of a tunnel is no body.
    pub(crate) fn must_hurry(self) -> bool {
        !self.grpc && !self.connect
    }

    /// Whether an answer of this status gives the connection, or this stream of it, to another protocol.
    pub(crate) fn is_granted(self, status: StatusCode) -> bool {
        status == StatusCode::SWITCHING_PROTOCOLS || (self.connect && status.is_success())
    }

    /// Whether an answer may close its connection. Over HTTP/2 only a stream ends, and `connection` is not allowed.
    pub(crate) fn may_close(self) -> bool {
        self.http1
    }
}

/// Why the server answers instead of the service.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Own {
    Unclear,
    UnknownCoding,
    TooManyHeaders,
    TooLarge,
    Failed,
    Late,
}

impl Own {
    /// The status, as the key of an event.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Unclear => "400",
            Self::UnknownCoding => "501",
            Self::TooManyHeaders => "431",
            Self::TooLarge => "413",
            Self::Failed => "500",
            Self::Late => "504",
        }
    }

    /// A small answer: problem details (RFC 9457), or for a call of gRPC its status.
    pub(crate) fn answer<B>(self, asked: Asked, in_flight: Option<InFlight>) -> Response<ResponseBody<B>> {
        let (status, error) = match self {
            Self::Unclear => {
                (StatusCode::BAD_REQUEST, Error::invalid_argument("the target or host of the request is not clear"))
            }
            Self::UnknownCoding => (
                StatusCode::NOT_IMPLEMENTED,
                Error::unimplemented("the request has a transfer coding other than chunked alone"),
            ),
            Self::TooManyHeaders => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                Error::invalid_argument("the request has more header lines than the server takes"),
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                Error::invalid_argument("the request has a larger body than the server takes"),
            ),
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, Error::internal("the service failed")),
            Self::Late => {
                (StatusCode::GATEWAY_TIMEOUT, Error::deadline_exceeded("the service took longer than the server waits"))
            }
        };
        let answer = if asked.grpc { error.to_grpc_answer() } else { error.to_http_answer_as(status) };
        let mut answer = answer.map(|body| if asked.head { Default::default() } else { body });
        if asked.http1 && !matches!(self, Self::Failed | Self::Late) {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer.map(|body| ResponseBody::own(body, in_flight))
    }
}
