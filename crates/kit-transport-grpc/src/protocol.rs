//! Errors of the protocol itself, whose texts the peer may see whatever their kind.

use std::borrow::Cow;

use std::error::Error as StdError;
use std::fmt;

use kit_base::{Error, Kind};
use prost::DecodeError;

/// The reason of an error that stands for a breach of the protocol by the peer.
pub(crate) const PROTOCOL: &str = "GRPC_PROTOCOL";

/// The same of an error by the service that a client of this crate has called: no business of whoever calls this process.
#[cfg(feature = "client")]
pub(crate) const ANSWER: &str = "GRPC_MALFORMED_ANSWER";

/// The peer has broken the rules of gRPC. `Internal`, as gRPC wants it. Source: gRPC, "Status codes and their use".
pub(crate) fn broken(what: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Kind::Internal, what).with_reason(PROTOCOL).with_source(Breach)
}

/// The peer has sent none or two of what the method has one of. Source: as above, "cardinality violation".
pub(crate) fn miscounted(what: &'static str) -> Error {
    Error::unimplemented(what).with_reason(PROTOCOL).with_source(Breach)
}

/// Whether the error is one of those. The reason alone does not say it: a service behind this one may have sent it, with a text
/// that is no business of whoever calls this process.
pub(crate) fn is_breach(error: &Error) -> bool {
    let marked = |source: &(dyn StdError + 'static)| source.is::<Breach>() || source.is::<DecodeError>();
    error.reason() == Some(PROTOCOL) && error.source().is_some_and(marked)
}

/// The mark of those errors, as their source, where it is not that of prost.
#[derive(Debug)]
struct Breach;

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the peer has broken the rules of gRPC")
    }
}

impl StdError for Breach {}
