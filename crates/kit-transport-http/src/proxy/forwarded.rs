//! What a backend is told about the client: `X-Forwarded-*`, `Forwarded` and `Via`.

use std::net::IpAddr;

use http::header::{FORWARDED, HeaderName, HeaderValue, VIA};
use http::uri::Scheme;
use http::{Extensions, HeaderMap, Version};
use kit_base::Peer;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What is told, and whom this proxy believes.
#[derive(Clone, Debug, Default)]
pub(super) struct Forwarding {
    /// What arrived is dropped: nobody before this proxy is trusted.
    pub(super) replace: bool,
    /// `Forwarded` is written too.
    pub(super) standard: bool,
    /// Whether clients speak TLS to this process, as far as nothing else is known of a request.
    pub(super) https: bool,
    /// The name for `Via`.
    pub(super) via: Option<String>,
}

impl Forwarding {
    /// Writes it into the headers for the backend.
    pub(super) fn write(
        &self,
        headers: &mut HeaderMap,
        extensions: &Extensions,
        host: Option<&HeaderValue>,
        version: Version,
    ) {
        if self.replace {
            drop_claims(headers);
        }
        let peer = extensions.get::<Peer>();
        let client = peer.and_then(|peer| peer.addr).map(|addr| addr.ip().to_canonical());
        let proto = self.proto(extensions, peer);
        if let Some(client) = client {
            append(headers, &X_FORWARDED_FOR, &client.to_string());
        }
        // The first proxy saw what the client asked for, so its word stands.
        if let (Some(host), false) = (host, headers.contains_key(X_FORWARDED_HOST)) {
            headers.insert(X_FORWARDED_HOST, host.clone());
        }
        if !headers.contains_key(X_FORWARDED_PROTO) {
            headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
        }
        if self.standard {
            if !is_closed(headers) {
                headers.remove(FORWARDED);
            }
            append(headers, &FORWARDED, &element(client, host, proto));
        }
        if let Some(name) = &self.via {
            let version = if version == Version::HTTP_10 {
                "1.0"
            } else if version == Version::HTTP_2 {
                "2"
            } else {
                "1.1"
            };
            append(headers, &VIA, &format!("{version} {name}"));
        }
    }

    fn proto(&self, extensions: &Extensions, peer: Option<&Peer>) -> &'static str {
        let https = match extensions.get::<Scheme>() {
            Some(scheme) => *scheme == Scheme::HTTPS,
            None => self.https || peer.is_some_and(|peer| peer.tls.is_some()),
        };
        if https { "https" } else { "http" }
    }
}

/// Drops what is said about a client before this proxy.
fn drop_claims(headers: &mut HeaderMap) {
    let claims =
        |name: &&HeaderName| name.as_str().starts_with("x-forwarded-") || [FORWARDED, X_REAL_IP].contains(name);
    let claims: Vec<_> = headers.keys().filter(claims).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
}

/// Whether each quoted string of what arrived as `Forwarded` ends there. One that does not would take in what is appended.
/// Source: RFC 7239, section 4, and RFC 9110, section 5.6.4.
fn is_closed(headers: &HeaderMap) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for byte in headers.get_all(FORWARDED).iter().flat_map(HeaderValue::as_bytes) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    !quoted
}

/// One more item of a list, in one line with those that are there, as Go has it: many readers look at one line only.
fn append(headers: &mut HeaderMap, name: &HeaderName, item: &str) {
    let mut lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    lines.push(item.as_bytes());
    if let Ok(list) = HeaderValue::from_bytes(&lines.join(&b", "[..])) {
        headers.insert(name, list);
    }
}

/// An element of `Forwarded`. Source: RFC 7239, section 4; section 6 for how an IPv6 address is written.
fn element(client: Option<IpAddr>, host: Option<&HeaderValue>, proto: &str) -> String {
    let client = match client {
        Some(IpAddr::V4(addr)) => addr.to_string(),
        Some(IpAddr::V6(addr)) => format!("\"[{addr}]\""),
        None => "unknown".to_owned(),
    };
    match host.and_then(|host| host.to_str().ok()).filter(|host| !host.contains(['"', '\\'])) {
        Some(host) => format!("for={client};host=\"{host}\";proto={proto}"),
        None => format!("for={client};proto={proto}"),
    }
}
