//! Who is at the other end of the connection.

use std::net::SocketAddr;
use std::sync::Arc;

/// The other end of a connection, written into the extensions of a request by whoever serves it, and read by policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Peer {
    /// The address, where the connection has one (a Unix socket has none).
    pub addr: Option<SocketAddr>,
    /// What TLS has proved about the peer, if it showed a certificate.
    pub tls: Option<Arc<TlsIdentity>>,
}

impl From<SocketAddr> for Peer {
    fn from(addr: SocketAddr) -> Self {
        Self { addr: Some(addr), tls: None }
    }
}

/// What a verified client or server certificate says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TlsIdentity {
    /// The certificate chain in DER, the peer's own certificate first.
    pub certificates: Vec<Vec<u8>>,
}

impl TlsIdentity {
    /// An identity from a verified chain in DER, the peer's own certificate first.
    pub fn new(certificates: Vec<Vec<u8>>) -> Self {
        Self { certificates }
    }
}
