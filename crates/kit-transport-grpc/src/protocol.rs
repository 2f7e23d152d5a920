//! Errors of the protocol itself, whose texts the peer may see whatever their kind.

use std::borrow::Cow;

use kit_base::{Error, Kind};

/// The reason of an error that stands for a breach of the protocol by the peer.
pub(crate) const PROTOCOL: &str = "GRPC_PROTOCOL";

/// The same of an error by the service that a client of this crate has called: no business of whoever calls this process.
#[cfg(feature = "client")]
pub(crate) const ANSWER: &str = "GRPC_MALFORMED_ANSWER";

/// The peer has broken the rules of gRPC. `Internal`, as gRPC wants it. Source: gRPC, "Status codes and their use".
pub(crate) fn broken(what: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Kind::Internal, what).with_reason(PROTOCOL)
}

/// The peer has sent none or two of what the method has one of. Source: as above, "cardinality violation".
pub(crate) fn miscounted(what: &'static str) -> Error {
    Error::unimplemented(what).with_reason(PROTOCOL)
}
