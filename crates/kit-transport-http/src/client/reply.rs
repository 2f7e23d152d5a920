//! An answer that is no success as an error, and an error of reqwest as ours.

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use kit_base::{Error, Origin, RetryHint};
use reqwest::Url;
use serde_json::{Map, Value};

use super::unsent::is_unsent;
use crate::Reply;
use crate::pieces::BoxError;
use crate::problem::{self, TEN_YEARS};

/// The error that a kit service sent, by the members of its problem details, or one made from a foreign status.
/// Source: RFC 9457, and the members `kind` and `reason` of kit.
pub(super) fn error(reply: &Reply) -> Error {
    let problem = is_problem(reply).then(|| serde_json::from_slice(&reply.body).ok()).flatten();
    let problem: Map<String, Value> = problem.unwrap_or_default();
    let bare = || match reply.status.is_redirection() {
        true => format!("answered with {}, and redirects are not followed", reply.status),
        false => format!("answered with {}", reply.status),
    };
    problem::read(&problem, reply.status, bare).with_retry_hint(retry_hint(reply))
}

fn is_problem(reply: &Reply) -> bool {
    let value = reply.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/problem+json")
}

/// `Retry-After`, as seconds or as a date, at most ten years ahead, so that sums with it do not overflow.
/// Source: RFC 9110, section 10.2.3.
fn retry_hint(reply: &Reply) -> RetryHint {
    match given_hint(reply) {
        RetryHint::After(after) => RetryHint::After(after.min(TEN_YEARS)),
        hint => hint,
    }
}

fn given_hint(reply: &Reply) -> RetryHint {
    let hint = kit_base::wire::retry_after(&reply.headers);
    if hint != RetryHint::None {
        return hint;
    }
    let date = reply.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    match date.and_then(|date| httpdate::parse_http_date(date).ok()) {
        Some(date) => RetryHint::After(date.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO)),
        None => RetryHint::None,
    }
}

/// An answer that broke off after its head.
pub(super) fn broken(error: reqwest::Error) -> Error {
    match error.is_timeout() {
        true => Error::deadline_exceeded("the answer did not end within the client's limit").with_source(error),
        false => Error::unavailable("the answer broke off").with_source(error),
    }
}

/// An answer that broke off in the middle of its stream.
pub(super) fn broken_stream(error: BoxError) -> Error {
    match error.downcast::<reqwest::Error>() {
        Ok(error) => broken(*error),
        Err(error) => Error::unavailable("the answer broke off").with_source(error),
    }
}

/// A request that got no answer.
pub(super) fn unanswered(error: reqwest::Error, base: &Url) -> Error {
    // It is another URL's where the service has answered with a redirect, which then could not be followed.
    let unmade = error.is_builder() && error.url().is_none_or(|url| url.origin() == base.origin());
    if error.is_connect() || unmade {
        let mut scheme_refused = false;
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            scheme_refused |= inner.to_string().contains("scheme is not http");
            cause = inner.source();
        }
        if base.scheme() == "https" && scheme_refused {
            let message = format!(
                "{base} needs TLS, which this client lacks: turn on a TLS feature of reqwest, or give a client of your own"
            );
            return Error::internal(message).with_origin(Origin::NotSent).with_source(error);
        }
        return Error::unavailable("cannot connect to the service").with_origin(Origin::NotSent).with_source(error);
    }
    if error.is_timeout() {
        return Error::deadline_exceeded("no answer within the client's limit").with_source(error);
    }
    if is_unsent(&error) {
        return Error::unavailable("the connection ended before the request was sent")
            .with_origin(Origin::NotSent)
            .with_source(error);
    }
    Error::unavailable("the call broke off").with_source(error)
}
