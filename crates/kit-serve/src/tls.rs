//! TLS on a listener.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// How a listener speaks TLS: a rustls configuration, which can be replaced while the server runs. Clones are handles
/// on the same one.
///
/// The configuration is the program's: certificates, versions, whether clients must show a certificate, and the
/// provider of the cryptography, of which this crate brings none. Only if it names no protocols
/// (`alpn_protocols` is empty), `h2` and `http/1.1` are offered.
///
/// A client that agrees on a protocol is held to it; one that does not ask may speak either. The certificates of a
/// client that rustls has verified are in [`kit_base::Peer::tls`] of its requests.
#[derive(Clone)]
pub struct Tls(Arc<RwLock<Arc<ServerConfig>>>);

impl Tls {
    /// Speaks TLS as this configuration says.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(RwLock::new(offering(config))))
    }

    /// Takes another configuration, as for a renewed certificate: handshakes that begin from here on use it,
    /// connections that are open stay as they are.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = offering(config);
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn offering(mut config: Arc<ServerConfig>) -> Arc<ServerConfig> {
    if config.alpn_protocols.is_empty() {
        Arc::make_mut(&mut config).alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    config
}

impl From<Arc<ServerConfig>> for Tls {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self::new(config)
    }
}

impl From<ServerConfig> for Tls {
    fn from(config: ServerConfig) -> Self {
        Self::new(Arc::new(config))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A configuration holds keys.
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
