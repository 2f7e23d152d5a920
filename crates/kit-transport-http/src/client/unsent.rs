//! Requests that surely did not begin: how they are told from others, and given back.

use std::error::Error as StdError;

use hyper_util::client::legacy;
use kit_base::{Error, Kind, Origin};

/// The error with the request, where another instance may take it: nobody has seen it, and it is not at fault itself.
pub(super) fn giving_back<R: Send + 'static>(error: Error, request: R) -> Error {
    match (error.origin(), error.kind()) {
        (Origin::NotSent, Kind::Unavailable) => error.with_unsent(request),
        _ => error,
    }
}

/// Whether nothing of a request that got no answer was written, or its peer says that it has not begun it.
pub(super) fn is_unsent(error: &reqwest::Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        // It names the connection once it has one that is ready.
        let unconnected = cause.downcast_ref::<legacy::Error>().is_some_and(|error| error.connect_info().is_none());
        // The connection took the request, and was closed before it wrote it.
        let unwritten = cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled);
        if unconnected || unwritten || is_untaken(cause) {
            return true;
        }
        next = cause.source();
    }
    false
}

/// Whether the peer refused the stream, or it is none of those that a `GOAWAY` says it has seen. Source: RFC 9113, sections 6.8
/// and 8.7.
#[cfg(feature = "http2")]
fn is_untaken(cause: &(dyn StdError + 'static)) -> bool {
    cause.downcast_ref::<h2::Error>().is_some_and(|error| {
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (refused || error.is_go_away())
    })
}

#[cfg(not(feature = "http2"))]
fn is_untaken(_: &(dyn StdError + 'static)) -> bool {
    false
}
