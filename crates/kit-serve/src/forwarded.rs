//! The address of a client behind proxies of HTTP.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::header::{FORWARDED, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::networks::TrustedProxies;

/// The one header that the trusted proxies set or append to. Exactly one, because a proxy passes the other on as the
/// client sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `Forwarded`, of which the parameter `for` is read. Source: RFC 7239.
    Forwarded,
    /// `X-Forwarded-For`.
    XForwardedFor,
}

/// Whom to ask for the client's address, and in which header.
#[derive(Clone, Debug)]
pub(crate) struct Forwarding {
    pub(crate) proxies: TrustedProxies,
    pub(crate) header: ForwardedHeader,
}

impl Forwarding {
    /// The address that the proxies tell: that of the first hop from the right that is none of them. What stands left
    /// of it is whatever that hop liked to send. A hop without a readable address ends the way at the one before.
    pub(crate) fn client(&self, headers: &HeaderMap) -> Option<SocketAddr> {
        let (name, read): (_, fn(&str) -> Option<SocketAddr>) = match self.header {
            ForwardedHeader::Forwarded => (FORWARDED, for_parameter),
            ForwardedHeader::XForwardedFor => (HeaderName::from_static("x-forwarded-for"), node),
        };
        let mut client = None;
        for value in headers.get_all(name).iter().rev() {
            // Empty elements do not count (RFC 9110, 5.6.1.2).
            for hop in from_right(value, b',').map(str::trim).filter(|hop| !hop.is_empty()) {
                let Some(addr) = read(hop) else { return client };
                client = Some(addr);
                if !self.proxies.trusts(addr.ip()) {
                    return client;
                }
            }
        }
        client
    }
}

/// The value's elements between separators that are not in quotes, from the right: so what the last proxy has written
/// is read right whatever stands before it. A value with strange bytes has one element, which is no address.
fn from_right(value: &HeaderValue, separator: u8) -> impl Iterator<Item = &str> {
    split_right(value.to_str().unwrap_or("?"), separator)
}

fn split_right(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut quoted = false;
        let cut = text.bytes().rposition(|byte| {
            quoted ^= byte == b'"';
            byte == separator && !quoted
        });
        let Some(cut) = cut else { return rest.take() };
        rest = Some(&text[..cut]);
        Some(&text[cut + 1..])
    })
}

/// The address in the one parameter `for` of an element of `Forwarded`.
fn for_parameter(element: &str) -> Option<SocketAddr> {
    let mut values = split_right(element, b';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    node(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// An address, with port or without, IPv6 in brackets or (as `X-Forwarded-For` has it) bare.
fn node(text: &str) -> Option<SocketAddr> {
    if let Ok(addr) = text.parse() {
        return Some(addr);
    }
    // A port may be obfuscated (RFC 7239, 6.2), which says as much as none.
    let host = text.split_once(":_").map_or(text, |(host, _)| host);
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let ip = match bracketed {
        Some(host) => IpAddr::V6(host.parse::<Ipv6Addr>().ok()?),
        None => host.parse().ok()?,
    };
    Some(SocketAddr::new(ip, 0))
}
