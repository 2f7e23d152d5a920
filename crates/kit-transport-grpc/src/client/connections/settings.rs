//! What holds for the connections of a client, and where they go.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use http::uri::{Authority, Scheme, Uri};
use hyper_util::client::legacy::connect::HttpConnector;

#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::BuildError;

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) count: NonZeroUsize,
    pub(super) connect_timeout: Duration,
    pub(super) tcp_user_timeout: Option<Duration>,
    pub(super) keep_alive: Option<Duration>,
    pub(super) keep_alive_timeout: Duration,
    pub(super) max_age: Option<Duration>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<std::sync::Arc<tokio_rustls::rustls::ClientConfig>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            count: NonZeroUsize::MIN,
            connect_timeout: Duration::from_secs(10),
            tcp_user_timeout: Some(Duration::from_secs(10)),
            // Servers of gRPC want 5 minutes; a clock or network that is unsteady may not make it less.
            keep_alive: Some(Duration::from_secs(310)),
            keep_alive_timeout: Duration::from_secs(20),
            max_age: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

/// One service, and how it is reached.
pub(super) struct Target {
    pub(super) uri: Uri,
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

impl Settings {
    /// # Errors
    /// The scheme does not fit the settings, or the host can have no certificate.
    pub(super) fn target(&self, service: &Uri) -> Result<Target, BuildError> {
        let wrong = |why: &str| BuildError::new(format!("cannot connect to {service}: {why}"));
        let (Some(scheme), Some(authority)) = (service.scheme(), service.authority()) else {
            return Err(wrong("want http://host:port or https://host:port"));
        };
        #[cfg(feature = "tls")]
        let tls = match (scheme == &Scheme::HTTPS, &self.tls) {
            (false, None) => None,
            (true, Some(config)) => Some(
                Tls::new(config, authority.host())
                    .map_err(|error| wrong("its host can have no certificate").because(error))?,
            ),
            (true, None) => return Err(wrong("https needs connections with a TLS configuration, by Connections::tls")),
            // It was meant to be secret.
            (false, Some(_)) => return Err(wrong("http is without TLS, and the connections have a TLS configuration")),
        };
        #[cfg(not(feature = "tls"))]
        if scheme == &Scheme::HTTPS {
            return Err(wrong("https needs the feature `tls` of kit-transport-grpc, and Connections::tls"));
        }
        Ok(Target {
            uri: service.clone(),
            scheme: scheme.clone(),
            authority: authority.clone(),
            #[cfg(feature = "tls")]
            tls,
        })
    }

    pub(super) fn connector(&self) -> HttpConnector {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        // With it, several addresses of a name share the time.
        connector.set_connect_timeout(Some(self.connect_timeout));
        if let Some(timeout) = self.tcp_user_timeout {
            let second = Duration::from_secs(1);
            connector.set_keepalive(Some(timeout.max(second)));
            connector.set_keepalive_interval(Some((timeout / 2).max(second)));
            #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
            connector.set_tcp_user_timeout(Some(timeout));
            // Without that limit, as many probes as fit into the time again.
            #[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
            connector.set_keepalive_retries(Some(2));
        }
        connector
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Settings");
        debug.field("count", &self.count).field("connect_timeout", &self.connect_timeout);
        debug.field("tcp_user_timeout", &self.tcp_user_timeout).field("keep_alive", &self.keep_alive);
        debug.field("keep_alive_timeout", &self.keep_alive_timeout).field("max_age", &self.max_age);
        // A configuration holds keys.
        #[cfg(feature = "tls")]
        debug.field("tls", &self.tls.is_some());
        debug.finish()
    }
}
