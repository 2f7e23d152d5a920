//! Allocations of a unary call in process: a program without a test harness, whose threads would be counted too.

use std::convert::Infallible;
use std::future::ready;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use kit_base::{Endpoint, Error, FromService, Operation, Request, Response};
use kit_testing::alloc::{CountingAllocator, count_ready, counting};
use kit_transport_grpc::{GrpcClient, GrpcServer};
use tonic::body::Body;

#[global_allocator]
static ALLOCATOR: CountingAllocator = counting();

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct SumRequest {
    #[prost(int64, tag = "1")]
    a: i64,
    #[prost(int64, tag = "2")]
    b: i64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct SumReply {
    #[prost(int64, tag = "1")]
    v: i64,
}

struct Sum;

impl Endpoint<Request<SumRequest>> for Sum {
    type Response = Response<SumReply>;
    type Error = Error;

    async fn call(&self, request: Request<SumRequest>) -> Result<Response<SumReply>, Error> {
        let SumRequest { a, b } = request.into_message();
        Ok(Response::new(SumReply { v: a + b }))
    }
}

fn add() -> Operation {
    Operation::new("pb.Add", "Sum")
}

/// A frame with `a: 1` and `b: 2`.
const FRAME: &[u8] = &[0, 0, 0, 0, 4, 8, 1, 16, 2];

/// A call as it comes from a connection.
fn arriving() -> http::Request<Full<Bytes>> {
    let request = http::Request::post("/pb.Add/Sum").header(CONTENT_TYPE, "application/grpc").header("te", "trailers");
    request.header("grpc-timeout", "10S").body(Full::new(Bytes::from_static(FRAME))).expect("a request")
}

/// What the server allocates for a call, without the head and the message that arrive.
fn server() -> Vec<(&'static str, u64, u64)> {
    let server = || GrpcServer::new().endpoint(add(), Sum);
    let hooked = server().before(|_| ()).after(|_, _, _| ()).finalizer(|_| ());
    let mut found = Vec::new();
    for (what, most, server) in [("server", 7, server()), ("server with hooks", 8, hooked)] {
        let routes = server.routes().expect("routes");
        for _ in 0..3 {
            let request = arriving();
            let (ok, counts) = count_ready(async || {
                let Ok(answer) = Endpoint::call(&routes, request).await;
                let mut body = answer.into_body();
                let message = body.frame().await.is_some_and(|frame| frame.is_ok_and(|frame| frame.is_data()));
                let trailers = body.frame().await.and_then(Result::ok).and_then(|frame| frame.into_trailers().ok());
                message && trailers.is_some_and(|trailers| trailers["grpc-status"] == "0")
            });
            assert!(ok, "{what}");
            found.push((what, most, counts.allocations));
        }
    }
    found
}

/// What the client allocates for a call; four are for the answer, which is made here.
fn client() -> Vec<(&'static str, u64, u64)> {
    let answers = FromService::new(tower::service_fn(|_: http::Request<Body>| {
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let message = Full::new(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 3]));
        let mut answer = http::Response::new(message.with_trailers(ready(Some(Ok(trailers)))));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        ready(Ok::<_, Infallible>(answer))
    }));
    let client = GrpcClient::over("http://add", answers).expect("a client");
    let sum = client.endpoint::<SumRequest, SumReply>(add());
    let call = || {
        let (answer, counts) = count_ready(|| sum.call(Request::new(SumRequest { a: 1, b: 2 })));
        assert_eq!(answer.expect("an answer").message().v, 3);
        ("client", 14, counts.allocations)
    };
    std::iter::repeat_with(call).take(3).collect()
}

fn main() {
    let found = [server(), client()].concat();
    for (what, most, allocations) in &found {
        assert!(allocations <= most, "{what}: {allocations} allocations, of {found:?}");
    }
}
