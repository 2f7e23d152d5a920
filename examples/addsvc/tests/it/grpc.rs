//! addsvc over gRPC, byte by byte, and what it says to those who call it wrongly.

use std::net::SocketAddr;

use addsvc::{Add as _, AddError, SumRequest, grpc_client};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kit_base::{Context, Endpoint, Error, Kind, Operation, Response};
use kit_serve::Server;
use kit_testing::http::curl;
use kit_testing::tools::skip_unless;
use kit_transport_grpc::GrpcServer;
use tokio::net::TcpStream;

use crate::start;

/// What a server answered: the message of each frame, and its trailers, which may have come as its head.
struct Answer {
    messages: Vec<Vec<u8>>,
    trailers: HeaderMap,
}

impl Answer {
    fn status(&self) -> &HeaderValue {
        &self.trailers["grpc-status"]
    }

    fn text(&self) -> &str {
        self.trailers.get("grpc-message").map_or("", |text| text.to_str().unwrap())
    }
}

/// Posts a body over a connection of its own, by hyper alone.
async fn post(addr: SocketAddr, path: &str, metadata: &[(&'static str, &str)], body: Vec<u8>) -> Answer {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = Request::post(format!("http://{addr}{path}")).header("content-type", "application/grpc");
    for (name, value) in [("te", "trailers")].iter().chain(metadata) {
        request = request.header(*name, *value);
    }
    let answer = sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
    let (head, body) = answer.into_parts();
    assert_eq!((head.status.as_u16(), &head.headers["content-type"]), (200, &"application/grpc".parse().unwrap()));
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or(head.headers);
    let (mut bytes, mut messages) = (&body.to_bytes()[..], Vec::new());
    while let [0, a, b, c, d, rest @ ..] = bytes {
        let (message, rest) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        messages.push(message.to_vec());
        bytes = rest;
    }
    assert_eq!(bytes, [0; 0], "half a frame");
    connection.abort();
    Answer { messages, trailers }
}

fn frame(message: &[u8]) -> Vec<u8> {
    [&[0], &u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// A field of protobuf that holds a text.
fn text(number: u8, text: &str) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

#[tokio::test]
async fn requests_and_replies_have_the_bytes_of_go_kit_s() {
    let addsvc = start().await;
    let minus_one = [&[0x08][..], &[0xff; 9], &[0x01, 0x10, 0x01]].concat();
    let i32_max = [0x08, 0xff, 0xff, 0xff, 0xff, 0x07];
    for (path, request, reply) in [
        ("/pb.Add/Sum", vec![0x08, 1, 0x10, 2], vec![0x08, 3]),
        // Zeroes are not sent.
        ("/pb.Add/Sum", vec![0x10, 7], vec![0x08, 7]),
        ("/pb.Add/Sum", minus_one, vec![]),
        ("/pb.Add/Sum", i32_max.to_vec(), i32_max.to_vec()),
        // Fields in another order, twice (the last counts), and one that is not known.
        ("/pb.Add/Sum", vec![0x10, 2, 0x08, 9, 0x1a, 1, b'x', 0x08, 1], vec![0x08, 3]),
        ("/pb.Add/Concat", [text(1, "1"), text(2, "2")].concat(), text(1, "12")),
        ("/pb.Add/Concat", text(2, "é"), text(1, "é")),
        ("/pb.Add/Concat", vec![], vec![]),
        // Errors of the service's own.
        ("/pb.Add/Sum", vec![], text(2, "can't sum two zeroes")),
        ("/pb.Add/Sum", [&i32_max[..], &[0x10, 1]].concat(), text(2, "integer overflow")),
        ("/pb.Add/Concat", [text(1, "12345"), text(2, "678901")].concat(), text(2, "result exceeds maximum size")),
    ] {
        let answer = post(addsvc.grpc, path, &[], frame(&request)).await;
        assert_eq!((answer.status(), answer.text()), (&HeaderValue::from_static("0"), ""), "{path} {request:x?}");
        assert_eq!(answer.messages, [reply], "{path} {request:x?}");
    }
}

#[tokio::test]
async fn all_but_the_service_s_own_errors_have_a_status() {
    let addsvc = start().await;
    let sum = "/pb.Add/Sum";
    let one = frame(&[0x08, 1]);
    let announced = [&[0][..], &(4 * 1024 * 1024 + 1_u32).to_be_bytes()].concat();
    for (path, metadata, body, status, told) in [
        ("/pb.Add/Product", None, one.clone(), "12", "Product"),
        ("/pb.Subtract/Sum", None, one.clone(), "12", "pb.Subtract"),
        // A path of the same service over HTTP.
        ("/sum", None, one.clone(), "12", "sum"),
        (sum, None, frame(&[0x08]), "13", ""),
        (sum, None, frame(&[0x0a, 1, b'1']), "13", ""),
        ("/pb.Add/Concat", None, frame(&[0x0a, 1, 0xff]), "13", ""),
        (sum, None, announced, "8", "4194304"),
        (sum, Some(("grpc-timeout", "soon")), one.clone(), "3", "soon"),
        (sum, Some(("grpc-timeout", "0n")), one.clone(), "4", "deadline"),
        (sum, Some(("grpc-encoding", "br")), one.clone(), "12", "br"),
    ] {
        let metadata: Vec<_> = metadata.into_iter().collect();
        let answer = post(addsvc.grpc, path, &metadata, body.clone()).await;
        assert_eq!(answer.status(), status, "{path} {metadata:?} {body:x?}: {}", answer.text());
        assert!(answer.text().contains(told), "{:?} is not in {:?}", told, answer.text());
        assert!(answer.messages.is_empty());
    }
}

#[tokio::test]
async fn what_is_no_call_of_grpc_is_told_so_by_http() {
    if !skip_unless("curl") {
        return;
    }
    let addsvc = start().await;
    let url = format!("http://{}/pb.Add/Sum", addsvc.grpc);
    let answer = curl(["-H", "content-type: application/json", "-d", "{}", &url]).await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["accept"]), (415, &"application/grpc".parse().unwrap()));
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let answer = curl([version, "-H", "content-type: application/grpc", &url]).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &"POST".parse().unwrap()));
    }
}

/// Whatever Go kit's `SumReply` holds.
#[derive(prost::Message)]
struct Failed {
    #[prost(string, tag = "2")]
    err: String,
}

struct Newer;

impl Endpoint<kit_base::Request<SumRequest>> for Newer {
    type Response = Response<Failed>;
    type Error = Error;

    async fn call(&self, _: kit_base::Request<SumRequest>) -> Result<Response<Failed>, Error> {
        Ok(Response::new(Failed { err: "no sums on sundays".into() }))
    }
}

#[tokio::test]
async fn an_error_in_the_reply_that_is_not_known_here_is_no_success() {
    let service = GrpcServer::new().endpoint(Operation::new("pb.Add", "Sum"), Newer).build().unwrap();
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let remote = grpc_client(&format!("http://{}", server.local_addr())).unwrap();
    tokio::spawn(server.serve(service, std::future::pending::<()>()));
    let error = remote.sum(&Context::new(), SumRequest { a: 1, b: 2 }).await.unwrap_err();
    let AddError::Other(error) = error else { panic!("{error:?}") };
    assert_eq!((error.kind(), error.message()), (Kind::Unknown, "no sums on sundays"));
}
