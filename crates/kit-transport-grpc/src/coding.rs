//! How messages are compressed. Source: gRPC, "Compression".

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::HeaderName};
use kit_base::Error;

#[cfg(feature = "gzip")]
use crate::frame::MESSAGE_TOO_LARGE;
#[cfg(feature = "gzip")]
use crate::protocol::broken;

pub(crate) const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub(crate) const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// What is accepted, as it is told to the peer; nothing where there is nothing but `identity`.
pub(crate) const ACCEPTED: Option<HeaderValue> =
    if cfg!(feature = "gzip") { Some(HeaderValue::from_static(Coding::KNOWN)) } else { None };

/// A way to compress messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Coding {
    #[default]
    Identity,
    #[cfg(feature = "gzip")]
    Gzip,
}

impl Coding {
    /// All that are known.
    pub(crate) const KNOWN: &str = if cfg!(feature = "gzip") { "gzip,identity" } else { "identity" };

    /// That of the messages under this head.
    ///
    /// # Errors
    /// `Unimplemented` for one that is not known here.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Error> {
        match headers.get(&GRPC_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"identity") => Ok(Self::Identity),
            #[cfg(feature = "gzip")]
            Some(b"gzip") => Ok(Self::Gzip),
            Some(other) => {
                let other = String::from_utf8_lossy(&other[..other.len().min(64)]);
                let message =
                    format!("messages compressed by {other:?} are not supported: want one of {}", Self::KNOWN);
                Err(Error::unimplemented(message).with_reason("UNSUPPORTED_CODING"))
            }
        }
    }

    /// Gzip, if the peer takes it.
    #[cfg(all(feature = "gzip", feature = "server"))]
    pub(crate) fn for_peer(headers: &HeaderMap) -> Self {
        let takes =
            |value: &HeaderValue| value.as_bytes().split(|b| *b == b',').any(|name| name.trim_ascii() == b"gzip");
        if headers.get_all(&GRPC_ACCEPT_ENCODING).iter().any(takes) { Self::Gzip } else { Self::Identity }
    }

    /// Its name in a head; nothing for `identity`.
    pub(crate) fn header(self) -> Option<HeaderValue> {
        match self {
            Self::Identity => None,
            #[cfg(feature = "gzip")]
            Self::Gzip => Some(HeaderValue::from_static("gzip")),
        }
    }

    /// The bytes, compressed, behind so many bytes of room.
    ///
    /// # Errors
    /// They are too many for a frame.
    pub(crate) fn compress(self, bytes: &[u8], room: usize) -> Result<Vec<u8>, Error> {
        match self {
            Self::Identity => Ok([&vec![0; room][..], bytes].concat()),
            #[cfg(feature = "gzip")]
            Self::Gzip => {
                use std::io::Write;
                let mut encoder = flate2::write::GzEncoder::new(vec![0; room], flate2::Compression::fast());
                let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
                let frame =
                    written.map_err(|error| Error::internal("a message cannot be compressed").with_source(error))?;
                match u32::try_from(frame.len() - room) {
                    Ok(_) => Ok(frame),
                    Err(_) => Err(Error::resource_exhausted("a compressed message is longer than 4 GiB")),
                }
            }
        }
    }

    /// The message that was compressed to these bytes. It is unpacked no further than the limit.
    ///
    /// # Errors
    /// They are no compressed message, or that of one that is too long.
    pub(crate) fn expand(self, bytes: &Bytes, limit: usize) -> Result<Bytes, Error> {
        match self {
            Self::Identity if bytes.len() > limit => Err(crate::frame::too_large(bytes.len(), limit)),
            Self::Identity => Ok(bytes.clone()),
            #[cfg(feature = "gzip")]
            Self::Gzip => {
                use std::io::Read;
                let mut message = Vec::new();
                let most = limit.saturating_add(1) as u64;
                // Of any number of members, and with nothing behind them. Source: RFC 1952, section 2.2.
                let read = flate2::read::MultiGzDecoder::new(&bytes[..]).take(most).read_to_end(&mut message);
                read.map_err(|error| broken(format!("a message cannot be decompressed: {error}")))?;
                if message.len() > limit {
                    let error = Error::resource_exhausted(format!("a message unpacks to more than {limit} bytes"));
                    return Err(error.with_reason(MESSAGE_TOO_LARGE));
                }
                Ok(message.into())
            }
        }
    }
}
