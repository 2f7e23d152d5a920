//! Streams to feed and to drain, notes of what happened, and servers and clients of each shape.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http_body_util::{BodyExt, Full};
use kit_base::{Bidi, ClientStream, Context as Cx, Endpoint, Error, Request, Response, ServerStream, Streaming};
use kit_transport_grpc::{Body, Connected, Connections, GrpcServer, Prost};
use tokio::sync::{mpsc, watch};

use crate::support::{HANGS, Note, Running, echo, note, shaped};

pub(crate) type Notes = Streaming<Note>;

/// The items of an iterator, each at once.
pub(crate) fn items<I>(items: I) -> Notes
where
    I: IntoIterator<Item = Result<Note, Error>, IntoIter: Send + Unpin + 'static>,
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

/// Notes of these texts.
pub(crate) fn texts<const N: usize>(texts: [&'static str; N]) -> Notes {
    items(texts.map(|text| Ok(note(text))))
}

pub(crate) type Feed = mpsc::UnboundedSender<Result<Note, Error>>;

struct Fed(mpsc::UnboundedReceiver<Result<Note, Error>>);

impl Stream for Fed {
    type Item = Result<Note, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// A stream of what is fed; it ends when nobody can feed it any more.
pub(crate) fn feed() -> (Feed, Notes) {
    let (feed, fed) = mpsc::unbounded_channel();
    (feed, Streaming::new(Fed(fed)))
}

/// A stream with something that rides in it.
pub(crate) fn with(stream: Notes, rides: impl Send + Unpin + 'static) -> Notes {
    Streaming::new(With(stream, rides))
}

struct With<D>(Notes, D);

impl<D: Unpin> Stream for With<D> {
    type Item = Result<Note, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx)
    }
}

/// What happened, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(watch::Sender<Vec<String>>);

impl Log {
    pub(crate) fn add(&self, line: impl Into<String>) {
        self.0.send_modify(|lines| lines.push(line.into()));
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    /// Waits until there are so many lines, which come back sorted: what ends together ends in any order.
    pub(crate) async fn until(&self, count: usize) -> Vec<String> {
        let mut lines = self.0.subscribe();
        let reached = lines.wait_for(|lines| lines.len() >= count);
        let reached = tokio::time::timeout(HANGS, reached).await;
        reached.unwrap_or_else(|_| panic!("only {:?}", self.all())).expect("the sender lives");
        let mut lines = self.all();
        lines.sort();
        lines
    }

    pub(crate) fn on_drop(&self, line: &'static str) -> OnDrop {
        OnDrop(self.clone(), line)
    }
}

/// Adds its line when it is dropped.
pub(crate) struct OnDrop(Log, &'static str);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

/// All texts of a stream, and its error.
pub(crate) async fn drain(mut stream: Notes) -> (Vec<String>, Option<Error>) {
    let mut all = Vec::new();
    loop {
        match in_time(stream.message()).await {
            Ok(Some(item)) => all.push(item.text),
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error)),
        }
    }
}

pub(crate) async fn in_time<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(HANGS, work).await.expect("no hang")
}

/// A server whose `Echo` answers by a stream.
pub(crate) fn lists<F, Fut>(call: F) -> GrpcServer
where
    F: Fn(Request<Note, ServerStream>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response<Notes>, Error>> + Send + 'static,
{
    GrpcServer::new().endpoint(echo(), shaped::<ServerStream, _>(call))
}

/// A server whose `Echo` answers by this stream, once.
pub(crate) fn lists_once(stream: Notes) -> GrpcServer {
    let stream = std::sync::Mutex::new(Some(stream));
    lists(move |_| {
        let stream = stream.lock().expect("no panic").take();
        async { stream.map(Response::new).ok_or_else(|| Error::aborted("only once")) }
    })
}

/// A server whose `Echo` takes a stream.
pub(crate) fn takes<F, Fut>(call: F) -> GrpcServer
where
    F: Fn(Request<Notes, ClientStream>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response<Note>, Error>> + Send + 'static,
{
    GrpcServer::new().endpoint(echo(), shaped::<ClientStream, _>(call))
}

/// A server whose `Echo` takes a stream and answers by one.
pub(crate) fn talks<F, Fut>(call: F) -> GrpcServer
where
    F: Fn(Request<Notes, Bidi>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response<Notes>, Error>> + Send + 'static,
{
    GrpcServer::new().endpoint(echo(), shaped::<Bidi, _>(call))
}

pub(crate) type Lists = Connected<Connections, Prost, Note, Notes>;

impl Running {
    pub(crate) fn lists(&self) -> Lists {
        self.client().endpoint(echo())
    }

    pub(crate) fn takes(&self) -> Connected<Connections, Prost, Notes, Note> {
        self.client().endpoint(echo())
    }

    pub(crate) fn talks(&self) -> Connected<Connections, Prost, Notes, Notes> {
        self.client().endpoint(echo())
    }
}

pub(crate) async fn list<E>(endpoint: &E, text: &str) -> Result<Notes, Error>
where
    E: Endpoint<Request<Note, ServerStream>, Response = Response<Notes>, Error = Error>,
{
    list_in(endpoint, Cx::new(), text).await
}

pub(crate) async fn list_in<E>(endpoint: &E, context: Cx, text: &str) -> Result<Notes, Error>
where
    E: Endpoint<Request<Note, ServerStream>, Response = Response<Notes>, Error = Error>,
{
    let request = Request::from_parts(context, note(text));
    in_time(endpoint.call(request)).await.map(Response::into_message)
}

/// A message in its frame.
pub(crate) fn frame(message: &impl prost::Message) -> Bytes {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).expect("a short one");
    [&[0], &length.to_be_bytes()[..], &message].concat().into()
}

/// A call of `Echo` with one message, as it arrives at a server.
pub(crate) fn arriving(timeout: Option<&'static str>) -> http::Request<Full<Bytes>> {
    let mut request = http::Request::post("/test.Notes/Echo").header("content-type", "application/grpc");
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    request.body(Full::new(frame(&note("")))).expect("a request")
}

/// What a server answers to a call with one message.
pub(crate) async fn answer(server: GrpcServer, timeout: Option<&'static str>) -> http::Response<Body> {
    let Ok(answer) = server.routes().expect("routes").call(arriving(timeout)).await;
    answer
}

/// The texts of a body, and its trailers as text.
pub(crate) async fn read(body: Body) -> (Vec<String>, String) {
    let body = body.collect().await.expect("no error");
    let trailers = body.trailers().map(|trailers| {
        let mut lines: Vec<_> =
            trailers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("ascii"))).collect();
        lines.sort();
        lines.join(", ")
    });
    let mut bytes = body.to_bytes();
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(bytes[1..5].try_into().expect("four"));
        let message = bytes.split_to(5 + length as usize).split_off(5);
        all.push(<Note as prost::Message>::decode(message).expect("a note").text);
    }
    (all, trailers.unwrap_or_default())
}

/// Logs how finalizers see each call.
pub(crate) fn logging(server: GrpcServer, log: &Log) -> GrpcServer {
    let log = log.clone();
    server.finalizer(move |finished| {
        let error = finished.error.map_or("ok".to_owned(), |error| error.kind().to_string());
        let left = if finished.left { "left" } else { "stayed" };
        log.add(format!("{error} {left} {} {}", finished.bytes, finished.duration.as_secs()));
    })
}

pub(crate) const MS: Duration = Duration::from_millis(1);
