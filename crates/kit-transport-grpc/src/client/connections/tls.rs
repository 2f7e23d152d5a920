//! TLS on connections.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio_rustls::rustls::{self, ClientConfig};

/// How TLS is spoken to one host.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// # Errors
    /// The host is neither a name nor an address.
    pub(super) fn new(config: &Arc<ClientConfig>, host: &str) -> Result<Self, InvalidDnsNameError> {
        // An address of IPv6 stands in brackets in a URL.
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned())?;
        Ok(Self { connector: TlsConnector::from(Arc::clone(config)), name })
    }

    pub(super) async fn shake_hands<T: AsyncRead + AsyncWrite + Unpin>(&self, stream: T) -> io::Result<TlsStream<T>> {
        let stream = self.connector.connect(self.name.clone(), stream).await.map_err(|error| {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
            match cause {
                Some(rustls::Error::InvalidMessage(_)) => {
                    io::Error::new(io::ErrorKind::InvalidData, format!("the server does not speak TLS: {error}"))
                }
                Some(_) | None => error,
            }
        })?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Ok(stream),
            // Source: gRPC over HTTP/2, "Security".
            other => {
                let other = other.map_or("none".into(), String::from_utf8_lossy);
                let what = format!("the server does not agree on the protocol h2 (ALPN), but on {other}");
                Err(io::Error::new(io::ErrorKind::InvalidData, what))
            }
        }
    }
}

pub(super) fn offering(mut config: Arc<ClientConfig>) -> Arc<ClientConfig> {
    if config.alpn_protocols.is_empty() {
        Arc::make_mut(&mut config).alpn_protocols = vec![b"h2".to_vec()];
    }
    config
}
