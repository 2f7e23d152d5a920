//! The id of a request: taken over from the caller, or made.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries it.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, in the extensions of its context where the server gives ids
/// ([`request_id`](crate::HttpServer::request_id)).
///
/// ```
/// use kit_transport_http::{HttpServer, RequestId};
///
/// let server = HttpServer::new().request_id().finalizer(|finished| {
///     let id = finished.context.extensions().get::<RequestId>();
///     assert!(id.is_some_and(|id| !id.as_str().is_empty()));
/// });
/// # let _ = server;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id as a text of visible ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The one id that came, if it is sane, or a new one.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut given = headers.get_all(X_REQUEST_ID).iter();
        match (given.next(), given.next()) {
            (Some(id), None) if is_sane(id.as_bytes()) => Self(id.clone()),
            _ => Self::new(),
        }
    }

    /// A UUID of version 7: the time in milliseconds, and 74 random bits. Source: RFC 9562, section 5.7.
    fn new() -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64);
        let (a, b) = (fastrand::u16(..) & 0x0fff | 0x7000, fastrand::u64(..) & (u64::MAX >> 2) | 1 << 63);
        let (high, low) = (time >> 16 & 0xffff_ffff, time & 0xffff);
        let text = format!("{high:08x}-{low:04x}-{a:04x}-{:04x}-{:012x}", b >> 48, b & 0xffff_ffff_ffff);
        // It is hexadecimal, which every header can hold.
        Self(HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("unknown")))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether it can go into logs and headers as it is: 1 to 128 bytes of visible ASCII.
fn is_sane(id: &[u8]) -> bool {
    (1..=128).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}
