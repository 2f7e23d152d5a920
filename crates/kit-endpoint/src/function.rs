//! A function as an endpoint.

use std::fmt;
use std::future::Future;

use kit_base::Endpoint;

/// An endpoint from an async function of its request.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use kit_endpoint::{Endpoint, Error, Request, Response, endpoint_fn};
///
/// let uppercase = endpoint_fn(async |req: Request<String>| {
///     Ok::<_, Error>(Response::new(req.message().to_uppercase()))
/// });
/// assert_eq!(uppercase.call(Request::new("kit".into())).await.unwrap().into_message(), "KIT");
/// # });
/// ```
///
/// An error passes through as it is, since the function may be a client as well. Where it is the service itself, and
/// calls others, let it end with `.map_err(Failure::into_answer)`: else a retry takes the error of a call that it could
/// not send for one of its own. The endpoints of [`service`](crate::service) do so.
///
/// What the closure captures it must not lend to its futures: clone an `Arc` in it, and move the clone into an
/// `async move` block.
#[doc(alias = "service_fn")]
pub const fn endpoint_fn<F>(call: F) -> EndpointFn<F> {
    EndpointFn { call }
}

/// A function as an endpoint; see [`endpoint_fn`].
#[derive(Clone, Copy)]
pub struct EndpointFn<F> {
    call: F,
}

impl<F> fmt::Debug for EndpointFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointFn").finish_non_exhaustive()
    }
}

impl<F, Req, Res, Err, Fut> Endpoint<Req> for EndpointFn<F>
where
    F: Fn(Req) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Res, Err>> + Send,
    Res: Send,
    Err: Send,
{
    type Response = Res;
    type Error = Err;

    fn call(&self, req: Req) -> impl Future<Output = Result<Res, Err>> + Send {
        (self.call)(req)
    }
}
