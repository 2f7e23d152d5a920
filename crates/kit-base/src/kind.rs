//! The kinds of failure: the gRPC codes by their standard names, and their HTTP statuses.

use std::fmt;

use http::StatusCode;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $code:literal, $name:literal, $status:literal;)*) => {
        /// What kind of failure an error is, by the standard names of the gRPC codes.
        #[doc(alias = "Code")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(clippy::exhaustive_enums, reason = "the gRPC codes are a closed set, and every mapping must name each of them")]
        pub enum Kind {$(
            $(#[$doc])*
            $kind = $code,
        )*}

        impl Kind {
            /// All kinds, by code.
            pub const ALL: [Self; 16] = [$(Self::$kind),*];

            /// The name on the wire, as in `google.rpc.Code`: `INVALID_ARGUMENT`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// The HTTP status that an error of this kind is answered with.
            pub fn http_status(self) -> StatusCode {
                let status: u16 = match self {
                    $(Self::$kind => $status,)*
                };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    };
}

kinds! {
    /// The caller gave up on the call.
    Cancelled = 1, "CANCELLED", 499;
    /// Nobody knows what went wrong.
    Unknown = 2, "UNKNOWN", 500;
    /// The request is wrong by itself.
    InvalidArgument = 3, "INVALID_ARGUMENT", 400;
    /// The time given for the call has passed.
    DeadlineExceeded = 4, "DEADLINE_EXCEEDED", 504;
    /// The thing asked for does not exist.
    NotFound = 5, "NOT_FOUND", 404;
    /// The thing to be made exists already.
    AlreadyExists = 6, "ALREADY_EXISTS", 409;
    /// The caller is known and may not do this.
    PermissionDenied = 7, "PERMISSION_DENIED", 403;
    /// A limit or quota is used up.
    ResourceExhausted = 8, "RESOURCE_EXHAUSTED", 429;
    /// The system is not in the state that the request needs.
    FailedPrecondition = 9, "FAILED_PRECONDITION", 400;
    /// A conflict with another call; try the whole transaction again.
    Aborted = 10, "ABORTED", 409;
    /// The request goes past the valid range.
    OutOfRange = 11, "OUT_OF_RANGE", 400;
    /// The operation does not exist here.
    Unimplemented = 12, "UNIMPLEMENTED", 501;
    /// A fault of the service.
    Internal = 13, "INTERNAL", 500;
    /// The service cannot be reached or cannot serve now.
    Unavailable = 14, "UNAVAILABLE", 503;
    /// Data is lost or damaged for good.
    DataLoss = 15, "DATA_LOSS", 500;
    /// The caller is not known.
    Unauthenticated = 16, "UNAUTHENTICATED", 401;
}

impl Kind {
    /// The kind of a name on the wire, or nothing for a name that is none.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The number on the gRPC wire, 1 to 16.
    pub const fn grpc_code(self) -> u8 {
        self as u8
    }

    /// The kind of a gRPC code: nothing for 0 (OK), [`Unknown`](Self::Unknown) for a code that gRPC does not define.
    pub fn from_grpc_code(code: u32) -> Option<Self> {
        (code != 0).then(|| Self::ALL.into_iter().find(|kind| *kind as u32 == code).unwrap_or(Self::Unknown))
    }

    /// The kind of a foreign peer's bare HTTP status; nothing below 400.
    pub fn from_http_status(status: StatusCode) -> Option<Self> {
        Some(match status.as_u16() {
            ..400 => return None,
            400 | 405 | 406 | 411 | 413 | 414 | 415 | 422 | 431 => Self::InvalidArgument,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 | 410 => Self::NotFound,
            408 | 504 => Self::DeadlineExceeded,
            409 => Self::Aborted,
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
