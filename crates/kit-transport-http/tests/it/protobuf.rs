//! Protobuf, as Go kit's transport/http/proto.

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use kit_base::{Endpoint, Error, Kind, Request, Response};
use kit_testing::backend::{Backend, Reply};
use kit_transport_http::{HttpClient, HttpServer, Protobuf};
use prost::Message;

use crate::support::{By, answer, malformed, op, post, problem, up};

/// Go kit's test message.
#[derive(Clone, PartialEq, Message)]
struct Cat {
    #[prost(int32, tag = "1")]
    age: i32,
    #[prost(string, tag = "2")]
    breed: String,
    #[prost(string, tag = "3")]
    name: String,
}

fn ziggy() -> Cat {
    Cat { age: 13, breed: "Lumpy".to_owned(), name: "Ziggy".to_owned() }
}

async fn older(request: Request<Cat>) -> Result<Response<Cat>, Error> {
    let mut cat = request.into_message();
    cat.age += 1;
    Ok(Response::new(cat).with_status(StatusCode::IM_A_TEAPOT))
}

fn server() -> HttpServer<Protobuf> {
    HttpServer::with_codec(Protobuf).endpoint(op("older"), By(older))
}

#[tokio::test]
async fn a_request_is_protobuf_with_its_type_and_length() {
    // PB-1.
    let backend = Backend::start(Reply::ok().body(ziggy().encode_to_vec())).await.unwrap();
    let client = HttpClient::new(backend.url()).unwrap().codec(Protobuf).endpoint::<Cat, Cat>(op("older"));
    assert_eq!(client.call(Request::new(ziggy())).await.unwrap().into_message(), ziggy());
    let sent = &backend.requests()[0];
    assert_eq!(sent.headers()["content-type"], "application/x-protobuf");
    assert_eq!(sent.headers()["accept"], "application/x-protobuf");
    assert_eq!(sent.headers()["content-length"], sent.body().len().to_string());
    assert_eq!(Cat::decode(sent.body().clone()).unwrap(), ziggy());
}

#[tokio::test]
async fn an_answer_is_protobuf_under_the_status_of_the_response() {
    // PB-2.
    let mut request = post("/older", ziggy().encode_to_vec());
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/protobuf"));
    let answer = answer(server(), request).await;
    assert_eq!(answer.status(), 418);
    assert_eq!(answer.headers()["content-type"], "application/x-protobuf");
    assert_eq!(Cat::decode(answer.into_body()).unwrap(), Cat { age: 14, ..ziggy() });
}

#[tokio::test]
async fn what_is_no_protobuf_is_400_and_another_type_415() {
    let mut request = post("/older", &b"\xff\xff"[..]);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    malformed(&answer(server(), request).await, "malformed request");
    let details = problem(&answer(server(), post("/older", "{}")).await, 415);
    let detail = details["detail"].as_str().unwrap();
    assert!(detail.ends_with("is not supported, want application/x-protobuf"), "{detail}");
}

#[tokio::test]
async fn no_body_is_the_message_of_defaults_and_back() {
    let same = By(async |request: Request<Cat>| Ok::<_, Error>(Response::new(request.into_message())));
    let served = up(HttpServer::with_codec(Protobuf).endpoint(op("same"), same)).await;
    let client = served.client().codec(Protobuf).endpoint::<Cat, Cat>(op("same"));
    assert_eq!(client.call(Request::new(Cat::default())).await.unwrap().into_message(), Cat::default());
}

#[tokio::test]
async fn errors_are_problem_details_and_come_back() {
    let fail = By(async |_: Request<Cat>| Err::<Response<Cat>, _>(Error::not_found("no such cat")));
    let served = up(HttpServer::with_codec(Protobuf).endpoint(op("fail"), fail)).await;
    let client = served.client().codec(Protobuf).endpoint::<Cat, Cat>(op("fail"));
    let error = client.call(Request::new(ziggy())).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "no such cat"));
}

#[tokio::test]
async fn an_answer_that_is_no_protobuf_is_internal() {
    let backend = Backend::start(Reply::ok().body(Bytes::from_static(b"\xff\xff"))).await.unwrap();
    let client = HttpClient::new(backend.url()).unwrap().codec(Protobuf).endpoint::<Cat, Cat>(op("older"));
    let error = client.call(Request::new(ziggy())).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    assert_eq!(error.message(), "the answer cannot be decoded (200 OK, no content type)");
}
