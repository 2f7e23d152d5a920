//! A status on the wire as an error, and an error as a status: code, text, details and push-back.
//! Source: gRPC over HTTP/2, "Responses"; `google.rpc.Status`; gRFC A6.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use kit_base::wire::{GRPC_MESSAGE, GRPC_RETRY_PUSHBACK, GRPC_STATUS, GRPC_STATUS_DETAILS, grpc_push_back};
use kit_base::{Error, Kind, Origin, RetryHint};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};
use std::time::Duration;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::protocol::is_breach;

/// Base64 as gRPC reads it, with padding or without, and writes it, without.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The longest time to wait that is believed, so that sums with it do not overflow.
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The most bytes of a peer's text that an error holds: it goes into logs, and to the peers of this process.
const LONG: usize = 2048;

/// The most bytes of a text that are sent, as kit-base has it: many peers take no more than 8 KiB of metadata, and a text
/// is in it twice, encoded.
const SHORT: usize = 1024;

/// The error that a [`tonic::Status`] stands for. The status stays behind it, as its source: see [`status_of`].
///
/// The reason is that of an `ErrorInfo` among the details, the time to wait that of `grpc-retry-pushback-ms` or of a
/// `RetryInfo`. A status that is OK is no error, and becomes one of the kind `Unknown`.
#[must_use]
pub fn from_status(status: Status) -> Error {
    let kind = Kind::from_grpc_code(status.code() as u32);
    let message = match status.message() {
        "" => "no message came with the status".to_owned(),
        message => cut(message, LONG).to_owned(),
    };
    // Most statuses have no details, and decoding none would cost as much.
    let (info, retry) = match status.details() {
        [] => (None, None),
        _ => (status.get_details_error_info(), status.get_details_retry_info().and_then(|info| info.retry_delay)),
    };
    let metadata = status.metadata().as_ref();
    let told = match grpc_push_back(metadata) {
        // Nobody could say which one counts. Source: gRFC A6, as grpc-go reads it.
        RetryHint::After(_) if metadata.get_all(&GRPC_RETRY_PUSHBACK).iter().count() > 1 => RetryHint::Never,
        RetryHint::None => retry.map_or(RetryHint::None, RetryHint::After),
        hint => hint,
    };
    let hint = if let RetryHint::After(after) = told { RetryHint::After(after.min(TEN_YEARS)) } else { told };
    let error = Error::new(kind.unwrap_or(Kind::Unknown), message).with_retry_hint(hint).with_origin(Origin::Remote);
    let reason = info.map(|info| info.reason).filter(|reason| (1..=LONG).contains(&reason.len()));
    let error = if let Some(reason) = reason { error.with_reason(reason) } else { error };
    error.with_source(status)
}

/// The [`tonic::Status`] that an error is sent as, for methods of a service that tonic has generated. What the peer must
/// not see (the source, the text of an `Internal` or `Unknown` error) is not in it.
#[must_use]
pub fn to_status(error: &Error) -> Status {
    let mut headers = HeaderMap::new();
    write(error, None, &mut headers);
    // What was written by this side can be read.
    Status::from_header_map(&headers).unwrap_or_else(|| Status::unknown(error.peer_message()))
}

/// The status that a peer sent, behind an error that a client of this crate or [`from_status`] made of it: all of its
/// details and metadata. [`tonic_types::StatusExt`] reads the details.
#[must_use]
pub fn status_of(error: &Error) -> Option<&Status> {
    std::error::Error::source(error)?.downcast_ref()
}

/// The most bytes of encoded details that are sent. With a short text they fit into 8 KiB of metadata: from there on gRPC's
/// clients in C++ begin to refuse, and hyper's do so at 16 KiB.
const MOST_DETAILS: usize = 7 * 1024;

/// Writes the status of an error into a head or into trailers, with details of the user's own beside ours.
pub(crate) fn write(error: &Error, details: Option<ErrorDetails>, headers: &mut HeaderMap) {
    error.write_grpc_status(headers);
    // It speaks of what the peer did, and is no secret whatever its kind.
    let of_peer = is_breach(error);
    let text = cut(if of_peer { error.message() } else { error.peer_message() }, SHORT);
    if of_peer && let Ok(message) = HeaderValue::try_from(per_cent(text)) {
        headers.insert(GRPC_MESSAGE, message);
    }
    // Some clients take the text from the details.
    let Some(mut details) = details.or_else(|| of_peer.then(ErrorDetails::new)) else { return };
    if let (None, Some(reason)) = (details.error_info(), error.reason()) {
        details.set_error_info(reason, "", std::collections::HashMap::new());
    }
    if let (None, Some(after)) = (details.retry_info(), error.retry_after()) {
        details.set_retry_info(Some(after.min(TEN_YEARS)));
    }
    let code = Code::from_i32(i32::from(error.kind().grpc_code()));
    let status = Status::with_error_details(code, text, details);
    // Without them the status arrives; with them nothing would, and the caller would see a broken stream.
    let details = Some(BASE64.encode(status.details())).filter(|details| details.len() <= MOST_DETAILS);
    if let Some(details) = details.and_then(|details| HeaderValue::try_from(details).ok()) {
        headers.insert(GRPC_STATUS_DETAILS, details);
    }
}

/// What a head or trailers say of the outcome; nothing where there is no status.
#[cfg_attr(not(feature = "client"), expect(dead_code, reason = "only clients read one"))]
pub(crate) fn read(headers: &HeaderMap) -> Option<Result<(), Error>> {
    let given = headers.get(&GRPC_STATUS)?.as_bytes();
    if given == b"0" {
        return Some(Ok(()));
    }
    let text = headers.get(&GRPC_MESSAGE).map(HeaderValue::as_bytes).unwrap_or_default();
    let text = percent_decode(text).decode_utf8_lossy();
    let (code, message) = match code_of(given) {
        Some(Code::Ok) => return Some(Ok(())),
        Some(code) => (code, text.into_owned()),
        None => {
            let given = String::from_utf8_lossy(&given[..given.len().min(64)]);
            let colon = if text.is_empty() { "" } else { ": " };
            (Code::Unknown, format!("the grpc-status {given:?} is none of gRPC{colon}{text}"))
        }
    };
    let details = headers.get(&GRPC_STATUS_DETAILS).and_then(|details| BASE64.decode(details.as_bytes()).ok());
    let mut metadata = headers.clone();
    for name in [GRPC_STATUS, GRPC_MESSAGE, GRPC_STATUS_DETAILS] {
        metadata.remove(name);
    }
    let details = details.map(Bytes::from).unwrap_or_default();
    let metadata = MetadataMap::from_headers(metadata);
    Some(Err(from_status(Status::with_details_and_metadata(code, message, details, metadata))))
}

/// The code that these digits are.
fn code_of(digits: &[u8]) -> Option<Code> {
    // A number may have a sign as well, and a status may not.
    let digits = digits.iter().all(u8::is_ascii_digit).then_some(digits)?;
    let code = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (0..=16).contains(&code).then(|| Code::from_i32(code))
}

/// The encoding of `grpc-message`: all but printable ASCII, and the per cent sign.
fn per_cent(message: &str) -> String {
    const SET: &AsciiSet = &CONTROLS.add(b' ').add(b'%');
    utf8_percent_encode(message, SET).to_string()
}

/// The text, no longer than this.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=text.len().min(most)).rfind(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}
