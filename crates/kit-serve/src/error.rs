//! What can go wrong: at binding, and later while serving.

use std::error::Error;
use std::{fmt, io};

/// Any error of the served service or its body.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The address, or the path, cannot be listened on: in use, not ours, not allowed, or no such thing at all.
#[derive(Debug)]
pub struct BindError {
    addr: String,
    source: io::Error,
}

impl BindError {
    pub(crate) fn new(addr: String, source: io::Error) -> Self {
        Self { addr, source }
    }

    /// The kind of the operating system's error, for example [`io::ErrorKind::AddrInUse`].
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}", self.addr)
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// The error of a request's body that comes more slowly than [`Server::body_rate`](crate::Server::body_rate) allows.
/// The fitting answer is 408. Its source is an [`io::Error`] of the kind [`TimedOut`](io::ErrorKind::TimedOut), for
/// those who read bodies without knowing who serves them.
#[derive(Debug)]
pub struct BodyTooSlow {
    source: io::Error,
}

impl BodyTooSlow {
    pub(crate) fn new() -> Self {
        Self { source: io::ErrorKind::TimedOut.into() }
    }
}

impl fmt::Display for BodyTooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body of the request comes too slowly")
    }
}

impl Error for BodyTooSlow {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Something that went wrong while serving, told to the hook of
/// [`Server::on_problem`](crate::Server::on_problem). The server goes on after each of them.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// No connection could be accepted, for example because the process has no file descriptor left. The server
    /// pauses (5 ms, doubling up to 1 s) and tries again.
    Accept(io::Error),
    /// The service returned an error instead of a response. The client got a 500.
    Service(BoxError),
    /// The service, or the body of its response, panicked; with the panic's message. The client got a 500 or,
    /// where the head was sent already, a broken answer.
    Panic(String),
    /// The body of a response failed after its head was sent. The client got a broken answer.
    Body(BoxError),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept(_) => f.write_str("no connection could be accepted"),
            Self::Service(_) => f.write_str("the service returned an error"),
            Self::Panic(message) => write!(f, "the service panicked: {message}"),
            Self::Body(_) => f.write_str("the body of a response failed"),
        }
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Accept(error) => Some(error),
            Self::Service(error) | Self::Body(error) => Some(error.as_ref()),
            Self::Panic(_) => None,
        }
    }
}
