//! How a server ended.

/// What [`Server::serve`](crate::Server::serve) says when it has stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// Connections that were still busy, or upgraded, when the time for the stop was over, and were cut.
    pub cut_connections: u64,
    /// Requests that ran on them, or whose answers were still being produced.
    pub cut_requests: u64,
}

impl Stopped {
    /// Whether every request was answered and every connection ended by itself.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.cut_connections == 0 && self.cut_requests == 0
    }
}
