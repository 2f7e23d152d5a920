//! Why a call over connections got no answer.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use http::uri::Authority;

use super::pulse::Pulse;
use crate::client::BoxError;

/// Why a call over [`Connections`](crate::Connections) got no answer, or none to its end: with the address, and the cause
/// [behind it](StdError::source).
#[derive(Clone, Debug)]
pub struct ConnectionError {
    authority: Authority,
    what: What,
    source: Arc<dyn StdError + Send + Sync>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// No connection was made.
    Connect,
    /// The server did not take the request.
    Unsent,
    /// The call ended before its answer did.
    Broken,
}

impl ConnectionError {
    fn new(authority: &Authority, what: What, source: impl Into<BoxError>) -> Self {
        Self { authority: authority.clone(), what, source: Arc::from(source.into()) }
    }

    pub(super) fn connect(authority: &Authority, source: impl Into<BoxError>) -> Self {
        Self::new(authority, What::Connect, source)
    }

    pub(super) fn unsent(authority: &Authority, source: impl Into<BoxError>) -> Self {
        Self::new(authority, What::Unsent, source)
    }

    pub(super) fn broken(authority: &Authority, source: h2::Error, connection: &Pulse) -> Self {
        if connection.is_lost() {
            let source = io::Error::new(io::ErrorKind::TimedOut, "the peer did not answer a PING in time");
            return Self::new(authority, What::Broken, source);
        }
        Self::new(authority, What::Broken, source)
    }

    /// Host and port, as in the URL.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Whether no connection was made: nothing was sent.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.what == What::Connect
    }

    /// Whether the call surely did not start: no connection was made, the server refused the stream, it ended the
    /// connection and said that it had not seen the stream, or the connection ended before anything of the call was written.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.what != What::Broken
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::Connect => "no connection can be made to",
            What::Unsent => "the request was not taken by",
            What::Broken => "the call broke off to",
        };
        write!(f, "{what} {}", self.authority)
    }
}

impl StdError for ConnectionError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
