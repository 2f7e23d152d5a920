//! A tower service as an endpoint.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use tower_service::Service;

use crate::{Endpoint, ServiceError};

/// A tower service as an endpoint: each call clones the service, waits until the clone is ready, and calls it.
///
/// Waiting for readiness is part of the call, so a deadline around the endpoint bounds it. A service that must not be
/// cloned (tower's `RateLimit`, `Balance`) goes behind tower's `Buffer` first.
#[derive(Debug)]
pub struct FromService<S> {
    service: S,
    ready: Option<Mutex<Option<S>>>,
}

impl<S> FromService<S> {
    /// An endpoint from this service.
    pub fn new(service: S) -> Self {
        Self { service, ready: None }
    }

    /// An endpoint whose first call goes to this very instance, which is ready, and not to a clone.
    pub(crate) fn ready(service: S) -> Self
    where
        S: Clone,
    {
        Self { service: service.clone(), ready: Some(Mutex::new(Some(service))) }
    }

    fn take_ready(&self) -> Option<S> {
        self.ready.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<S: Clone> Clone for FromService<S> {
    fn clone(&self) -> Self {
        Self::new(self.service.clone())
    }
}

impl<Req, S> Endpoint<Req> for FromService<S>
where
    Req: Send,
    S: Service<Req, Response: Send, Error: Send, Future: Send> + Clone + Send + Sync,
{
    type Response = S::Response;
    type Error = ServiceError<S::Error>;

    const PASSES_READINESS: bool = true;

    async fn call(&self, req: Req) -> Result<S::Response, ServiceError<S::Error>> {
        if let Some(mut ready) = self.take_ready() {
            return ready.call(req).await.map_err(ServiceError::Inner);
        }
        let mut service = self.service.clone();
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(ServiceError::Inner)?;
        service.call(req).await.map_err(ServiceError::Inner)
    }
}

/// A client with request and response types of its own, as an endpoint on `http` types: `reqwest::Client`, for one.
///
/// Gates judge and guard its calls by status, head and body then, as they do any other HTTP call.
#[derive(Debug)]
pub struct FromHttpService<S, R, B> {
    inner: FromService<S>,
    _types: PhantomData<fn(R) -> B>,
}

impl<S: Service<R, Response: Into<http::Response<B>>>, R, B> FromHttpService<S, R, B> {
    /// An endpoint on `http` types from this client.
    pub fn new(service: S) -> Self {
        Self { inner: FromService::new(service), _types: PhantomData }
    }
}

impl<S: Clone, R, B> Clone for FromHttpService<S, R, B> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), _types: PhantomData }
    }
}

impl<S, R, B: Send, B2: Send> Endpoint<http::Request<B2>> for FromHttpService<S, R, B>
where
    R: TryFrom<http::Request<B2>, Error: Into<S::Error>> + Send,
    S: Service<R, Response: Into<http::Response<B>> + Send, Error: Send, Future: Send> + Clone + Send + Sync,
{
    type Response = http::Response<B>;
    type Error = ServiceError<S::Error>;

    async fn call(&self, req: http::Request<B2>) -> Result<Self::Response, Self::Error> {
        let req = R::try_from(req).map_err(|error| ServiceError::Inner(error.into()))?;
        self.inner.call(req).await.map(Into::into)
    }
}
