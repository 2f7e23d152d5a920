//! The two small encoders of an error: HTTP problem details, and a gRPC status with its details.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::wire::{GRPC_MESSAGE, GRPC_RETRY_PUSHBACK, GRPC_STATUS, GRPC_STATUS_DETAILS};
use crate::{Error, RetryHint};

/// The longest time to wait that is told over gRPC: ten years, which every reader's types can hold.
const LONG: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

impl Error {
    /// The error as an HTTP answer: the status of its kind, `Retry-After` in whole seconds (rounded up), and problem
    /// details with the members `kind` and `reason`. Source: RFC 9457.
    pub fn to_http_answer(&self) -> Response<Bytes> {
        self.to_http_answer_as(self.kind().http_status())
    }

    /// The same under a status that says more than the kind does: 404, 405, 413, 415, 431, 502.
    pub fn to_http_answer_as(&self, status: StatusCode) -> Response<Bytes> {
        let mut body = format!(
            r#"{{"type":"about:blank","title":{},"status":{},"detail":{},"kind":"{}""#,
            Json(status.canonical_reason().unwrap_or(if status == 499 { "Client Closed Request" } else { "Error" })),
            status.as_u16(),
            Json(self.peer_message()),
            self.kind(),
        );
        if let Some(reason) = self.reason() {
            // Writing to a string cannot fail.
            let _ = write!(body, r#","reason":{}"#, Json(reason));
        }
        body.push('}');
        let mut answer = Response::new(Bytes::from(body));
        *answer.status_mut() = status;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        // It knows whole seconds only; too early would be refused again, so round up.
        let seconds = |after: Duration| after.saturating_add(Duration::from_nanos(999_999_999)).as_secs();
        answer.headers_mut().extend(self.retry_after().map(|after| (RETRY_AFTER, HeaderValue::from(seconds(after)))));
        self.write_headers(answer.headers_mut());
        answer
    }

    /// The error as a gRPC answer without messages: status 200, the `grpc-status` and what goes with it in the head.
    pub fn to_grpc_answer(&self) -> Response<Bytes> {
        let mut answer = Response::new(Bytes::new());
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        self.write_grpc_status(answer.headers_mut());
        answer
    }

    /// Writes `grpc-status`, `grpc-message`, `grpc-status-details-bin` (ErrorInfo for a reason, RetryInfo for a time)
    /// and `grpc-retry-pushback-ms` into a head or into trailers.
    pub fn write_grpc_status(&self, headers: &mut HeaderMap) {
        let push_back = match self.retry_hint() {
            RetryHint::None => None,
            RetryHint::After(after) => Some(HeaderValue::from(after.min(LONG).as_nanos().div_ceil(1_000_000) as u64)),
            RetryHint::Never => Some(HeaderValue::from_static("-1")),
        };
        let told = self.reason().is_some() || self.retry_after().is_some();
        let values = [
            (GRPC_STATUS, Some(HeaderValue::from(u16::from(self.kind().grpc_code())))),
            (GRPC_MESSAGE, HeaderValue::try_from(per_cent(self.short_message())).ok()),
            (GRPC_RETRY_PUSHBACK, push_back),
            (GRPC_STATUS_DETAILS, told.then(|| HeaderValue::try_from(base64(&self.to_grpc_details())).ok()).flatten()),
        ];
        // With a name before each value, it takes the place of what was there.
        headers.extend(values.into_iter().filter_map(|(name, value)| Some((Some(name), value?))));
        self.write_headers(headers);
    }

    /// The message for a head of gRPC, which carries it twice and which many clients bound at 8 KiB: its first KiB.
    fn short_message(&self) -> &str {
        let message = self.peer_message();
        let end = (0..=message.len().min(1024)).rfind(|end| message.is_char_boundary(*end));
        &message[..end.unwrap_or(0)]
    }

    /// A serialised `google.rpc.Status`: code (1), message (2), details (3).
    fn to_grpc_details(&self) -> Vec<u8> {
        let mut status =
            [number(1, self.kind().grpc_code().into()), bytes(2, self.short_message().as_bytes())].concat();
        if let Some(reason) = self.reason() {
            status.extend(detail("type.googleapis.com/google.rpc.ErrorInfo", &bytes(1, reason.as_bytes())));
        }
        if let Some(after) = self.retry_after().map(|after| after.min(LONG)) {
            let duration = [number(1, after.as_secs()), number(2, after.subsec_nanos().into())].concat();
            status.extend(detail("type.googleapis.com/google.rpc.RetryInfo", &bytes(1, &duration)));
        }
        status
    }
}

/// A string in JSON, quotes and all.
struct Json<'a>(&'a str);

impl std::fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if u32::from(c) < 0x20 => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// The encoding of `grpc-message`: printable ASCII but `%` stays, every other byte of the UTF-8 becomes `%XX`.
fn per_cent(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b'%' | ..b' ' | b'\x7f'.. => out.push_str(&format!("%{byte:02X}")),
            byte => out.push(char::from(byte)),
        }
    }
    out
}

/// Base64 without padding, as gRPC senders write `-bin` metadata.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let letter = |sextet| char::from(ALPHABET[(group >> (18 - 6 * sextet) & 0x3f) as usize]);
        out.extend((0..=chunk.len()).map(letter));
    }
    out
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A field that is a number; zero is not written.
fn number(field: u64, value: u64) -> Vec<u8> {
    if value == 0 { Vec::new() } else { [varint(field << 3), varint(value)].concat() }
}

/// A field that is a text, bytes, or a message.
fn bytes(field: u64, bytes: &[u8]) -> Vec<u8> {
    [&varint(field << 3 | 2), &varint(bytes.len() as u64), bytes].concat()
}

/// A `google.protobuf.Any` among the details of a status.
fn detail(type_url: &str, message: &[u8]) -> Vec<u8> {
    bytes(3, &[bytes(1, type_url.as_bytes()), bytes(2, message)].concat())
}
