//! The endpoint: one RPC method, called with `&self`.

use std::future::Future;
use std::sync::Arc;

/// One RPC method: a request in, a result out.
///
/// There is no readiness and no `&mut self`: an endpoint is shared by reference or behind an [`Arc`], and called from
/// as many tasks as one likes. Write one as a plain `async fn`:
///
/// ```
/// use kit_base::{Endpoint, Error, Request, Response};
///
/// struct Double;
///
/// impl Endpoint<Request<u32>> for Double {
///     type Response = Response<u32>;
///     type Error = Error;
///
///     async fn call(&self, req: Request<u32>) -> Result<Response<u32>, Error> {
///         let n = req.into_message();
///         n.checked_mul(2).map(Response::new).ok_or_else(|| Error::out_of_range(format!("{n} is too large")))
///     }
/// }
///
/// # fn main() { let fut = async {
/// assert_eq!(Double.call(Request::new(4)).await.unwrap().into_message(), 8);
/// # }; drop(fut); }
/// ```
///
/// *Cancellation:* dropping the future cancels the call. *Middleware* is a [`tower_layer::Layer`] over endpoints,
/// either a [`Gate`](crate::Gate) or a type whose `call` is an `async fn`. Call the inner endpoint inside the body; a
/// future that is captured by an `async` block doubles in size with each layer.
///
/// Not to be mistaken for tonic's `Endpoint`, which is a channel builder.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an endpoint for requests of type `{Req}`",
    label = "this cannot be called with `{Req}`",
    note = "an endpoint takes `kit_base::Request<T>` or `http::Request<B>`; make one from a function with `kit_endpoint::endpoint_fn`, or from a tower service with `kit_base::FromService`",
    note = "if this is a layered endpoint: each gate needs `Error: From<kit_base::Error>` to refuse with"
)]
#[doc(alias = "Service")]
pub trait Endpoint<Req>: Send + Sync {
    /// What a call answers.
    type Response: Send;
    /// How a call fails. Gates need `From<kit_base::Error>` of it, to refuse with.
    type Error: Send;

    /// Whether all that lies between the caller and an innermost tower service never refuses, so that
    /// [`Tower`](crate::Tower) may pass that service's readiness on. Leave it alone in endpoints of your own.
    const PASSES_READINESS: bool = false;

    /// Calls the endpoint. What is admitted is admitted here, not at the first poll: poll the future or drop it.
    fn call(&self, req: Req) -> impl Future<Output = Result<Self::Response, Self::Error>> + Send;
}

macro_rules! by_reference {
    ($($pointer:ty),*) => {$(
        impl<Req, E: Endpoint<Req> + ?Sized> Endpoint<Req> for $pointer {
            type Response = E::Response;
            type Error = E::Error;

            const PASSES_READINESS: bool = E::PASSES_READINESS;

            #[inline]
            fn call(&self, req: Req) -> impl Future<Output = Result<Self::Response, Self::Error>> + Send {
                (**self).call(req)
            }
        }
    )*};
}

by_reference!(&E, Arc<E>, Box<E>);
