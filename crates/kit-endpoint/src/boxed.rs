//! An endpoint behind one type, whatever is inside.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kit_base::Endpoint;
use pin_project_lite::pin_project;

/// An endpoint whose type names request, response and error, and nothing else. Clones share it.
///
/// A call costs one allocation, for the future. Box a stack once, when it is finished; boxing what is boxed gives the
/// same endpoint back.
///
/// ```
/// use kit_endpoint::{BoxEndpoint, EndpointExt, Error, Request, Response, endpoint_fn};
///
/// let double = endpoint_fn(|req: Request<u32>| async move {
///     Ok::<_, Error>(Response::new(req.into_message() * 2))
/// });
/// let boxed: BoxEndpoint<Request<u32>, Response<u32>, Error> = double.boxed();
/// # let _ = boxed;
/// ```
pub struct BoxEndpoint<Req, Res, Err> {
    endpoint: Arc<dyn DynEndpoint<Req, Res, Err>>,
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

trait DynEndpoint<Req, Res, Err>: Send + Sync {
    fn call<'a>(&'a self, req: Req) -> BoxFuture<'a, Result<Res, Err>>
    where
        Req: 'a,
        Err: 'a;
}

pin_project! {
    /// A call whose error becomes that of the box. No `async` block, which would hold the inner future twice.
    struct ErrorInto<F, Err> {
        #[pin]
        inner: F,
        _error: PhantomData<fn() -> Err>,
    }
}

impl<F, Res, Own, Err> Future for ErrorInto<F, Err>
where
    F: Future<Output = Result<Res, Own>>,
    Own: Into<Err>,
{
    type Output = Result<Res, Err>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(self.project().inner.poll(cx)).map_err(Into::into))
    }
}

impl<Req, Res, Err, E> DynEndpoint<Req, Res, Err> for E
where
    Req: Send,
    E: Endpoint<Req, Response = Res, Error: Into<Err>>,
{
    fn call<'a>(&'a self, req: Req) -> BoxFuture<'a, Result<Res, Err>>
    where
        Req: 'a,
        Err: 'a,
    {
        Box::pin(ErrorInto { inner: Endpoint::call(self, req), _error: PhantomData })
    }
}

impl<Req, Res, Err> BoxEndpoint<Req, Res, Err> {
    /// Boxes an endpoint; its error may be any that becomes `Err`.
    pub fn new<E>(endpoint: E) -> Self
    where
        Req: Send,
        E: Endpoint<Req, Response = Res, Error: Into<Err>> + 'static,
    {
        Self { endpoint: Arc::new(endpoint) }
    }

    /// The same: it is boxed already.
    #[must_use]
    pub fn boxed(self) -> Self {
        self
    }
}

impl<Req, Res, Err> Clone for BoxEndpoint<Req, Res, Err> {
    fn clone(&self) -> Self {
        Self { endpoint: Arc::clone(&self.endpoint) }
    }
}

impl<Req, Res, Err> fmt::Debug for BoxEndpoint<Req, Res, Err> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxEndpoint").finish_non_exhaustive()
    }
}

impl<Req, Res, Err> Endpoint<Req> for BoxEndpoint<Req, Res, Err>
where
    Res: Send,
    Err: Send,
{
    type Response = Res;
    type Error = Err;

    fn call(&self, req: Req) -> impl Future<Output = Result<Res, Err>> + Send {
        self.endpoint.call(req)
    }
}
