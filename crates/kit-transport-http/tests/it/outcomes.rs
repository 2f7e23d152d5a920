//! What a success and an error look like on the wire: statuses, headers, bodies, problem details.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use kit_base::{Error, Kind, Request, Response};
use kit_testing::http::{Peer, curl, raw};
use kit_testing::tools::skip_unless;
use kit_transport_http::{HttpServer, Json, Received};
use serde_json::json;

use crate::support::{By, answer, ask, failing, op, post, problem, request, up};

/// Answers every verb at `/m` with what the closure makes.
fn with(make: impl Fn() -> Response<serde_json::Value> + Send + Sync + 'static) -> HttpServer {
    let endpoint = By(move |_: Request<serde_json::Value>| {
        let response = make();
        async { Ok::<_, Error>(response) }
    });
    HttpServer::new().endpoint(op("m"), endpoint).route("m", "ANY /m")
}

#[tokio::test]
async fn a_response_chooses_status_and_headers() {
    // HTTP-S9, S10.
    let server = with(|| {
        let mut response = Response::new(json!({"foo": "bar"})).with_status(StatusCode::PAYMENT_REQUIRED);
        let headers = &mut response.parts_mut().headers;
        headers.append("x-edward", HeaderValue::from_static("Snowden"));
        headers.append("vary", HeaderValue::from_static("Origin"));
        headers.append("vary", HeaderValue::from_static("User-Agent"));
        headers.append("x-latin", HeaderValue::from_bytes(b"\xe9").unwrap());
        response
    });
    let answer = answer(server, post("/m", "{}")).await;
    assert_eq!(answer.status(), 402);
    assert_eq!(answer.headers()["x-edward"], "Snowden");
    assert_eq!(answer.headers().get_all("vary").iter().collect::<Vec<_>>(), ["Origin", "User-Agent"]);
    assert_eq!(answer.headers()["x-latin"].as_bytes(), b"\xe9");
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.body(), r#"{"foo":"bar"}"#);
}

#[tokio::test]
async fn no_content_and_not_modified_have_no_body_on_the_wire() {
    // HTTP-S12.
    for status in [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED] {
        let served = up(with(move || Response::new(json!(1)).with_status(status))).await;
        let mut peer = Peer::connect(served.addr).await.unwrap();
        // Two on one connection: a body would be taken for the head of the second answer.
        for _ in 0..2 {
            peer.send("POST /m HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
            let answer = peer.response().await.unwrap();
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers().get(CONTENT_TYPE), None);
            assert_eq!(answer.headers().get(CONTENT_LENGTH), None);
            assert!(answer.body().is_empty());
        }
    }
}

#[tokio::test]
async fn an_encoder_cannot_give_a_body_to_no_content_either() {
    let server = failing(|| Error::not_found("x")).error_encoder(|_| {
        let mut answer = http::Response::new(Bytes::from_static(b"body"));
        *answer.status_mut() = StatusCode::NO_CONTENT;
        Some(answer)
    });
    assert!(answer(server, post("/fail", "{}")).await.body().is_empty());
}

#[tokio::test]
async fn head_is_answered_as_get_without_its_body() {
    let server = || with(|| Response::new(json!([1, 2, 3]))).route("m", "GET /m");
    let routes = server().routes().unwrap();
    let answer = ask(&routes, request(Method::HEAD, "/m", "")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-length"], "7");
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert!(answer.body().is_empty());

    let answer = ask(&routes, request(Method::HEAD, "/nope", "")).await;
    assert_eq!(answer.status(), 404);
    assert!(answer.body().is_empty());

    let served = up(server()).await;
    let mut peer = Peer::connect(served.addr).await.unwrap();
    for target in ["/m", "/nope"] {
        peer.send(format!("HEAD {target} HTTP/1.1\r\nhost: a\r\n\r\n")).await.unwrap();
        let answer = peer.head_response().await.unwrap();
        assert_eq!(answer.headers()["content-length"] == "7", target == "/m");
    }
    peer.send("GET /m HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(peer.response().await.unwrap().body(), "[1,2,3]");

    if skip_unless("curl") {
        let url = format!("{}/m", served.url());
        let answer = curl(["--http2-prior-knowledge", "--head", &url]).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-length"], "7");
    }
}

#[tokio::test]
async fn lengths_and_connection_headers_of_a_response_are_left_to_the_transport() {
    // A handler that passes on the response of a client passes on its headers too.
    let server = with(|| {
        let mut response = Response::new(json!("longer than seven"));
        let names = ["content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer"];
        for name in names {
            response.parts_mut().headers.insert(HeaderName::from_static(name), HeaderValue::from_static("7"));
        }
        response
    });
    let served = up(server).await;
    let answer = raw(served.addr, "POST /m HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
    let answer = String::from_utf8(answer).unwrap().to_lowercase();
    assert!(answer.contains("content-length: 19\r\n"), "{answer}");
    for name in ["transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer"] {
        assert!(!answer.contains(&format!("\r\n{name}:")), "{name}: {answer}");
    }
    assert!(answer.ends_with("\"longer than seven\""));
}

#[tokio::test]
async fn a_wrong_length_from_a_hook_is_put_right() {
    let server = with(|| Response::new(json!("abc"))).after(|_, headers| {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("1"));
    });
    let served = up(server).await;
    let answer =
        kit_testing::http::raw_response(served.addr, "POST /m HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}");
    assert_eq!(answer.await.unwrap().body(), r#""abc""#);
}

#[tokio::test]
async fn an_outcome_encoder_puts_errors_into_the_answer() {
    let divide = By(async |request: Request<(i64, i64)>| {
        let (a, b) = request.into_message();
        a.checked_div(b).map(Response::new).ok_or_else(|| Error::invalid_argument("division by zero"))
    });
    let encode = |_: &Received<'_>, outcome: Result<Response<i64>, Error>| {
        let body = match &outcome {
            Ok(response) => json!({ "v": response.message() }),
            Err(error) => json!({ "err": error.message() }),
        };
        Ok(http::Response::new(Bytes::from(body.to_string())))
    };
    let routes = HttpServer::new().handle(op("m"), divide, Json::new(), encode).routes().unwrap();
    let answer = ask(&routes, post("/m", "[6,3]")).await;
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &br#"{"v":2}"#[..]));
    let answer = ask(&routes, post("/m", "[6,0]")).await;
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &br#"{"err":"division by zero"}"#[..]));
    // What cannot be decoded has no outcome.
    problem(&ask(&routes, post("/m", "[6]")).await, 400);
}

#[tokio::test]
async fn every_kind_is_problem_details_under_its_status() {
    for kind in Kind::ALL {
        let server = failing(move || {
            Error::new(kind, "it's \"wrong\"").with_reason("SO_IT_IS").with_retry_after(Duration::from_millis(1500))
        });
        let answer = answer(server, post("/fail", "{}")).await;
        let details = problem(&answer, kind.http_status().as_u16());
        assert_eq!(details["type"], "about:blank");
        assert_eq!(details["kind"], kind.as_str());
        assert_eq!(details["reason"], "SO_IT_IS");
        let detail = match kind {
            Kind::Internal => "internal error",
            Kind::Unknown => "unknown error",
            _ => "it's \"wrong\"",
        };
        assert_eq!(details["detail"], detail);
        assert_eq!(answer.headers()["retry-after"], "2");
        let title = kind.http_status().canonical_reason().unwrap_or("Client Closed Request");
        assert_eq!(details["title"], title);
    }
}

#[tokio::test]
async fn curl_understands_499() {
    if !skip_unless("curl") {
        return;
    }
    let served = up(failing(|| Error::cancelled("gone"))).await;
    let url = format!("{}/fail", served.url());
    let answer = curl(["-H", "content-type: application/json", "-d", "{}", &url]).await.unwrap();
    assert_eq!(problem(&answer, 499)["kind"], "CANCELLED");
}
