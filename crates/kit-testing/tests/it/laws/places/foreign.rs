//! The inner service behind the types of foreign clients and servers, and behind a real connection.

use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use futures_core::Stream;
use http::HeaderValue;
use hyper_util::rt::TokioIo;
use kit_base::{Operation, RequestParts};
use kit_testing::laws::{Inner, InnerBody};
use tokio::io::DuplexStream;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint, Server};
use tower::util::{MapErr, MapRequest, MapRequestLayer, MapResponse};
use tower::{Layer, Service, service_fn};

/// A service with the types of a tonic `Channel`.
pub(super) fn as_channel(
    inner: Inner,
) -> impl Service<
    http::Request<tonic::body::Body>,
    Response = http::Response<tonic::body::Body>,
    Error = tonic::transport::Error,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    let answered = MapResponse::new(inner, |answer: http::Response<InnerBody>| answer.map(tonic::body::Body::new));
    MapErr::new(answered, |never: Infallible| match never {})
}

/// A service with the types of a `reqwest::Client`.
pub(super) fn as_reqwest(
    inner: Inner,
) -> impl Service<reqwest::Request, Response = reqwest::Response, Error = reqwest::Error, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    let answered = MapResponse::new(inner, |answer: http::Response<InnerBody>| {
        reqwest::Response::from(answer.map(reqwest::Body::wrap))
    });
    let asked = MapRequest::new(answered, |request: reqwest::Request| {
        http::Request::try_from(request).expect("what was an http request becomes one again")
    });
    MapErr::new(asked, |never: Infallible| match never {})
}

/// What tonic's `Server` puts its layers over.
pub(super) fn routes(inner: Inner) -> Routes {
    Routes::from(Router::new().fallback_service(inner))
}

/// The header by which the operation travels.
const NAME: &str = "x-operation";

/// What a client owes what it calls.
fn departs<B>(mut request: http::Request<B>) -> http::Request<B> {
    if let Some(operation) = request.extensions().get::<Operation>() {
        let name = HeaderValue::from_static(if operation.is_idempotent() { "read" } else { "write" });
        request.headers_mut().insert(NAME, name);
    }
    request
}

/// What a server owes what it serves: the operation, and the deadline as a point in time, which is known on arrival.
fn arrives<B: Send>(mut request: http::Request<B>) -> http::Request<B> {
    if let Some(name) = request.headers_mut().remove(NAME) {
        let name = name.to_str().unwrap_or_default().to_owned();
        let idempotent = name == "read";
        request.extensions_mut().insert(Operation::new("laws", name).with_idempotent(idempotent));
    }
    if let Some(deadline) = request.deadline(tokio::time::Instant::now().into_std()) {
        request.extensions_mut().insert(deadline);
    }
    request
}

/// Gives one connection.
struct Once(Option<DuplexStream>);

impl Stream for Once {
    type Item = io::Result<DuplexStream>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

/// A tonic channel to a tonic server over a connection in memory, with a layer on each side.
pub(super) fn connect<S, C, B>(inner: Inner, server: S, client: C) -> C::Service
where
    S: Layer<Routes> + Clone + Send + 'static,
    S::Service: Service<http::Request<tonic::body::Body>, Response = http::Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<tower::BoxError>> + Send + 'static,
    C: Layer<MapRequest<Channel, fn(http::Request<tonic::body::Body>) -> http::Request<tonic::body::Body>>>,
{
    let (near, far) = tokio::io::duplex(64 * 1024);
    let mut server = Server::builder().layer(MapRequestLayer::new(arrives::<tonic::body::Body>)).layer(server);
    tokio::spawn(server.add_routes(routes(inner)).serve_with_incoming(Once(Some(far))));
    let mut near = Some(TokioIo::new(near));
    let channel = Endpoint::from_static("http://inner.test").connect_with_connector_lazy(service_fn(move |_| {
        ready(near.take().ok_or_else(|| io::Error::other("there is one connection")))
    }));
    client.layer(MapRequest::new(channel, departs as fn(_) -> _))
}
