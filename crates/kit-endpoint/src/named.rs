//! An endpoint that has a name wherever it is called from.

use std::future::Future;
use std::mem;

use kit_base::{Endpoint, Operation, Request};

/// An endpoint that names the operation of calls that have none; see [`EndpointExt::named`](crate::EndpointExt::named).
#[derive(Clone, Debug)]
pub struct Named<E> {
    inner: E,
    operation: Operation,
}

impl<E> Named<E> {
    /// An endpoint with this name.
    #[must_use]
    pub const fn new(inner: E, operation: Operation) -> Self {
        Self { inner, operation }
    }

    /// The endpoint inside.
    #[must_use]
    pub const fn get_ref(&self) -> &E {
        &self.inner
    }
}

impl<T, S, E: Endpoint<Request<T, S>>> Endpoint<Request<T, S>> for Named<E> {
    type Response = E::Response;
    type Error = E::Error;

    const PASSES_READINESS: bool = E::PASSES_READINESS;

    fn call(&self, mut req: Request<T, S>) -> impl Future<Output = Result<E::Response, E::Error>> + Send {
        if *req.context().operation() == Operation::UNMATCHED {
            let context = mem::take(req.context_mut()).with_operation(self.operation.clone());
            *req.context_mut() = context;
        }
        self.inner.call(req)
    }
}
