//! Endpoints from closures, a server on a free port, and calls in process.

use std::convert::Infallible;
use std::future::Future;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http::{Method, StatusCode};
use http_body::{Body as HttpBody, Frame};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use kit_base::{Endpoint, Error, Operation, Request, Response, Shape, Streaming};
use kit_transport_http::{HttpClient, HttpServer, Routes};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

/// No step of a test takes longer, unless something hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(20);

/// An async closure as an endpoint.
pub(crate) struct By<F>(pub(crate) F);

impl<F, Fut, Req, Res, E> Endpoint<Request<Req>> for By<F>
where
    F: Fn(Request<Req>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Response<Res>, E>> + Send,
    Req: Send,
    Res: Send,
    E: Send,
{
    type Response = Response<Res>;
    type Error = E;

    fn call(&self, request: Request<Req>) -> impl Future<Output = Result<Response<Res>, E>> + Send {
        (self.0)(request)
    }
}

/// An async closure as an endpoint of this shape.
pub(crate) struct Shaped<S, F>(F, PhantomData<S>);

pub(crate) fn shaped<S, F>(call: F) -> Shaped<S, F> {
    Shaped(call, PhantomData)
}

impl<S, F, Fut, Req, Res, E> Endpoint<Request<Req, S>> for Shaped<S, F>
where
    S: Shape,
    F: Fn(Request<Req, S>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Response<Res>, E>> + Send,
    Req: Send,
    Res: Send,
    E: Send,
{
    type Response = Response<Res>;
    type Error = E;

    fn call(&self, request: Request<Req, S>) -> impl Future<Output = Result<Response<Res>, E>> + Send {
        (self.0)(request)
    }
}

/// A request of a shape that streams.
pub(crate) fn calling<S, Req>(message: Req) -> Request<Req, S> {
    Request::from_parts(kit_base::Context::new(), message)
}

/// A stream of these items.
pub(crate) fn items<T, I>(items: I) -> Streaming<T>
where
    I: IntoIterator<Item = Result<T, Error>, IntoIter: Send + Unpin + 'static>,
    T: 'static,
{
    Streaming::new(Each(items.into_iter()))
}

struct Each<I>(I);

impl<I: Iterator + Unpin> Stream for Each<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}

/// A stream of what is fed.
pub(crate) struct Fed<T>(mpsc::UnboundedReceiver<Result<T, Error>>);

pub(crate) type Feed<T> = mpsc::UnboundedSender<Result<T, Error>>;

impl<T> Stream for Fed<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

pub(crate) fn feed<T: Send + 'static>() -> (Feed<T>, Streaming<T>) {
    let (feed, fed) = mpsc::unbounded_channel();
    (feed, Streaming::new(Fed(fed)))
}

/// A stream with something that rides in it.
pub(crate) struct With<T, D>(pub(crate) Streaming<T>, pub(crate) D);

impl<T, D: Unpin> Stream for With<T, D> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx)
    }
}

/// All messages of a stream, and its error.
pub(crate) async fn drain<T>(mut stream: Streaming<T>) -> (Vec<T>, Option<Error>) {
    let mut all = Vec::new();
    loop {
        match tokio::time::timeout(HANGS, stream.message()).await.unwrap() {
            Ok(Some(item)) => all.push(item),
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error)),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sum {
    pub(crate) a: i64,
    pub(crate) b: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Value {
    pub(crate) v: i64,
}

/// The operation of this name.
pub(crate) fn op(method: &'static str) -> Operation {
    Operation::new("test", method)
}

pub(crate) async fn add(request: Request<Sum>) -> Result<Response<Value>, Error> {
    let Sum { a, b } = request.into_message();
    Ok(Response::new(Value { v: a + b }))
}

/// Adds at `POST /sum`.
pub(crate) fn sum() -> HttpServer {
    HttpServer::new().endpoint(op("sum"), By(add))
}

/// Fails at `POST /fail` with what the closure makes.
pub(crate) fn failing(make: impl Fn() -> Error + Send + Sync + 'static) -> HttpServer {
    let fail = By(move |_: Request<serde_json::Value>| {
        let error = make();
        async move { Err::<Response<serde_json::Value>, _>(error) }
    });
    HttpServer::new().endpoint(op("fail"), fail)
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A server on a free port; dropped, it ends with its connections.
pub(crate) struct Served {
    pub(crate) addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Served {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn client(&self) -> HttpClient {
        HttpClient::new(self.url()).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a connection asks of a service.
pub(crate) async fn serve<S, B>(service: S) -> Served
where
    S: tower::Service<http::Request<hyper::body::Incoming>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            let service = TowerToHyperService::new(service.clone());
            connections.spawn(async move {
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Served { addr, task }
}

/// Serves what is bound.
pub(crate) async fn up<C>(server: HttpServer<C>) -> Served {
    serve(server.build().unwrap()).await
}

/// A request with a JSON body, or with none where the text is empty.
pub(crate) fn request(method: Method, target: &str, json: impl Into<Bytes>) -> http::Request<Full<Bytes>> {
    let json: Bytes = json.into();
    let mut request = http::Request::new(Full::new(json.clone()));
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().unwrap();
    if !json.is_empty() {
        request.headers_mut().insert("content-type", "application/json".parse().unwrap());
    }
    request
}

pub(crate) fn post(target: &str, json: impl Into<Bytes>) -> http::Request<Full<Bytes>> {
    request(Method::POST, target, json)
}

pub(crate) fn get(target: &str) -> http::Request<Full<Bytes>> {
    request(Method::GET, target, "")
}

/// Calls the routes in process.
pub(crate) async fn ask<B>(routes: &Routes, request: http::Request<B>) -> http::Response<Bytes>
where
    B: HttpBody<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let Ok(answer) = routes.call(request).await;
    let (head, body) = answer.into_parts();
    http::Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

/// The answer of a server to one request.
pub(crate) async fn answer<C>(server: HttpServer<C>, request: http::Request<Full<Bytes>>) -> http::Response<Bytes> {
    ask(&server.routes().unwrap(), request).await
}

/// The problem details of an answer, after a look at its status and type.
pub(crate) fn problem(answer: &http::Response<Bytes>, status: u16) -> serde_json::Value {
    let text = String::from_utf8_lossy(answer.body());
    assert_eq!(answer.status(), StatusCode::from_u16(status).unwrap(), "{text}");
    assert_eq!(answer.headers()["content-type"], "application/problem+json", "{text}");
    let problem: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(problem["status"], status);
    problem
}

/// A 400 that says this.
pub(crate) fn malformed(answer: &http::Response<Bytes>, says: &str) {
    let problem = problem(answer, 400);
    assert_eq!(problem["kind"], "INVALID_ARGUMENT");
    assert_eq!(problem["reason"], "MALFORMED_REQUEST");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(says), "{detail}");
}

/// What hooks and observers have noted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(watch::Sender<Vec<String>>);

impl Notes {
    pub(crate) fn add(&self, note: impl Into<String>) {
        self.0.send_modify(|notes| notes.push(note.into()));
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    /// Waits until there are so many.
    pub(crate) async fn until(&self, count: usize) -> Vec<String> {
        let mut notes = self.0.subscribe();
        let reached = notes.wait_for(|notes| notes.len() >= count);
        tokio::time::timeout(HANGS, reached).await.unwrap_or_else(|_| panic!("only {:?}", self.all())).unwrap();
        self.all()
    }
}

/// Notes when it is dropped.
pub(crate) struct OnDrop(pub(crate) Notes, pub(crate) &'static str);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

/// A body of these frames.
pub(crate) struct Frames<I>(pub(crate) I);

impl<I: Iterator<Item = Result<Bytes, E>> + Unpin, E> HttpBody for Frames<I> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        Poll::Ready(self.0.next().map(|frame| frame.map(Frame::data)))
    }
}

/// A body that does not come.
pub(crate) struct Silent;

impl HttpBody for Silent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// A body that panics.
pub(crate) struct Panicking;

impl HttpBody for Panicking {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("the secret")
    }
}

/// All texts of an error and its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
