//! Free loopback ports.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use tokio::net::TcpSocket;

/// A listener on a free port of 127.0.0.1.
///
/// This is the way without any race: the port is taken from the start. Hand the listener to the server under test, or
/// ask it for its [`local_addr`](TcpListener::local_addr). For tokio, call
/// [`set_nonblocking`](TcpListener::set_nonblocking) and `tokio::net::TcpListener::from_std`.
///
/// # Errors
///
/// When the system has no port left.
pub fn listener() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}

/// Reserves a free port of 127.0.0.1 for a program that wants a number.
///
/// ```
/// use std::net::{TcpListener, TcpStream};
///
/// let port = kit_testing::ports::free_port()?;
/// assert!(TcpStream::connect(port.addr()).is_err(), "nobody listens yet");
///
/// # if cfg!(target_os = "linux") {
/// let server = TcpListener::bind(port.addr())?; // a server program, as a rule
/// assert!(TcpStream::connect(port.addr()).is_ok());
/// # drop(server); }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// When the system has no port left.
pub fn free_port() -> io::Result<FreePort> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let addr = socket.local_addr()?;
    Ok(FreePort { addr, socket: cfg!(target_os = "linux").then_some(socket) })
}

/// A port number that nobody else is given while this value lives.
///
/// On Linux it holds a socket that is bound and does not listen: connections to it are refused, the kernel gives the
/// port to nobody who asks for any port, in this process or another, and a server that asks for this port gets it,
/// provided that it sets `SO_REUSEADDR`, as servers do (std, tokio, Go, Java and Erlang by default). For one that does
/// not, call [`release`](Self::release) first.
///
/// Elsewhere the port is merely free when it is returned: whoever asks in the time until the server binds it may be
/// given the same one.
#[derive(Debug)]
pub struct FreePort {
    addr: SocketAddr,
    socket: Option<TcpSocket>,
}

impl FreePort {
    /// The number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.addr.port()
    }

    /// The address, on 127.0.0.1.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Gives the reservation up and returns the number. From here on it is a race, if a short one.
    #[must_use]
    pub fn release(mut self) -> u16 {
        self.socket = None;
        self.number()
    }
}
