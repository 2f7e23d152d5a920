//! A middleware from an async function of request and next.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use kit_base::Endpoint;
use tower_layer::Layer;

/// What comes after a middleware. It may be called once, several times, or not at all; it is cheap to clone.
pub struct Next<E> {
    endpoint: Arc<E>,
}

impl<E> Next<E> {
    /// Calls what comes after.
    ///
    /// # Errors
    /// Whatever the endpoint answers.
    pub fn call<Req>(&self, req: Req) -> impl Future<Output = Result<E::Response, E::Error>> + Send
    where
        E: Endpoint<Req>,
    {
        self.endpoint.call(req)
    }
}

impl<E> Clone for Next<E> {
    fn clone(&self) -> Self {
        Self { endpoint: Arc::clone(&self.endpoint) }
    }
}

impl<E: fmt::Debug> fmt::Debug for Next<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Next").field(&self.endpoint).finish()
    }
}

/// A layer from an async function of request and [`Next`], for endpoints of one type of request.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use kit_endpoint::{Endpoint, EndpointExt, Error, Next, Request, Response, endpoint_fn, middleware_fn};
///
/// /// A second try, for all who are unlucky at the first.
/// let twice = middleware_fn(|req: Request<u32>, next: Next<_>| async move {
///     match next.call(req.clone()).await {
///         Err(_) => next.call(req).await,
///         answer => answer,
///     }
/// });
///
/// let tries = std::sync::atomic::AtomicU32::new(0);
/// let flaky = endpoint_fn(|req: Request<u32>| {
///     let first = tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
///     async move { if first { Err(Error::unavailable("not yet")) } else { Ok(Response::new(req.into_message())) } }
/// });
/// assert_eq!(flaky.layer(twice).call(Request::new(7)).await.unwrap().into_message(), 7);
/// # });
/// ```
///
/// `Next` is owned and the function is no `AsyncFn`, because stable Rust cannot say that the futures of one are
/// `Send`. An `async` closure is accepted where it lends nothing to its futures; else clone what they need and move it
/// into an `async move` block.
///
/// A function has one type of request. What stands before every method of a service is a [`Gate`](kit_base::Gate) if it
/// never waits; else it is a type of your own that implements [`Layer`], with an endpoint that implements
/// [`Endpoint`] for every `Request<T>`, or simply an implementation of the service's trait around another.
#[must_use]
pub const fn middleware_fn<Req, E, F, Fut, Res, Err>(middleware: F) -> MiddlewareFn<Req, E, F>
where
    F: Fn(Req, Next<E>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Res, Err>> + Send,
{
    MiddlewareFn { middleware, _types: PhantomData }
}

/// A layer from an async function; see [`middleware_fn`].
pub struct MiddlewareFn<Req, E, F> {
    middleware: F,
    _types: PhantomData<fn(Req, E)>,
}

impl<Req, E, F: Clone> Clone for MiddlewareFn<Req, E, F> {
    fn clone(&self) -> Self {
        Self { middleware: self.middleware.clone(), _types: PhantomData }
    }
}

impl<Req, E, F> fmt::Debug for MiddlewareFn<Req, E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MiddlewareFn").finish_non_exhaustive()
    }
}

impl<Req, E, F: Clone> Layer<E> for MiddlewareFn<Req, E, F> {
    type Service = WithMiddleware<E, F>;

    fn layer(&self, inner: E) -> WithMiddleware<E, F> {
        WithMiddleware::new(inner, self.middleware.clone())
    }
}

/// An endpoint inside an async function; see [`middleware_fn`].
pub struct WithMiddleware<E, F> {
    inner: Next<E>,
    middleware: F,
}

impl<E, F> WithMiddleware<E, F> {
    pub(crate) fn new(inner: E, middleware: F) -> Self {
        Self { inner: Next { endpoint: Arc::new(inner) }, middleware }
    }
}

impl<E, F: Clone> Clone for WithMiddleware<E, F> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), middleware: self.middleware.clone() }
    }
}

impl<E: fmt::Debug, F> fmt::Debug for WithMiddleware<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithMiddleware").field("inner", &self.inner.endpoint).finish_non_exhaustive()
    }
}

impl<Req, E, F, Fut, Res, Err> Endpoint<Req> for WithMiddleware<E, F>
where
    E: Send + Sync,
    F: Fn(Req, Next<E>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Res, Err>> + Send,
    Res: Send,
    Err: Send,
{
    type Response = Res;
    type Error = Err;

    fn call(&self, req: Req) -> impl Future<Output = Result<Res, Err>> + Send {
        (self.middleware)(req, self.inner.clone())
    }
}
