//! Whom a request is for, and where it ends: the rules that hyper leaves to its users.
//!
//! What stands before a server (a proxy, a cache, a filter) and the server itself must not read a request in two ways,
//! or the one can be made to pass on what the other was to refuse ("request smuggling"; RFC 9112, 11.2). All of it costs
//! some 270 instructions a request.

use http::uri::Authority;
use http::{HeaderValue, Method, Request, Version, header};
use http_body::Body;

use crate::own::Own;

/// The answer to a request whose target, host or body's end are not clear, or not what this server can do.
pub(crate) fn refusal<B: Body>(request: &Request<B>) -> Option<Own> {
    if !has_target(request) || !has_host(request) {
        return Some(Own::Unclear);
    }
    // Only a body in chunks has no upper bound; hyper has made sure that chunks are the last coding, if there are any.
    let in_chunks = request.version() < Version::HTTP_2 && request.body().size_hint().upper().is_none();
    (in_chunks && !only_chunked(request)).then_some(Own::UnknownCoding)
}

/// Makes `Host` say what the target says, if that is a whole URI: "an origin server MUST ignore the received Host header
/// field (if any) and instead use the host information of the request-target" (RFC 9112, 3.2.2). HTTP/1 only.
pub(crate) fn settle_host<B>(request: &mut Request<B>) {
    if request.version() >= Version::HTTP_2 {
        return;
    }
    let Some(authority) = request.uri().authority() else {
        return;
    };
    if request.headers().get(header::HOST).is_some_and(|host| is_same(authority, host)) {
        return;
    }
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        request.headers_mut().insert(header::HOST, host);
    }
}

/// The forms of RFC 9112, 3.2, each with the methods that may have it.
fn has_target<B>(request: &Request<B>) -> bool {
    let uri = request.uri();
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        // A user's name there is nothing but a trap for readers (RFC 9110, 4.2.4; RFC 9113, 8.3.1).
        return false;
    }
    if request.method() == Method::CONNECT {
        return uri.authority().is_some() && (uri.scheme().is_none() || request.version() >= Version::HTTP_2);
    }
    uri.path().starts_with('/') || (uri.path() == "*" && request.method() == Method::OPTIONS)
}

/// RFC 9112, 3.2, and for HTTP/2 RFC 9113, 8.3.1.
fn has_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let Some(host) = hosts.next() else {
        return request.version() != Version::HTTP_11;
    };
    let is_the_authority = || request.uri().authority().is_none_or(|authority| is_same(authority, host));
    hosts.next().is_none() && is_host(host.as_bytes()) && (request.version() < Version::HTTP_2 || is_the_authority())
}

fn is_same(authority: &Authority, host: &HeaderValue) -> bool {
    authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes())
}

/// The characters of `uri-host [ ":" port ]` (RFC 3986, 3.2.2); nothing at all is a host too.
fn is_host(host: &[u8]) -> bool {
    host.iter().all(|byte| OF_HOSTS[usize::from(*byte)])
}

/// Which bytes may stand in a host. A table, since each request has one.
const OF_HOSTS: [bool; 256] = {
    let mut table = [false; 256];
    let marks = b"-._~%!$&'()*+,;=:[]";
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut mark = 0;
    while mark < marks.len() {
        table[marks[mark] as usize] = true;
        mark += 1;
    }
    table
};

fn only_chunked<B>(request: &Request<B>) -> bool {
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    // Without any, the rest of the connection is the body's, as in an upgrade.
    codings.next().is_none_or(is_chunked) && codings.next().is_none()
}
