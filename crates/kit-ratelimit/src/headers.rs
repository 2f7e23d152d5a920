//! The headers `RateLimit-Policy` and `RateLimit`, on refusals and, where asked for, on answers.
//!
//! Source: draft-ietf-httpapi-ratelimit-headers-11; its values are lists of strings with integer parameters (RFC 9651).

use std::fmt::Write;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Standing;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Adds a limit to the headers. They are lists, so that several limits can speak.
pub(crate) fn write(name: &str, standing: Standing, headers: &mut HeaderMap) {
    let Standing { limit, window, remaining, next, .. } = standing;
    // Each interval is rounded up to a quarter of a nanosecond: three a second are not three in two seconds for that.
    let window = window.saturating_sub(Duration::from_nanos(limit.get().div_ceil(4).into()));
    // Room for the numbers, too.
    let mut text = String::with_capacity(name.len() + 64);
    quote(if name.is_empty() { "default" } else { name }, &mut text);
    let end_of_name = text.len();
    // A window of no seconds is not allowed.
    let policy = (POLICY, 'q', limit.get(), 'w', seconds(window).max(1));
    let left = (LIMIT, 'r', remaining, 't', seconds(next));
    for (header, many, tokens, within, time) in [policy, left] {
        text.truncate(end_of_name);
        // From text, and not from the string itself: that would keep the room.
        let written = write!(text, ";{many}={tokens};{within}={time}");
        if let (Ok(()), Ok(value)) = (written, HeaderValue::from_str(&text)) {
            headers.append(header, value);
        }
    }
}

/// Rounded up: who comes earlier is refused again.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// Writes a name as a string of a structured field (RFC 9651), which holds printable ASCII and nothing else.
fn quote(name: &str, text: &mut String) {
    text.push('"');
    for c in name.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            ' '..='~' => text.push(c),
            _ => text.push('?'),
        }
    }
    text.push('"');
}
