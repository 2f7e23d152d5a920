//! HTTP peers that no library stands in front of: exact bytes on a socket, and the real curl.

mod curl;
mod peer;

pub use self::curl::{CurlError, curl};
pub use self::peer::{Peer, raw, raw_response};
