//! One port, or one file, to listen on.

use std::fmt;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

use crate::door::Door;
use crate::error::BindError;
use crate::networks::TrustedProxies;
use crate::socket::Socket;
#[cfg(feature = "tls")]
use crate::tls::Tls;
#[cfg(unix)]
use crate::unix::UnixBound;

/// How many connections that waited in the operating system's queue are still taken at the stop; as many as the queue
/// of tokio's listener holds.
const LAST_CALL: usize = 1024;

/// How long a connection is silent before it is asked whether its client is still there, as in Go; how often it is asked
/// then is the operating system's choice (Linux: nine times, every 75 s), which not all of them let a program make.
const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new().with_time(Duration::from_secs(15));

/// One port, or one Unix socket, with the settings that hold for its connections. A [`Server`](crate::Server) takes
/// any number of them.
///
/// It listens from the moment it is made; clients that connect before the server serves wait in the operating system's
/// queue.
#[derive(Debug)]
#[must_use = "a listener accepts nothing until a server serves"]
pub struct Listener {
    bound: Bound,
    pub(crate) door: Door,
}

#[derive(Debug)]
enum Bound {
    Tcp {
        listener: TcpListener,
        addr: SocketAddr,
    },
    #[cfg(unix)]
    Unix(UnixBound),
}

impl Listener {
    /// Listens on an address, for example `"127.0.0.1:8081"`; port 0 takes a free one. Of several addresses (a name
    /// that resolves to more than one) it takes the first that works.
    ///
    /// Its connections have TCP's keep-alive, as in Go: a client that has vanished without a word (its machine, or the way
    /// to it) while a request runs, or its WebSocket is open, is noticed after some minutes of silence, not never.
    ///
    /// # Errors
    ///
    /// When none of the addresses can be listened on.
    pub async fn bind(addr: impl ToSocketAddrs + fmt::Debug) -> Result<Self, BindError> {
        let listener = match TcpListener::bind(&addr).await {
            Ok(listener) => {
                // Inherited by the connections. A system that refuses it works too.
                let _ = SockRef::from(&listener).set_tcp_keepalive(&KEEP_ALIVE);
                Self::from_tcp(listener)
            }
            Err(error) => Err(error),
        };
        listener.map_err(|error| BindError::new(format!("{addr:?}"), error))
    }

    /// A listener made elsewhere: with other socket options (none are set here, so keep-alive is yours to choose), or handed over by a supervisor (a
    /// `std::net::TcpListener` becomes one by `tokio::net::TcpListener::from_std`, after `set_nonblocking(true)`).
    ///
    /// # Errors
    ///
    /// When the operating system does not tell the listener's address.
    pub fn from_tcp(listener: TcpListener) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        Ok(Self { bound: Bound::Tcp { listener, addr }, door: Door::default() })
    }

    /// Listens on a Unix socket: a file of this path, which is removed when the server stops or this is dropped.
    ///
    /// A socket file that a dead server has left behind is replaced; whether it is dead is found out by connecting to
    /// it. Who may connect is decided by the file's permissions and its folder's; they are the operating system's
    /// defaults. Its clients have no address: see [`TrustedProxies::and_unix`](crate::TrustedProxies::and_unix).
    ///
    /// # Errors
    ///
    /// When a live server listens there ([`io::ErrorKind::AddrInUse`]), when the path is a file that is no socket
    /// ([`io::ErrorKind::AlreadyExists`]), and when the operating system refuses. The error shows the path.
    #[cfg(unix)]
    pub async fn unix(path: impl AsRef<Path>) -> Result<Self, BindError> {
        let path = path.as_ref();
        match UnixBound::bind(path).await {
            Ok(bound) => Ok(Self { bound: Bound::Unix(bound), door: Door::default() }),
            Err(error) => Err(BindError::new(path.display().to_string(), error)),
        }
    }

    /// A Unix listener made elsewhere. Its file is whoever made it's to remove.
    #[cfg(unix)]
    pub fn from_unix(listener: tokio::net::UnixListener) -> Self {
        Self { bound: Bound::Unix(UnixBound::from(listener)), door: Door::default() }
    }

    /// Speaks TLS on this listener: a [`Tls`], or the `Arc<rustls::ServerConfig>` to make one of.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: impl Into<Tls>) -> Self {
        self.door.tls = Some(tls.into());
        self
    }

    /// Expects the header of the PROXY protocol, version 1 or 2, at the beginning of each connection from these
    /// proxies, and takes the client's address from it. Before TLS, if that is spoken.
    ///
    /// From them it is required: a connection without it is closed. From everyone else it is not looked for, so that
    /// what they send is their own, and nobody can claim an address. It must come within
    /// [`head_timeout`](crate::Server::head_timeout), and be no longer than 4 KiB. A proxy's own connection (`LOCAL`,
    /// `UNKNOWN`, as health checks use) keeps its real address, and so does one that is not TCP.
    ///
    /// Source: the PROXY protocol's specification, haproxy.org, `proxy-protocol.txt`.
    #[doc(alias = "accept-proxy")]
    pub fn proxy_protocol(mut self, from: TrustedProxies) -> Self {
        self.door.proxies = Some(from);
        self
    }

    /// The address that clients can connect to; none for a Unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.bound {
            Bound::Tcp { addr, .. } => Some(*addr),
            #[cfg(unix)]
            Bound::Unix(_) => None,
        }
    }

    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Socket, Option<SocketAddr>)>> {
        match &self.bound {
            Bound::Tcp { listener, .. } => {
                listener.poll_accept(cx).map_ok(|(stream, addr)| (Socket::from(stream), Some(addr)))
            }
            #[cfg(unix)]
            Bound::Unix(bound) => bound.poll_accept(cx).map_ok(|stream| (Socket::from(stream), None)),
        }
    }

    /// Takes the connections that wait in the operating system's queue, then closes the port. The runtime may not have
    /// heard of all of them, so this does not ask it.
    pub(crate) fn into_waiting(self) -> Box<dyn Iterator<Item = (Socket, Option<SocketAddr>)> + Send> {
        match self.bound {
            Bound::Tcp { listener, .. } => {
                let listener = listener.into_std();
                let next = move || {
                    let (stream, addr) = listener.as_ref().ok()?.accept().ok()?;
                    stream.set_nonblocking(true).ok()?;
                    Some((Socket::from(TcpStream::from_std(stream).ok()?), Some(addr)))
                };
                Box::new(std::iter::from_fn(next).take(LAST_CALL))
            }
            #[cfg(unix)]
            Bound::Unix(bound) => {
                Box::new(bound.into_waiting().take(LAST_CALL).map(|stream| (Socket::from(stream), None)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::Listener;

    #[tokio::test]
    async fn connections_notice_that_their_client_has_vanished() {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let _client = tokio::net::TcpStream::connect(addr).await.unwrap();
        let (socket, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        assert!(socket.try_clone().unwrap().keepalive().unwrap());
    }
}
