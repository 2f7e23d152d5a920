//! Calls that stream, with tonic's own client and server at the other end.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context as Cx, Poll};
use std::time::Instant;

use futures_core::Stream;
use http::uri::{PathAndQuery, Uri};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use kit_base::{Bidi, ClientStream, Context, Deadline, Endpoint, Error, Kind, Request, Response, Streaming};
use kit_transport_grpc::GrpcClient;
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::streams_support::{
    Log, MS, Notes, drain, feed, in_time, items, list, list_in, lists, logging, takes, talks, texts, with,
};
use crate::support::{Note, Running, echo, note, serve};

/// prost messages, for tonic.
struct Prost<T>(PhantomData<T>);

impl<T: Message + Default + 'static> Codec for Prost<T> {
    type Encode = T;
    type Decode = T;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(PhantomData)
    }

    fn decoder(&mut self) -> Self {
        Self(PhantomData)
    }
}

impl<T: Message> Encoder for Prost<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(to).map_err(|error| Status::internal(error.to_string()))
    }
}

impl<T: Message + Default> Decoder for Prost<T> {
    type Item = T;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<T>, Status> {
        T::decode(from).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

fn codec() -> Prost<Note> {
    Prost(PhantomData)
}

/// Without the errors, which end it.
struct Good(Notes);

impl Stream for Good {
    type Item = Note;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<Option<Note>> {
        Pin::new(&mut self.0).poll_next(cx).map(|item| item?.ok())
    }
}

type Tonic = tonic::client::Grpc<Client<HttpConnector, tonic::body::Body>>;

async fn tonic_client(server: &Running) -> Tonic {
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let mut client = tonic::client::Grpc::with_origin(client, server.url().parse::<Uri>().unwrap());
    client.ready().await.unwrap();
    client
}

fn path() -> PathAndQuery {
    PathAndQuery::from_static("/test.Notes/Echo")
}

async fn tonic_drain(
    mut answer: tonic::Streaming<Note>,
) -> (Vec<String>, Result<Option<tonic::metadata::MetadataMap>, Status>) {
    let mut all = Vec::new();
    loop {
        match in_time(answer.message()).await {
            Ok(Some(item)) => all.push(item.text),
            Ok(None) => return (all, answer.trailers().await),
            Err(status) => return (all, Err(status)),
        }
    }
}

#[tokio::test]
async fn tonics_client_reads_a_stream_its_trailers_and_its_error() {
    let server = serve(lists(|request: Request<Note, _>| async move {
        let mut response = Response::new(match request.message().text.as_str() {
            "fails" => items([Ok(note("1")), Err(Error::out_of_range("too far"))]),
            "refused" => items([Err(Error::not_found("no"))]),
            _ => texts(["1", "2"]),
        });
        response.parts_mut().trailers.insert("x-tail", "t".parse().unwrap());
        Ok(response)
    }))
    .await;
    let mut client = tonic_client(&server).await;
    let answer = client.server_streaming(tonic::Request::new(note("")), path(), codec()).await.unwrap();
    let (all, trailers) = tonic_drain(answer.into_inner()).await;
    assert_eq!((all.len(), trailers.unwrap().unwrap().get("x-tail").unwrap().to_str().unwrap()), (2, "t"));
    let answer = client.server_streaming(tonic::Request::new(note("fails")), path(), codec()).await.unwrap();
    let (all, error) = tonic_drain(answer.into_inner()).await;
    let error = error.unwrap_err();
    assert_eq!((all.len(), error.code(), error.message()), (1, tonic::Code::OutOfRange, "too far"));
    let error = client.server_streaming(tonic::Request::new(note("refused")), path(), codec()).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn tonics_client_sends_a_stream_and_talks_turn_by_turn() {
    let server = serve(takes(async |request: Request<Notes, ClientStream>| {
        let (all, error) = drain(request.into_message()).await;
        error.map_or_else(|| Ok(Response::new(note(all.join("+")))), Err)
    }))
    .await;
    let mut client = tonic_client(&server).await;
    let request = tonic::Request::new(Good(texts(["a", "b"])));
    let reply = in_time(client.client_streaming(request, path(), codec())).await.unwrap();
    assert_eq!(reply.into_inner().text, "a+b");

    let server = serve(talks(async |request: Request<Notes, Bidi>| Ok(Response::new(request.into_message())))).await;
    let mut client = tonic_client(&server).await;
    let (feed, said) = feed();
    let heard = in_time(client.streaming(tonic::Request::new(Good(said)), path(), codec())).await.unwrap();
    let mut heard = heard.into_inner();
    for text in ["one", "two"] {
        feed.send(Ok(note(text))).unwrap();
        assert_eq!(in_time(heard.message()).await.unwrap(), Some(note(text)));
    }
    drop(feed);
    assert!(in_time(heard.message()).await.unwrap().is_none());
}

#[tokio::test]
async fn tonics_client_that_leaves_ends_the_stream() {
    let log = Log::default();
    let (feed, stream) = feed();
    feed.send(Ok(note("1"))).unwrap();
    let stream = std::sync::Mutex::new(Some(with(stream, log.on_drop("dropped"))));
    let server = lists(move |_| {
        let stream = stream.lock().unwrap().take().unwrap();
        async { Ok(Response::new(stream)) }
    });
    let server = serve(logging(server, &log)).await;
    let mut client = tonic_client(&server).await;
    let answer = client.server_streaming(tonic::Request::new(note("")), path(), codec()).await.unwrap();
    let mut answer = answer.into_inner();
    in_time(answer.message()).await.unwrap();
    drop(answer);
    let lines = log.until(2).await;
    assert!(lines[0] == "dropped" && lines[1].starts_with("ok left"), "{lines:?}");
}

/// Items as tonic's server sends them.
struct Sent(Notes);

impl Stream for Sent {
    type Item = Result<Note, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0)
            .poll_next(cx)
            .map(|item| item.map(|item| item.map_err(|error| kit_transport_grpc::to_status(&error))))
    }
}

/// Items as tonic's server gets them. Its decoder takes a reset for an end.
struct Got(tonic::Streaming<Note>);

impl Stream for Got {
    type Item = Result<Note, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx).map(|item| item.map(|item| item.map_err(kit_transport_grpc::from_status)))
    }
}

/// tonic's server of this streaming method.
async fn tonic_server<F>(call: F) -> Running
where
    F: Fn(Notes) -> Notes + Clone + Send + Sync + 'static,
{
    let service = tower::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let call = call.clone();
        async move {
            let method = tower::service_fn(move |request: tonic::Request<tonic::Streaming<Note>>| {
                let mut answer = tonic::Response::new(Sent(call(Streaming::new(Got(request.into_inner())))));
                answer.metadata_mut().insert("x-head", "h".parse().expect("ascii"));
                std::future::ready(Ok::<_, Status>(answer))
            });
            Ok::<_, Infallible>(tonic::server::Grpc::new(codec()).streaming(method, request).await)
        }
    });
    Running::accepting(move |stream| {
        let service = TowerToHyperService::new(service.clone());
        async move {
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            // How it ended is seen by whoever called.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await
}

#[tokio::test]
async fn our_client_talks_to_tonics_server_in_each_shape() {
    let server = tonic_server(|said| said).await;
    let (feed, said) = feed();
    let heard = in_time(server.talks().call(Request::from_parts(Context::new(), said))).await.unwrap();
    assert_eq!(heard.parts().unwrap().headers["x-head"], "h");
    let mut heard = heard.into_message();
    for text in ["one", "two"] {
        feed.send(Ok(note(text))).unwrap();
        assert_eq!(in_time(heard.message()).await.unwrap(), Some(note(text)));
    }
    drop(feed);
    assert!(in_time(heard.message()).await.unwrap().is_none());
    assert_eq!(drain(list(&server.lists(), "x").await.unwrap()).await.0, ["x"]);
    let reply = in_time(server.takes().call(Request::from_parts(Context::new(), texts(["y"])))).await.unwrap();
    assert_eq!(reply.message().text, "y");
    // Two answers where one was promised.
    let error = in_time(server.takes().call(Request::from_parts(Context::new(), texts(["y", "z"])))).await;
    assert!(error.is_err());
}

#[tokio::test]
async fn our_client_gets_the_error_of_tonics_server() {
    let server = tonic_server(|_| items([Ok(note("1")), Err(Error::already_exists("here"))])).await;
    let (all, error) = drain(list(&server.lists(), "").await.unwrap()).await;
    let error = error.unwrap();
    assert_eq!((all.len(), error.kind(), error.message()), (1, Kind::AlreadyExists, "here"));
}

#[tokio::test]
async fn our_client_ends_a_stream_of_tonics_server_at_the_deadline_and_when_it_leaves() {
    let log = Log::default();
    let dropped = log.clone();
    let server = tonic_server(move |_| {
        let (feed, stream) = feed();
        let _ = feed.send(Ok(note("1")));
        // It goes on for ever, whatever the caller's deadline is.
        with(stream, (feed, dropped.on_drop("dropped")))
    })
    .await;
    let started = Instant::now();
    let context = Context::new().with_deadline(Deadline::after(started, 300 * MS));
    let (all, error) = drain(list_in(&server.lists(), context, "").await.unwrap()).await;
    assert_eq!((all.len(), error.unwrap().kind()), (1, Kind::DeadlineExceeded));
    assert!(started.elapsed() >= 300 * MS);
    log.until(1).await;
    let mut items = list(&server.lists(), "").await.unwrap();
    in_time(items.message()).await.unwrap();
    drop(items);
    log.until(2).await;
}

#[tokio::test]
async fn a_stream_goes_over_a_service_of_the_users() {
    let server = serve(talks(async |request: Request<Notes, Bidi>| Ok(Response::new(request.into_message())))).await;
    let service = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<tonic::body::Body>();
    let call = GrpcClient::with_service(server.url(), service).unwrap().endpoint::<Notes, Notes>(echo());
    let said = items([Ok(note("1")), Err(Error::aborted("mine"))]);
    let outcome = in_time(call.call(Request::<_, Bidi>::from_parts(Context::new(), said))).await;
    let error = match outcome {
        Ok(heard) => drain(heard.into_message()).await.1,
        Err(error) => Some(error),
    };
    assert_eq!(error.unwrap().message(), "mine");
}
