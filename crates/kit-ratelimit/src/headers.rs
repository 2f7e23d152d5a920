//! The headers `RateLimit-Policy` and `RateLimit`, on refusals and, where asked for, on answers.
//!
//! Source: draft-ietf-httpapi-ratelimit-headers-11; its values are lists of strings with integer parameters (RFC 9651).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Standing;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Adds a limit to the headers. They are lists, so that several limits can speak.
pub(crate) fn write(name: &str, standing: Standing, headers: &mut HeaderMap) {
    let name = quoted(if name.is_empty() { "default" } else { name });
    let Standing { limit, window, remaining, next, .. } = standing;
    // Each interval is rounded up to a quarter of a nanosecond: three a second are not three in two seconds for that.
    let window = window.saturating_sub(Duration::from_nanos(limit.get().div_ceil(4).into()));
    // A window of no seconds is not allowed.
    let policy = format!("{name};q={limit};w={}", seconds(window).max(1));
    let left = format!("{name};r={remaining};t={}", seconds(next));
    for (header, value) in [(POLICY, policy), (LIMIT, left)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.append(header, value);
        }
    }
}

/// Rounded up: who comes earlier is refused again.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// A name as a string of a structured field (RFC 9651), which holds printable ASCII and nothing else.
fn quoted(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for c in name.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}
