//! What stands between an accepted socket and HTTP: the header of the PROXY protocol, then TLS.

use std::net::SocketAddr;
use std::time::Duration;

use kit_base::Peer;
use tokio::time::{Instant, timeout_at};

use crate::networks::TrustedProxies;
use crate::proxy_header;
use crate::socket::Socket;
use crate::stream::Stream;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// The settings of a listener, for each connection that it accepts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Door {
    pub(crate) proxies: Option<TrustedProxies>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
}

/// A connection on which HTTP can begin.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) stream: Stream,
    pub(crate) peer: Peer,
    pub(crate) agreed: Agreed,
}

/// The protocol that TLS has agreed on (ALPN, RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreed {
    Nothing,
    #[cfg(feature = "tls")]
    Http1,
    #[cfg(feature = "tls")]
    Http2,
}

/// A connection that did not come as far; with the key of the event.
#[derive(Debug)]
pub(crate) enum Turned {
    ProxyHeader(&'static str),
    /// With the socket, if the client has been told.
    #[cfg(feature = "tls")]
    Tls(&'static str, Option<Socket>),
}

/// The key of the events for a connection that took too long.
const LATE: &str = "late";

impl Door {
    /// Lets a connection in. All of it must be done within the time of a head.
    pub(crate) async fn enter(
        &self,
        mut socket: Socket,
        addr: Option<SocketAddr>,
        limit: Duration,
    ) -> Result<Entered, Turned> {
        let mut peer = Peer::default();
        peer.addr = addr;
        let due = Instant::now() + limit;
        if self.proxies.as_ref().is_some_and(|proxies| proxies.trusts_peer(addr)) {
            let told = timeout_at(due, proxy_header::read(&mut socket)).await.unwrap_or(Err(LATE));
            peer.addr = told.map_err(Turned::ProxyHeader)?.or(addr);
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            // Boxed, because a handshake is large, and most of a connection's life is after it.
            let handshake = Box::pin(crate::handshake::shake_hands(tls, socket, peer));
            return timeout_at(due, handshake).await.unwrap_or(Err(Turned::Tls(LATE, None)));
        }
        Ok(Entered { stream: Stream::Plain(socket), peer, agreed: Agreed::Nothing })
    }
}
