//! An endpoint as a tower service.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use crate::Endpoint;

/// A boxed future, as tower services name it.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An endpoint as a tower service: always ready, one box a call, clones share the endpoint.
///
/// Load shedding and balancing, which live by readiness, belong inside of it.
#[derive(Debug)]
pub struct IntoService<E> {
    endpoint: Arc<E>,
}

impl<E> IntoService<E> {
    /// A service from this endpoint.
    pub fn new(endpoint: E) -> Self {
        Self { endpoint: Arc::new(endpoint) }
    }
}

impl<E> Clone for IntoService<E> {
    fn clone(&self) -> Self {
        Self { endpoint: Arc::clone(&self.endpoint) }
    }
}

impl<Req: Send + 'static, E: Endpoint<Req> + 'static> Service<Req> for IntoService<E> {
    type Response = E::Response;
    type Error = E::Error;
    type Future = BoxFuture<Result<E::Response, E::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let endpoint = Arc::clone(&self.endpoint);
        Box::pin(async move { endpoint.call(req).await })
    }
}
