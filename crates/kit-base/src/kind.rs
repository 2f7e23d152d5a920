//! The kinds of failure: the gRPC codes by their standard names, and their HTTP statuses.

use std::fmt;

use http::StatusCode;

/// What kind of failure an error is, by the standard names of the gRPC codes.
#[doc(alias = "Code")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "the gRPC codes are a closed set, and every mapping must name each of them")]
pub enum Kind {
    /// The caller gave up on the call.
    Cancelled = 1,
    /// Nobody knows what went wrong.
    Unknown = 2,
    /// The request is wrong by itself.
    InvalidArgument = 3,
    /// The time given for the call has passed.
    DeadlineExceeded = 4,
    /// The thing asked for does not exist.
    NotFound = 5,
    /// The thing to be made exists already.
    AlreadyExists = 6,
    /// The caller is known and may not do this.
    PermissionDenied = 7,
    /// A limit or quota is used up.
    ResourceExhausted = 8,
    /// The system is not in the state that the request needs.
    FailedPrecondition = 9,
    /// A conflict with another call; try the whole transaction again.
    Aborted = 10,
    /// The request goes past the valid range.
    OutOfRange = 11,
    /// The operation does not exist here.
    Unimplemented = 12,
    /// A fault of the service.
    Internal = 13,
    /// The service cannot be reached or cannot serve now.
    Unavailable = 14,
    /// Data is lost or damaged for good.
    DataLoss = 15,
    /// The caller is not known.
    Unauthenticated = 16,
}

impl Kind {
    /// All kinds, by code.
    pub const ALL: [Self; 16] = [
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The name on the wire, as in `google.rpc.Code`: `INVALID_ARGUMENT`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// The kind of a name on the wire, or nothing for a name that is none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The number on the gRPC wire, 1 to 16.
    #[must_use]
    pub const fn grpc_code(self) -> u8 {
        self as u8
    }

    /// The kind of a gRPC code: nothing for 0 (OK), [`Unknown`](Self::Unknown) for a code that gRPC does not define.
    #[must_use]
    pub fn from_grpc_code(code: u32) -> Option<Self> {
        match code {
            0 => None,
            code => Some(Self::ALL.into_iter().find(|kind| *kind as u32 == code).unwrap_or(Self::Unknown)),
        }
    }

    /// The HTTP status that an error of this kind is answered with.
    #[must_use]
    pub fn http_status(self) -> StatusCode {
        match self {
            Self::InvalidArgument | Self::FailedPrecondition | Self::OutOfRange => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::AlreadyExists | Self::Aborted => StatusCode::CONFLICT,
            Self::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Self::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            Self::Internal | Self::Unknown | Self::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The kind of a foreign peer's bare HTTP status; nothing below 400.
    #[must_use]
    pub fn from_http_status(status: StatusCode) -> Option<Self> {
        Some(match status.as_u16() {
            ..400 => return None,
            400 | 405 | 406 | 411 | 413 | 414 | 415 | 422 | 431 => Self::InvalidArgument,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 | 410 => Self::NotFound,
            408 | 504 => Self::DeadlineExceeded,
            409 => Self::Aborted,
            412 | 428 => Self::FailedPrecondition,
            425 | 502 | 503 => Self::Unavailable,
            429 => Self::ResourceExhausted,
            499 => Self::Cancelled,
            501 => Self::Unimplemented,
            402..=499 => Self::FailedPrecondition,
            500.. => Self::Unknown,
        })
    }

    /// The kind of a bare HTTP status in answer to a gRPC call, where no `grpc-status` came; nothing for 200.
    /// Source: gRPC, "HTTP to gRPC Status Code Mapping".
    #[must_use]
    pub fn from_http_status_of_grpc(status: StatusCode) -> Option<Self> {
        Some(match status.as_u16() {
            200 => return None,
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
