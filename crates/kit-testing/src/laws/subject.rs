//! The layer under test without its types: what a caller does with it, at each of the places.

use std::any::TypeId;
use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::Body;
use kit_base::{BoxFuture, Deadline, Endpoint, Operation, Request, Response, ServerStream, Streaming, Timeout, wire};
use tower_layer::Layer;
use tower_service::Service;

use super::body::UNAVAILABLE;
use super::fault::Fault;
use super::inner::{CALL, IDEMPOTENT, Inner, ONCE};
use super::world::World;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// What a caller asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) id: u64,
    pub(crate) idempotent: bool,
    pub(crate) deadline: Option<Deadline>,
    /// Over HTTP: whether it is a gRPC call.
    pub(crate) grpc: bool,
}

/// How a call came out, or its head.
pub(crate) enum Outcome {
    /// The number of the inner call whose answer this is, and what is still to come.
    Answered(usize, Option<Box<dyn Rest>>),
    Failed(Failed),
}

/// An error, of the inner service or of the layer.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The number of the inner call, if it was one; and the name of another error type that it was put into.
    Inner { call: Option<usize>, put_into: Option<&'static str> },
    /// The layer's own words.
    Refused(String),
}

/// The rest of an answer.
pub(crate) trait Rest: Send {
    /// True for a part, false for the end.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Failed>>;
}

/// One caller's way to the layer: a clone of the service.
pub(crate) trait Handle: Send {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>>;

    fn call(&mut self, ask: Ask) -> BoxFuture<Outcome>;

    /// Calls, and drops the future before its first poll.
    fn call_and_leave(&mut self, ask: Ask);

    /// Nothing where the service has no clones.
    fn another(&self) -> Option<Box<dyn Handle>>;
}

/// The layer, to be put over inner services.
pub(crate) trait Mount {
    fn mount(&self, world: &Arc<World>) -> Box<dyn Handle>;
}

/// A layer, and how its services become handles.
pub(crate) struct Mounted<L, F>(pub(crate) L, pub(crate) F);

impl<L, F> Mount for Mounted<L, F>
where
    L: Layer<Inner>,
    F: Fn(L::Service) -> Box<dyn Handle>,
{
    fn mount(&self, world: &Arc<World>) -> Box<dyn Handle> {
        (self.1)(self.0.layer(Inner::new(world, 0)))
    }
}

/// Tells an inner error from a layer's, and whether it still has its type.
fn failed<E: Into<BoxError> + 'static>(error: E) -> Failed {
    let put_into = (TypeId::of::<E>() != TypeId::of::<Fault>()).then(std::any::type_name::<E>);
    let error = error.into();
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&*error);
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref::<Fault>().filter(|fault| fault.is_inner()) {
            return Failed::Inner { call: fault.call(), put_into };
        }
        cause = error.source();
    }
    Failed::Refused(error.to_string())
}

/// The same in a body or stream, whose error type is that of whoever wraps it, whatever the call's is.
fn failed_later<E: Into<BoxError> + 'static>(error: E) -> Failed {
    match failed(error) {
        Failed::Inner { call, .. } => Failed::Inner { call, put_into: None },
        refused @ Failed::Refused(_) => refused,
    }
}

fn message<S>(ask: Ask) -> Request<u64, S> {
    let mut inbound = http::HeaderMap::new();
    inbound.insert(CALL.clone(), ask.id.into());
    let mut context = kit_base::Context::received(inbound, http::Extensions::new()).with_operation(operation(ask));
    if let Some(deadline) = ask.deadline {
        context = context.with_deadline(deadline);
    }
    Request::from_parts(context, ask.id)
}

fn operation(ask: Ask) -> Operation {
    Operation::from_static(if ask.idempotent { &IDEMPOTENT } else { &ONCE })
}

fn http_request<B: Default>(ask: Ask) -> http::Request<B> {
    let mut request = http::Request::new(B::default());
    *request.method_mut() = if ask.idempotent && !ask.grpc { http::Method::GET } else { http::Method::POST };
    // A client needs the whole address, a router only the path.
    *request.uri_mut() = http::Uri::from_static("http://inner.test/laws/call");
    request.headers_mut().insert(CALL.clone(), ask.id.into());
    if ask.grpc {
        request.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/grpc"));
    }
    if let Some(deadline) = ask.deadline {
        let left = Timeout(deadline.left(tokio::time::Instant::now().into_std())).to_string();
        if let Ok(value) = left.try_into() {
            request.headers_mut().insert(wire::GRPC_TIMEOUT.clone(), value);
        }
        request.extensions_mut().insert(deadline);
    }
    request.extensions_mut().insert(operation(ask));
    request
}

fn http_outcome<B, E>(outcome: Result<http::Response<B>, E>) -> Outcome
where
    B: Body<Error: Into<BoxError> + 'static> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    let response = match outcome {
        Ok(response) => response,
        Err(error) => return Outcome::Failed(failed(error)),
    };
    let call = response.headers().get(&CALL).and_then(|value| value.to_str().ok()?.parse().ok());
    let grpc = response.headers().get(&wire::GRPC_STATUS).cloned();
    let failed_in_head = grpc.as_ref().is_some_and(|status| *status == UNAVAILABLE)
        || response.status() == http::StatusCode::SERVICE_UNAVAILABLE;
    match call {
        None => Outcome::Failed(Failed::Refused(format!("status {}", response.status().as_u16()))),
        Some(call) if failed_in_head => Outcome::Failed(Failed::Inner { call: Some(call), put_into: None }),
        Some(_) if response.status() != http::StatusCode::OK || grpc.as_ref().is_some_and(|status| status != "0") => {
            let status = grpc.map(|status| format!(", grpc-status {status:?}")).unwrap_or_default();
            Outcome::Failed(Failed::Refused(format!("status {}{status}", response.status().as_u16())))
        }
        Some(call) if response.body().is_end_stream() => Outcome::Answered(call, None),
        Some(call) => Outcome::Answered(call, Some(Box::new(RestOfBody(call, Box::pin(response.into_body()))))),
    }
}

struct RestOfBody<B>(usize, Pin<Box<B>>);

impl<B: Body<Error: Into<BoxError> + 'static> + Send> Rest for RestOfBody<B> {
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Failed>> {
        self.1.as_mut().poll_frame(cx).map(|frame| match frame {
            None => Ok(false),
            Some(Ok(frame)) => match frame.trailers_ref().and_then(|trailers| trailers.get(&wire::GRPC_STATUS)) {
                Some(status) if *status == UNAVAILABLE => Err(Failed::Inner { call: Some(self.0), put_into: None }),
                Some(status) if status == "0" => Ok(false),
                Some(status) => Err(Failed::Refused(format!("grpc-status {status:?}"))),
                None => Ok(true),
            },
            Some(Err(error)) => Err(failed_later(error)),
        })
    }
}

struct RestOfStream(Streaming<u64>);

impl Rest for RestOfStream {
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Failed>> {
        pin!(self.0.message()).poll(cx).map(|item| match item {
            Ok(item) => Ok(item.is_some()),
            Err(error) => Err(failed_later(error)),
        })
    }
}

/// What kind of messages a service takes and gives.
pub(crate) trait Dialect<Req, Res, Err>: Copy + Send + 'static {
    fn request(self, ask: Ask) -> Req;
    fn outcome(outcome: Result<Res, Err>) -> Outcome;
}

#[derive(Clone, Copy)]
pub(crate) struct Messages;

impl<E: Into<BoxError> + 'static> Dialect<Request<u64>, Response<u64>, E> for Messages {
    fn request(self, ask: Ask) -> Request<u64> {
        message(ask)
    }

    fn outcome(outcome: Result<Response<u64>, E>) -> Outcome {
        match outcome {
            Ok(response) => Outcome::Answered(usize::try_from(response.into_message()).unwrap_or(usize::MAX), None),
            Err(error) => Outcome::Failed(failed(error)),
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Streams;

impl<E: Into<BoxError> + 'static> Dialect<Request<u64, ServerStream>, Response<Streaming<u64>>, E> for Streams {
    fn request(self, ask: Ask) -> Request<u64, ServerStream> {
        message(ask)
    }

    fn outcome(outcome: Result<Response<Streaming<u64>>, E>) -> Outcome {
        match outcome {
            // Which call it answers is known by its messages; the head does not say.
            Ok(response) => Outcome::Answered(usize::MAX, Some(Box::new(RestOfStream(response.into_message())))),
            Err(error) => Outcome::Failed(failed(error)),
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Http;

impl<B, B2, E> Dialect<http::Request<B>, http::Response<B2>, E> for Http
where
    B: Default,
    B2: Body<Error: Into<BoxError> + 'static> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    fn request(self, ask: Ask) -> http::Request<B> {
        http_request(ask)
    }

    fn outcome(outcome: Result<http::Response<B2>, E>) -> Outcome {
        http_outcome(outcome)
    }
}

/// An endpoint: no readiness, and shared instead of cloned.
pub(crate) struct EndpointHandle<S, D, Req> {
    endpoint: Arc<S>,
    dialect: D,
    _request: std::marker::PhantomData<fn(Req)>,
}

impl<S, D, Req> EndpointHandle<S, D, Req> {
    pub(crate) fn new(endpoint: S, dialect: D) -> Self {
        Self { endpoint: Arc::new(endpoint), dialect, _request: std::marker::PhantomData }
    }
}

impl<Req, S, D> Handle for EndpointHandle<S, D, Req>
where
    Req: Send + 'static,
    S: Endpoint<Req> + 'static,
    D: Dialect<Req, S::Response, S::Error>,
{
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, ask: Ask) -> BoxFuture<Outcome> {
        let endpoint = Arc::clone(&self.endpoint);
        let request = self.dialect.request(ask);
        Box::pin(async move { D::outcome(endpoint.call(request).await) })
    }

    fn call_and_leave(&mut self, ask: Ask) {
        drop(self.endpoint.call(self.dialect.request(ask)));
    }

    fn another(&self) -> Option<Box<dyn Handle>> {
        let endpoint = Arc::clone(&self.endpoint);
        Some(Box::new(Self { endpoint, dialect: self.dialect, _request: std::marker::PhantomData }))
    }
}

/// A tower service, and how it is cloned if it can be.
pub(crate) struct ServiceHandle<S, D, Req> {
    service: S,
    dialect: D,
    clone: Option<fn(&S) -> S>,
    _request: std::marker::PhantomData<fn(Req)>,
}

impl<S, D, Req> ServiceHandle<S, D, Req> {
    pub(crate) fn new(service: S, dialect: D, clone: Option<fn(&S) -> S>) -> Self {
        Self { service, dialect, clone, _request: std::marker::PhantomData }
    }
}

impl<Req, S, D> Handle for ServiceHandle<S, D, Req>
where
    Req: 'static,
    S: Service<Req, Future: Send + 'static, Error: Into<BoxError> + 'static> + Send + 'static,
    D: Dialect<Req, S::Response, S::Error>,
{
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.service.poll_ready(cx).map_err(failed)
    }

    fn call(&mut self, ask: Ask) -> BoxFuture<Outcome> {
        let mut called = Box::pin(self.service.call(self.dialect.request(ask)));
        Box::pin(poll_fn(move |cx| called.as_mut().poll(cx).map(D::outcome)))
    }

    fn call_and_leave(&mut self, ask: Ask) {
        drop(self.service.call(self.dialect.request(ask)));
    }

    fn another(&self) -> Option<Box<dyn Handle>> {
        let clone = self.clone?;
        Some(Box::new(Self { service: clone(&self.service), ..*self }))
    }
}
