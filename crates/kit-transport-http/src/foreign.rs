//! The mark of a response that a client received.

/// In the extensions of such a response: its status and headers belong to the exchange with the peer, and a server that
/// answers with it sends its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Foreign;
