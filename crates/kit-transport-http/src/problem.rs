//! Problem details, as a whole answer and inside of a stream: reading them back, and writing them in between.
//! Source: RFC 9457, and the members `kind`, `reason` and `retry_after_ms` of kit.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use kit_base::{Error, Kind, RetryHint};
use serde_json::{Map, Value};

/// The error that these problem details tell, under this status.
pub(crate) fn read(problem: &Map<String, Value>, status: StatusCode, bare: impl FnOnce() -> String) -> Error {
    let member = |name: &str| problem.get(name).and_then(Value::as_str);
    let kind = member("kind").and_then(Kind::from_name).or(Kind::from_http_status(status));
    let message = member("detail").or(member("title")).map_or_else(bare, cut);
    let error = Error::new(kind.unwrap_or(Kind::Unknown), message);
    match member("reason").filter(|reason| reason.len() <= LONG) {
        Some(reason) => error.with_reason(reason.to_owned()),
        None => error,
    }
}

/// The error that ended a stream. Inside of one there are no headers: the status and the time to wait are members.
pub(crate) fn read_in_band(problem: &Map<String, Value>) -> Error {
    let status = problem.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
    let status = status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK);
    let error = read(problem, status, || "the stream ended with an error".to_owned());
    match problem.get("retry_after_ms").and_then(Value::as_u64) {
        Some(after) => error.with_retry_hint(RetryHint::After(Duration::from_millis(after).min(TEN_YEARS))),
        None => error,
    }
}

/// The problem details of an error, as JSON in one line, for the inside of a stream.
pub(crate) fn write_in_band(error: &Error) -> Bytes {
    let problem = error.to_http_answer().into_body();
    match (error.retry_after(), problem.strip_suffix(b"}")) {
        (Some(after), Some(open)) => {
            let after = format!(r#","retry_after_ms":{}}}"#, after.min(TEN_YEARS).as_millis());
            [open, after.as_bytes()].concat().into()
        }
        _ => problem,
    }
}

/// The longest time to wait that is believed, so that sums with it do not overflow.
pub(crate) const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The most bytes of a peer's text that an error holds: it goes into logs, and to the peers of this process.
const LONG: usize = 2048;

/// A text of a peer, in an error's length.
fn cut(text: &str) -> String {
    if text.len() <= LONG {
        return text.to_owned();
    }
    let end = (0..=LONG).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}...", &text[..end])
}
