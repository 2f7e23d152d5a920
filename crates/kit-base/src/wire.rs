//! Reading the outcome of a call from HTTP heads and gRPC trailers: just what classifying needs.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use crate::{Judgement, Kind, Origin, RetryHint};

/// The status of a gRPC call, in the trailers, or in the head of an answer without messages.
pub const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// The message of a gRPC status, per-cent-encoded.
pub const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// A serialised `google.rpc.Status`, in base64.
pub const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// Milliseconds until another try is welcome; anything that is no such number means never (gRFC A6).
pub const GRPC_RETRY_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
/// The time left for a call, in the gRPC wire format.
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Whether a head belongs to a gRPC call: its content type is `application/grpc`, alone or with a `+` or `;` part.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .strip_prefix(b"application/grpc")
            .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    })
}

/// The judgement on the head of an HTTP answer.
pub(crate) fn http_judgement(status: StatusCode, headers: &HeaderMap) -> Judgement {
    if is_grpc(headers) {
        let due = Judgement { status_due: true, ..Judgement::SUCCESS };
        let bare = || Kind::from_http_status_of_grpc(status).map_or(due, Judgement::of_kind);
        return grpc_judgement(headers).unwrap_or_else(bare);
    }
    let failed = |kind| Judgement::of_parts(kind, Origin::Remote, retry_after(headers));
    Kind::from_http_status(status).map_or(Judgement::SUCCESS, failed)
}

/// The judgement on a `grpc-status`, if there is one.
pub(crate) fn grpc_judgement(headers: &HeaderMap) -> Option<Judgement> {
    let status = headers.get(&GRPC_STATUS)?;
    let code = status.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(Kind::Unknown as u32);
    let failed = |kind| Judgement::of_parts(kind, Origin::Remote, grpc_push_back(headers));
    Some(Kind::from_grpc_code(code).map_or(Judgement::SUCCESS, failed))
}

/// The hint in `grpc-retry-pushback-ms`.
pub fn grpc_push_back(headers: &HeaderMap) -> RetryHint {
    headers.get(&GRPC_RETRY_PUSHBACK).map_or(RetryHint::None, |value| {
        let ms = value.to_str().ok().and_then(|text| text.parse().ok());
        ms.map_or(RetryHint::Never, |ms| RetryHint::After(Duration::from_millis(ms)))
    })
}

/// The hint in `Retry-After`, where it is a number of seconds; dates are left to the transports.
pub fn retry_after(headers: &HeaderMap) -> RetryHint {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    seconds.map_or(RetryHint::None, |seconds| RetryHint::After(Duration::from_secs(seconds)))
}
