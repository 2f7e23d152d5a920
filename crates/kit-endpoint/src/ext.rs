//! Composition as methods on endpoints.

use std::future::Future;

use kit_base::{Endpoint, Gate, Guard, Guarded, IntoService, Operation};
use tower_layer::Layer;

use crate::{BoxEndpoint, Named, Next, WithMiddleware};

/// What every endpoint can be made into.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use kit_endpoint::{Endpoint, EndpointExt, Error, Operation, Request, Response, endpoint_fn, finish_hook};
///
/// let shout = endpoint_fn(async |req: Request<String>| Ok::<_, Error>(Response::new(req.into_message() + "!")))
///     .middleware(|req, next| async move {
///         let answer = next.call(req).await?;
///         Ok(answer.map(|text| text.to_uppercase()))
///     })
///     .guard(finish_hook(|call| assert_eq!(call.operation.to_string(), "speech/shout")))
///     .named(Operation::new("speech", "shout"))
///     .boxed();
///
/// assert_eq!(shout.call(Request::new("kit".into())).await.unwrap().into_message(), "KIT!");
/// # });
/// ```
pub trait EndpointExt<Req>: Endpoint<Req> + Sized {
    /// The endpoint behind this layer, or behind a tuple of layers, outermost first.
    fn layer<L>(self, layer: L) -> L::Service
    where
        L: Layer<Self>,
        L::Service: Endpoint<Req>,
    {
        layer.layer(self)
    }

    /// The endpoint behind this gate, or behind a tuple of gates, outermost first.
    fn guard<G>(self, gate: G) -> Guarded<Self, G>
    where
        G: Gate<Req, Self::Response, Self::Error>,
    {
        Guard::new(gate).layer(self)
    }

    /// The endpoint inside an async function of request and [`Next`]. Written here, the function needs no types; as a
    /// layer of its own it is a [`middleware_fn`](crate::middleware_fn).
    fn middleware<F, Fut, Res>(self, middleware: F) -> WithMiddleware<Self, F>
    where
        F: Fn(Req, Next<Self>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<Res, Self::Error>> + Send,
    {
        WithMiddleware::new(self, middleware)
    }

    /// The endpoint with a name: calls whose context has no operation get this one.
    fn named(self, operation: Operation) -> Named<Self> {
        Named::new(self, operation)
    }

    /// The endpoint behind a type that names nothing of what is inside, at one allocation a call.
    fn boxed(self) -> BoxEndpoint<Req, Self::Response, Self::Error>
    where
        Req: Send,
        Self: 'static,
    {
        BoxEndpoint::new(self)
    }

    /// The endpoint as a tower service, at one allocation a call.
    fn into_service(self) -> IntoService<Self> {
        IntoService::new(self)
    }
}

impl<Req, E: Endpoint<Req>> EndpointExt<Req> for E {}
