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
///
/// A clone clones the layers, and so shares their state.
#[derive(Clone, Debug)]
pub struct Tower<L, R = Absorbed> {
    layers: L,
    refusal: R,
}

impl<L> Tower<L> {
    /// A tower layer from a kit layer, or from a stack of them.
    pub fn new(layers: L) -> Self {
        Self { layers, refusal: Absorbed }
    }

    /// Answers refusals over HTTP: with status, `Retry-After` and problem details, or with a `grpc-status`.
    pub fn answered(self) -> Tower<L, Answered> {
        Tower { layers: self.layers, refusal: Answered }
    }

    /// Makes an outcome of each refusal: `|error: kit_base::Error| -> Result<Response, ServiceError>`.
    pub fn mapped<F, Res, Err>(self, refuse: F) -> Tower<L, Mapped<F>>
    where
        F: Fn(Error) -> Result<Res, Err>,
    {
        Tower { layers: self.layers, refusal: Mapped(refuse) }
    }
}

impl<S, L, R> Layer<S> for Tower<L, R>
where
    S: Clone,
    L: Layer<FromService<S>> + Clone,
    R: Clone,
{
    type Service = TowerService<S, L, L::Service, R>;

    fn layer(&self, service: S) -> Self::Service {
        TowerService {
            endpoint: Arc::new(self.layers.layer(FromService::new(service.clone()))),
            service,
            tower: Arc::new(self.clone()),
        }
    }
}

/// A tower service behind kit layers; see [`Tower`].
#[derive(Debug)]
pub struct TowerService<S, L, E, R> {
    /// Asked for its readiness, where the stack lets that through.
    service: S,
    endpoint: Arc<E>,
    tower: Arc<Tower<L, R>>,
}

impl<S: Clone, L, E, R> Clone for TowerService<S, L, E, R> {
    fn clone(&self) -> Self {
        Self { service: self.service.clone(), endpoint: Arc::clone(&self.endpoint), tower: Arc::clone(&self.tower) }
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
        let tower = Arc::clone(&self.tower);
        let grpc = tower.refusal.is_grpc(&req);
        if E::PASSES_READINESS {
            // The instance that said it was ready must be the one that is called: the layers are put over it, which
            // shares their state, and a clone takes its place.
            let clone = self.service.clone();
            let ready = mem::replace(&mut self.service, clone);
            return Box::pin(async move {
                let endpoint = tower.layers.layer(FromService::ready(ready));
                let outcome = endpoint.call(req).await;
                tower.settle(grpc, outcome)
            });
        }
        let endpoint = Arc::clone(&self.endpoint);
        Box::pin(async move {
            let outcome = endpoint.call(req).await;
            tower.settle(grpc, outcome)
        })
    }
}

impl<L, R> Tower<L, R> {
    fn settle<Req, Res, Err>(&self, grpc: bool, outcome: Result<Res, ServiceError<Err>>) -> Result<R::Response, Err>
    where
        R: Refusal<Req, Res, Err>,
    {
        match outcome {
            Ok(answer) => Ok(self.refusal.pass(answer)),
            Err(ServiceError::Inner(error)) => Err(error),
            Err(ServiceError::Refused(refusal)) => self.refusal.refuse(grpc, refusal),
        }
    }
}
