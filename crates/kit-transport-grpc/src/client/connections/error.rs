//! Why a call over connections got no answer.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use http::uri::Authority;

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
    /// The connection was closed before the request went out.
    Unsent,
    /// The call ended before its answer did.
    Broken,
}

impl ConnectionError {
    fn new(authority: &Authority, what: What, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { authority: authority.clone(), what, source: Arc::from(source.into()) }
    }

    pub(super) fn connect(authority: &Authority, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(authority, What::Connect, source)
    }

    pub(super) fn unsent(authority: &Authority, source: hyper::Error) -> Self {
        Self::new(authority, What::Unsent, source)
    }

    pub(super) fn broken(authority: &Authority, source: hyper::Error) -> Self {
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

    /// Whether the request surely was not sent: no connection was made, or it closed before.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.what != What::Broken
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::Connect => "no connection can be made to",
            What::Unsent => "the request was not sent, as the connection was closed to",
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
