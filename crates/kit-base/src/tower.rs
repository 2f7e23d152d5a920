//! Any stack of kit layers as one tower layer.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::refusal::{Absorbed, Answered, Mapped, Refusal};
use crate::{BoxFuture, Endpoint, Error, FromService, ServiceError};

/// Any stack of kit layers as one tower layer: for `axum::Router::layer`, tonic's server, a tonic `Channel`, any service.
///
/// A call costs one box, whatever the number of layers. A refusal becomes the service's error where that has a
/// `From<kit_base::Error>`; [`answered`](Self::answered) makes it an HTTP or gRPC answer, [`mapped`](Self::mapped)
/// what you like.
///
/// *Readiness:* a stack of gates that never refuse passes the readiness of the service through. Any other stack is
/// ready at once, so that it can refuse even when the service hangs: load shedding and balancing belong inside of it.
/// A call is admitted at the first poll of its future, which then waits for the readiness of the service.
#[derive(Debug)]
pub struct Tower<L, R = Absorbed> {
    layers: Arc<Layers<L, R>>,
}

#[derive(Debug)]
struct Layers<L, R> {
    layers: L,
    refusal: R,
}

impl<L> Tower<L> {
    /// A tower layer from a kit layer, or from a stack of them.
    pub fn new(layers: L) -> Self {
        Self { layers: Arc::new(Layers { layers, refusal: Absorbed }) }
    }
}

impl<L: Clone> Tower<L> {
    /// Answers refusals over HTTP: with status, `Retry-After` and problem details, or with a `grpc-status`.
    pub fn answered(self) -> Tower<L, Answered> {
        Tower { layers: Arc::new(Layers { layers: self.layers.layers.clone(), refusal: Answered }) }
    }

    /// Makes an outcome of each refusal: `|error: kit_base::Error| -> Result<Response, ServiceError>`.
    pub fn mapped<F: Fn(Error) -> Result<Res, Err>, Res, Err>(self, refuse: F) -> Tower<L, Mapped<F>> {
        Tower { layers: Arc::new(Layers { layers: self.layers.layers.clone(), refusal: Mapped(refuse) }) }
    }
}

impl<L, R> Clone for Tower<L, R> {
    fn clone(&self) -> Self {
        Self { layers: Arc::clone(&self.layers) }
    }
}

impl<S: Clone, L: Layer<FromService<S>>, R> Layer<S> for Tower<L, R> {
    type Service = TowerService<S, L, L::Service, R>;

    fn layer(&self, service: S) -> Self::Service {
        TowerService {
            endpoint: Arc::new(self.layers.layers.layer(FromService::new(service.clone()))),
            service,
            layers: Arc::clone(&self.layers),
        }
    }
}

/// A tower service behind kit layers; see [`Tower`].
#[derive(Debug)]
pub struct TowerService<S, L, E, R> {
    /// Asked for its readiness, where the stack lets that through.
    service: S,
    endpoint: Arc<E>,
    layers: Arc<Layers<L, R>>,
}

impl<S: Clone, L, E, R> Clone for TowerService<S, L, E, R> {
    fn clone(&self) -> Self {
        Self { service: self.service.clone(), endpoint: Arc::clone(&self.endpoint), layers: Arc::clone(&self.layers) }
    }
}

impl<Req, S, L, E, R> Service<Req> for TowerService<S, L, E, R>
where
    Req: Send + 'static,
    S: Service<Req> + Clone + Send + 'static,
    L: Layer<FromService<S>, Service = E> + Send + Sync + 'static,
    E: Endpoint<Req, Error = ServiceError<S::Error>> + 'static,
    R: Refusal<Req, E::Response, S::Error>,
{
    type Response = R::Response;
    type Error = S::Error;
    type Future = BoxFuture<Result<R::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if E::PASSES_READINESS { self.service.poll_ready(cx) } else { Poll::Ready(Ok(())) }
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let layers = Arc::clone(&self.layers);
        let grpc = layers.refusal.is_grpc(&req);
        if E::PASSES_READINESS {
            // The instance that said it was ready must be the one that is called: the layers are put over it, which
            // shares their state, and a clone takes its place.
            let clone = self.service.clone();
            let ready = mem::replace(&mut self.service, clone);
            return Box::pin(async move {
                let endpoint = layers.layers.layer(FromService::ready(ready));
                let outcome = endpoint.call(req).await;
                layers.refusal.settle(grpc, outcome)
            });
        }
        let endpoint = Arc::clone(&self.endpoint);
        Box::pin(async move {
            let outcome = endpoint.call(req).await;
            layers.refusal.settle(grpc, outcome)
        })
    }
}
