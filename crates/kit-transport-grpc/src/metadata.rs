//! Metadata: values of `-bin` keys, and the names that belong to the transport. Source: gRPC over HTTP/2,
//! "Custom-Metadata".

use base64::Engine as _;
use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};
use kit_base::Error;

use crate::status::BASE64;

/// A value for a key that ends in `-bin`: any bytes, as they go onto the wire. Go kit's `EncodeKeyValue` encodes them
/// twice; this does it once, and the transport sends values as they are.
///
/// ```
/// use http::HeaderMap;
/// use kit_transport_grpc::{binary_value, binary_values};
///
/// let mut metadata = HeaderMap::new();
/// metadata.append("key-bin", binary_value(&[0, 1, 255]));
/// assert_eq!(metadata["key-bin"], "AAH/");
/// assert_eq!(binary_values(&metadata, "key-bin")?, [&[0, 1, 255][..]]);
/// # Ok::<(), kit_base::Error>(())
/// ```
#[doc(alias = "EncodeKeyValue")]
#[must_use]
pub fn binary_value(bytes: &[u8]) -> HeaderValue {
    // The alphabet of base64 is one of headers.
    HeaderValue::try_from(BASE64.encode(bytes)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The values of a key that ends in `-bin`, in their order; several may have come as one, joined by commas.
///
/// # Errors
/// [`Kind::InvalidArgument`](kit_base::Kind::InvalidArgument) for a value that is no base64, with padding or without.
pub fn binary_values(metadata: &HeaderMap, key: &str) -> Result<Vec<Bytes>, Error> {
    let values = metadata.get_all(key).into_iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let decoded = values.map(|value| {
        let value = value.trim_ascii();
        BASE64.decode(value).map(Bytes::from).map_err(|error| {
            let value = String::from_utf8_lossy(&value[..value.len().min(64)]);
            let message = format!("metadata {key:?} has the value {value:?}, which is not base64");
            Error::invalid_argument(message).with_source(error)
        })
    });
    decoded.collect()
}

/// The content type of requests and answers.
pub(crate) const APPLICATION_GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// What belongs to the transport or to one connection. A method that copies the headers of another service brings it along.
/// Source: RFC 9113, section 8.2.2; gRPC over HTTP/2, "Requests".
const OURS: [HeaderName; 11] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::TE,
    header::HOST,
    header::CONNECTION,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Whether metadata of this name is the user's to send. Names that begin with `grpc-` are gRPC's, but for those that
/// libraries put there for users.
fn is_users(name: &HeaderName) -> bool {
    const USERS: [&str; 3] = ["grpc-trace-bin", "grpc-tags-bin", "grpc-previous-rpc-attempts"];
    let text = name.as_str();
    !OURS.contains(name) && (!text.starts_with("grpc-") || USERS.contains(&text))
}

/// Whether peers can read the metadata: some end the whole call for a `-bin` value that is no base64.
///
/// # Errors
/// `Internal`: it is this side's mistake.
#[cfg(feature = "server")]
pub(crate) fn check(metadata: &HeaderMap) -> Result<(), Error> {
    for name in metadata.keys().filter(|name| name.as_str().ends_with("-bin") && is_users(name)) {
        binary_values(metadata, name.as_str()).map_err(|error| {
            Error::internal(format!("{}: make it by `binary_value`", error.message())).with_source(error)
        })?;
    }
    Ok(())
}

/// Puts metadata of the user over what is there.
pub(crate) fn put_over(headers: &mut HeaderMap, metadata: &HeaderMap) {
    for name in metadata.keys().filter(|name| is_users(name)) {
        headers.remove(name);
        for value in metadata.get_all(name) {
            // A map that has no room left is far beyond what any peer takes, and to panic would not help.
            let _ = headers.try_append(name, value.clone());
        }
    }
}

/// The metadata of the peer alone, without what the transport has put beside it.
#[cfg(feature = "client")]
pub(crate) fn of_peer(mut headers: HeaderMap) -> HeaderMap {
    let foreign: Vec<_> = headers.keys().filter(|name| !is_users(name)).cloned().collect();
    for name in foreign {
        headers.remove(name);
    }
    headers
}
