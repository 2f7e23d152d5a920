//! Headers on their way through: what belongs to one connection stays behind.

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, StatusCode};
use http_body::SizeHint;

/// Headers of one connection, whether `Connection` names them or not. `Te` is looked at by itself, and `Trailer` goes
/// with the trailers. Sources: RFC 9110, section 7.6.1; Go's ReverseProxy.
static HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The items of a header that is a list, over all its lines.
pub(super) fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let items = headers.get_all(name).into_iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    items.map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}

/// Removes what belongs to the connection that the message came over.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // A length beside a transfer coding is one that somebody may believe, to cut the message elsewhere.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    if headers.contains_key(CONNECTION) {
        let named = items(headers, &CONNECTION).filter_map(|name| HeaderName::from_bytes(name).ok());
        // The host belongs to the request, whatever anybody says, and `te` is seen to below.
        let named: Vec<_> = named.filter(|name| *name != HOST && *name != TE).collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    if headers.contains_key(TE) {
        let trailers = items(headers, &TE).any(|item| item.eq_ignore_ascii_case(b"trailers"));
        headers.remove(TE);
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
}

/// Puts cookies into one line: HTTP/2 may split them, HTTP/1.1 does not know that. Source: RFC 9113, section 8.2.3.
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1 {
        // Values that were valid are so together.
        if let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
            headers.insert(COOKIE, joined);
        }
    }
}

/// Removes a length that is not that of the body, where the body knows its own. Whoever sends the body writes it anew.
pub(super) fn check_length(headers: &mut HeaderMap, body: &SizeHint) {
    let Some(exact) = body.exact() else { return };
    let says = |value: &HeaderValue| value.to_str().ok()?.parse::<u64>().ok();
    if headers.get_all(CONTENT_LENGTH).iter().any(|value| says(value) != Some(exact)) {
        headers.remove(CONTENT_LENGTH);
    }
}

/// Whether an answer has no body whatever its headers say. Source: RFC 9110, section 6.4.1.
pub(super) fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
