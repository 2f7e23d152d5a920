//! Endpoints as methods of a service that tonic has generated and serves.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue};
use hyper::body::Incoming;
use kit_base::{
    Bidi, ClientStream, Deadline, Endpoint, Error, IntoService, Kind, Operation, Request, Response, ServerStream,
    Streaming, Unary,
};
use kit_transport_grpc::{GrpcClient, GrpcServer, IntoTonic, TonicStream, status_of};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

use crate::generated::{HealthCheckRequest, HealthCheckResponse, HealthClient, ask, check, client};
use crate::support::{HANGS, Note, note, serve, serve_service};

const SHORT: Duration = Duration::from_millis(200);

/// A service of endpoints.
struct Moved {
    check: IntoTonic<Acts>,
    watch: IntoTonic<Acts>,
}

#[tonic::async_trait]
impl Health for Moved {
    async fn check(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        self.check.unary(request).await
    }

    type WatchStream = TonicStream<HealthCheckResponse>;

    async fn watch(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, Status> {
        self.watch.server_streaming(request).await
    }
}

fn moved() -> HealthServer<Moved> {
    let watch = Operation::new("grpc.health.v1.Health", "Watch");
    HealthServer::new(Moved { check: IntoTonic::new(check(), Acts), watch: IntoTonic::new(watch, Acts) })
}

/// Does as it is told; with a stream, after one message.
struct Acts;

async fn act(told: &str) -> Result<HealthCheckResponse, Error> {
    match told {
        "panic" => panic!("as told"),
        "hang" => pending().await,
        "fail" => Err(Error::resource_exhausted("no").with_reason("NO").with_retry_after(Duration::from_secs(7))),
        "secret" => Err(Error::internal("secret")),
        text => Ok(HealthCheckResponse { status: text.len() as i32 }),
    }
}

impl Endpoint<Request<HealthCheckRequest>> for Acts {
    type Response = Response<HealthCheckResponse>;
    type Error = Error;

    async fn call(&self, request: Request<HealthCheckRequest>) -> Result<Self::Response, Error> {
        let context = request.context();
        assert_eq!(context.operation(), &check());
        let seen = context.inbound().get("x-key").cloned();
        let deadline = HeaderValue::from(u16::from(context.deadline().is_some()));
        let mut response = Response::new(act(&request.message().service).await?);
        if let Some(seen) = seen {
            response = response.with_header(HeaderName::from_static("x-seen"), seen);
        }
        Ok(response
            .with_header(HeaderName::from_static("x-deadline"), deadline)
            .with_header(HeaderName::from_static("content-length"), HeaderValue::from_static("3")))
    }
}

impl Endpoint<Request<HealthCheckRequest, ServerStream>> for Acts {
    type Response = Response<Streaming<HealthCheckResponse>>;
    type Error = Error;

    async fn call(&self, request: Request<HealthCheckRequest, ServerStream>) -> Result<Self::Response, Error> {
        let told = request.into_message().service;
        let first = tokio_stream::once(Ok(HealthCheckResponse { status: 0 }));
        let (send, items) = tokio::sync::mpsc::channel(1);
        if told == "endless" {
            let endless = std::iter::repeat_with(|| Ok(HealthCheckResponse { status: 1 }));
            return Ok(Response::new(Streaming::new(tokio_stream::iter(endless))));
        }
        if told == "panic" {
            let panics = first.chain(tokio_stream::iter([()]).map(|()| panic!("as told")));
            return Ok(Response::new(Streaming::new(panics)));
        }
        tokio::spawn(async move { send.send(act(&told).await).await });
        Ok(Response::new(Streaming::new(first.chain(tokio_stream::wrappers::ReceiverStream::new(items)))))
    }
}

#[tokio::test]
async fn a_call_goes_through_an_endpoint_with_its_context() {
    // Under tonic's own client and server, as far as the service goes.
    let server = serve_service(moved()).await;
    let mut client = client(&server.url());
    let mut request = tonic::Request::new(ask("abc"));
    request.metadata_mut().insert("x-key", "v".parse().expect("ASCII"));
    request.set_timeout(Duration::from_secs(60));
    let answer = client.check(request).await.expect("an answer");
    assert_eq!(answer.metadata().get("x-seen").expect("a header"), "v");
    assert_eq!(answer.metadata().get("x-deadline").expect("a header"), "1");
    assert_eq!(answer.into_inner().status, 3);
    let answer = client.check(ask("abc")).await.expect("an answer");
    assert_eq!(answer.metadata().get("x-deadline").expect("a header"), "0");
}

#[tokio::test]
async fn an_error_is_the_status_that_stands_for_it() {
    let server = serve_service(moved()).await;
    let mut client = client(&server.url());
    let status = client.check(ask("fail")).await.expect_err("an error");
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "no"));
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").expect("a push-back"), "7000");
    assert_eq!(status.get_details_error_info().expect("ErrorInfo").reason, "NO");
    for told in ["secret", "panic"] {
        let status = client.check(ask(told)).await.expect_err("an error");
        assert_eq!((status.code(), status.message()), (Code::Internal, "internal error"), "{told}");
    }
    // On this side the error is behind it.
    let status = moved_check(ask("secret")).await.expect_err("an error");
    let error = std::error::Error::source(&status).and_then(|error| error.downcast_ref::<Error>());
    assert_eq!(error.map(Error::message), Some("secret"));
}

async fn moved_check(request: HealthCheckRequest) -> Result<tonic::Response<HealthCheckResponse>, Status> {
    IntoTonic::new(check(), Acts).unary(tonic::Request::new(request)).await
}

#[tokio::test]
async fn a_stream_ends_in_its_status() {
    let server = serve_service(moved()).await;
    let mut client = client(&server.url());
    let mut items = client.watch(ask("abc")).await.expect("a stream").into_inner();
    let mut statuses = Vec::new();
    while let Some(item) = items.message().await.expect("an item") {
        statuses.push(item.status);
    }
    assert_eq!(statuses, [0, 3]);
    let mut items = client.watch(ask("fail")).await.expect("a stream").into_inner();
    items.message().await.expect("an item");
    assert_eq!(items.message().await.expect_err("an error").code(), Code::ResourceExhausted);
    // tonic sends the item along with the panic that comes at once, or not at all.
    let mut items = client.watch(ask("panic")).await.expect("a stream").into_inner();
    let status = loop {
        if let Err(status) = items.message().await {
            break status;
        }
    };
    assert_eq!((status.code(), status.message()), (Code::Internal, "internal error"));
}

#[tokio::test]
async fn a_deadline_is_kept_for_the_call_and_for_its_stream() {
    // In this process, so that no timer of a channel is first.
    let mut client = HealthClient::new(moved());
    let started = Instant::now();
    let timed = |told: &str| {
        let mut request = tonic::Request::new(ask(told));
        request.set_timeout(SHORT);
        request
    };
    let hangs = tokio::time::timeout(HANGS, async {
        let status = client.check(timed("hang")).await.expect_err("too late");
        assert_eq!(status.code(), Code::DeadlineExceeded);
        for told in ["hang", "endless"] {
            let mut items = client.watch(timed(told)).await.expect("a stream").into_inner();
            let status = loop {
                assert!(started.elapsed() < HANGS, "{told} goes on");
                if let Err(status) = items.message().await {
                    break status;
                }
            };
            assert_eq!(status.code(), Code::DeadlineExceeded, "{told}");
        }
    });
    hangs.await.expect("no hang");
    assert!(started.elapsed() >= 3 * SHORT);
    // The one that whoever serves has set, and one that is none.
    let mut request = tonic::Request::new(ask("abc"));
    request.extensions_mut().insert(Deadline::at(Instant::now()));
    let late = IntoTonic::new(check(), Acts).unary(request).await;
    assert_eq!(late.expect_err("too late").code(), Code::DeadlineExceeded);
    let mut request = tonic::Request::new(ask("abc"));
    request.metadata_mut().insert("grpc-timeout", "soon".parse().expect("ASCII"));
    assert_eq!(client.check(request).await.expect_err("malformed").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_service_of_endpoints_is_served_by_our_server_too() {
    let server = serve(GrpcServer::new().add_service(moved())).await;
    let mut client = client(&server.url());
    assert_eq!(client.check(ask("abc")).await.expect("an answer").into_inner().status, 3);
}

/// Joins the texts of a stream, or echoes each of them.
struct Notes;

impl Endpoint<Request<Streaming<Note>, ClientStream>> for Notes {
    type Response = Response<Note>;
    type Error = Error;

    async fn call(&self, request: Request<Streaming<Note>, ClientStream>) -> Result<Response<Note>, Error> {
        let mut items = request.into_message();
        let mut joined = String::new();
        while let Some(item) = items.message().await? {
            joined += &item.text;
        }
        Ok(Response::new(note(joined)))
    }
}

impl Endpoint<Request<Streaming<Note>, Bidi>> for Notes {
    type Response = Response<Streaming<Note>>;
    type Error = Error;

    async fn call(&self, request: Request<Streaming<Note>, Bidi>) -> Result<Response<Streaming<Note>>, Error> {
        Ok(Response::new(Streaming::new(request.into_message().map(|item| match item {
            Ok(item) if item.text == "fail" => Err(Error::aborted("as told")),
            item => item,
        }))))
    }
}

/// Serves both methods by tonic's own part of a server, which generated services call.
struct ByTonic(Arc<IntoTonic<Notes>>);

impl Endpoint<http::Request<Incoming>> for ByTonic {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;

    async fn call(&self, request: http::Request<Incoming>) -> Result<Self::Response, Infallible> {
        let mut grpc = tonic::server::Grpc::new(ProstCodec::<Note, Note>::new());
        let notes = Arc::clone(&self.0);
        Ok(if request.uri().path().ends_with("Join") {
            let join = tower::service_fn(move |request| {
                let notes = Arc::clone(&notes);
                async move { notes.client_streaming(request).await }
            });
            grpc.client_streaming(join, request).await
        } else {
            let echo = tower::service_fn(move |request| {
                let notes = Arc::clone(&notes);
                async move { notes.streaming(request).await }
            });
            grpc.streaming(echo, request).await
        })
    }
}

#[tokio::test]
async fn requests_stream_too() {
    let notes = IntoTonic::new(Operation::new("test.Notes", "Any"), Notes);
    let server = serve_service(IntoService::new(ByTonic(Arc::new(notes)))).await;
    let client = tonic::transport::Channel::from_shared(server.url()).expect("a URL").connect_lazy();
    let mut client = tonic::client::Grpc::new(client);
    client.ready().await.expect("a connection");
    let path = http::uri::PathAndQuery::from_static;
    let items = || tonic::Request::new(tokio_stream::iter(["a", "b"].map(note)));
    let codec = ProstCodec::<Note, Note>::new;
    let joined = client.client_streaming(items(), path("/test.Notes/Join"), codec()).await.expect("an answer");
    assert_eq!(joined.into_inner().text, "ab");
    client.ready().await.expect("a connection");
    let mut echoed = client.streaming(items(), path("/test.Notes/Echo"), codec()).await.expect("items").into_inner();
    assert_eq!(echoed.message().await.expect("an item"), Some(note("a")));
    assert_eq!(echoed.message().await.expect("an item"), Some(note("b")));
    assert_eq!(echoed.message().await.expect("an end"), None);
    let items = tonic::Request::new(tokio_stream::iter(["fail"].map(note)));
    client.ready().await.expect("a connection");
    let failed = client.streaming(items, path("/test.Notes/Echo"), codec()).await;
    let status = match failed {
        Err(status) => status,
        Ok(items) => items.into_inner().message().await.expect_err("an error"),
    };
    assert_eq!((status.code(), status.message()), (Code::Aborted, "as told"));
}

#[tokio::test]
async fn our_client_reads_what_came_of_an_endpoint_behind_tonic() {
    let server = serve_service(moved()).await;
    let client = GrpcClient::new(server.url()).expect("a client");
    let call = client.endpoint::<HealthCheckRequest, HealthCheckResponse>(check());
    let error = Endpoint::<Request<_, Unary>>::call(&call, Request::new(ask("fail"))).await.expect_err("an error");
    assert_eq!((error.kind(), error.reason()), (Kind::ResourceExhausted, Some("NO")));
    assert!(status_of(&error).is_some());
}
