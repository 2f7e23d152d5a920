//! What several modules use.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use kit_base::Instance;
use kit_lb_tower::Discovered;
use tower::discover::Change;

/// An instance at this address.
pub(crate) fn instance(id: &str, address: &str) -> Instance {
    Instance::new(id, address)
}

/// A factory of services that are the address of their instance.
pub(crate) fn address(instance: &Instance) -> Result<String, Infallible> {
    Ok(instance.address.clone())
}

/// All changes that are there now: `+id=service` and `-id`.
pub(crate) fn changes(discovered: &mut Discovered<String>) -> Vec<String> {
    std::iter::from_fn(|| next(discovered)).collect()
}

/// The next change, if it is there now.
pub(crate) fn next(discovered: &mut Discovered<String>) -> Option<String> {
    match Pin::new(discovered).poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(Change::Insert(id, service)))) => Some(format!("+{id}={service}")),
        Poll::Ready(Some(Ok(Change::Remove(id)))) => Some(format!("-{id}")),
        Poll::Pending => None,
        Poll::Ready(Some(Err(never))) => match never {},
        Poll::Ready(None) => panic!("the stream has ended"),
    }
}
