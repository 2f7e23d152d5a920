//! Requests that are wrong, and what the server says to each.

use std::time::Instant;

use http::header::{ACCEPT, ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use kit_base::{Endpoint, Kind, Response};
use prost::Message;

use super::parts::Parts;
use super::peer::{Answer, Peer, announced, frame, framed, request};
use crate::support::{Running, echoing, note, serve};

/// Codes by name.
const RESOURCE_EXHAUSTED: &str = "8";
const UNIMPLEMENTED: &str = "12";
const INTERNAL: &str = "13";

async fn echo_server() -> Running {
    serve(echoing(async |request| Ok(Response::new(request.into_message())))).await
}

fn with(name: &'static str, value: &'static str) -> Request<()> {
    let mut request = request();
    let name = HeaderName::from_static(name);
    request.headers_mut().remove(&name);
    request.headers_mut().append(name, HeaderValue::from_static(value));
    request
}

fn to(path: &'static str) -> Request<()> {
    let mut request = request();
    *request.uri_mut() = format!("http://test{path}").parse().expect("a URI");
    request
}

#[track_caller]
fn assert_echoed(case: &str, answer: &Answer, text: &str) {
    assert_eq!((answer.code(), answer.head.status().as_u16()), (Some("0"), 200), "{case}: {answer:?}");
    assert_eq!(answer.data, framed(text), "{case}: {answer:?}");
    assert!(!answer.head.headers().contains_key("grpc-status"), "{case}: {answer:?}");
}

#[tokio::test]
async fn what_is_no_call_of_grpc_is_answered_as_http() {
    let server = echo_server().await;
    let peer = Peer::connect(server.addr).await;
    let types =
        ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8", "application/grpc+json"];
    for content in types {
        let answer = peer.call(with("content-type", content), vec![framed("a")]).await.expect("an answer");
        assert_echoed(content, &answer, "a");
        assert_eq!(answer.head.headers()[CONTENT_TYPE], "application/grpc");
    }
    for content in ["application/grpc-web", "application/grpc-web+proto", "application/grpcx", "text/html", ""] {
        let answer = peer.call(with("content-type", content), vec![framed("a")]).await.expect("an answer");
        assert_eq!(answer.head.status(), 415, "{content}: {answer:?}");
        assert_eq!(answer.head.headers()[ACCEPT], "application/grpc", "{content}: {answer:?}");
        assert_eq!((answer.code(), answer.trailers.as_ref()), (None, None), "{content}: {answer:?}");
        let text = String::from_utf8(answer.data).expect("a text");
        assert!(text.contains("this is a server of gRPC: want the content type application/grpc"), "{text}");
    }
    let mut bare = request();
    bare.headers_mut().remove(CONTENT_TYPE);
    assert_eq!(peer.call(bare, vec![framed("a")]).await.expect("an answer").head.status(), 415);
    for method in ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW"] {
        let mut request = request();
        *request.method_mut() = Method::from_bytes(method.as_bytes()).expect("a method");
        let answer = peer.call(request, vec![framed("a")]).await.expect("an answer");
        assert_eq!(answer.head.status(), 405, "{method}: {answer:?}");
        assert_eq!(answer.head.headers()[ALLOW], "POST", "{method}: {answer:?}");
        assert_eq!(answer.code(), None, "{method}: {answer:?}");
    }
    // It serves to find proxies that drop trailers, and its lack breaks nothing here.
    let mut request = request();
    request.headers_mut().remove("te");
    assert_echoed("no te", &peer.call(request, vec![framed("a")]).await.expect("an answer"), "a");
}

#[tokio::test]
async fn a_method_that_is_not_there_is_unimplemented() {
    let server = echo_server().await;
    let peer = Peer::connect(server.addr).await;
    let cases = [
        ("/test.Notes/Eco", r#"the service "test.Notes" has no method "Eco""#),
        ("/test.Notes/echo", r#"the service "test.Notes" has no method "echo""#),
        ("/test.Notes/", r#"the service "test.Notes" has no method """#),
        ("/test.Notes", r#"the path "/test.Notes" is not /package.Service/Method"#),
        ("/test.notes/Echo", r#"there is no service "test.notes" here"#),
        ("/test.Notes/Echo/", r#"there is no service "test.Notes/Echo" here"#),
        ("//test.Notes/Echo", r#"there is no service "/test.Notes" here"#),
        // Paths are compared as they are: nothing in gRPC encodes them.
        ("/test.Notes/Ech%6F", r#"the service "test.Notes" has no method "Ech%6F""#),
        ("/test.Notes%2FEcho", r#"the path "/test.Notes%2FEcho" is not /package.Service/Method"#),
        ("/other.Service/Echo", r#"there is no service "other.Service" here"#),
        ("/", r#"the path "/" is not /package.Service/Method"#),
        ("", r#"the path "/" is not /package.Service/Method"#),
    ];
    for (path, text) in cases {
        for parts in [vec![framed("a")], vec![]] {
            let answer = peer.call(to(path), parts).await.expect("an answer");
            assert_eq!((answer.code(), answer.text().as_str()), (Some(UNIMPLEMENTED), text), "{path}: {answer:?}");
            assert_eq!((answer.head.status().as_u16(), answer.trailers.is_none()), (200, true), "{path}: {answer:?}");
            assert!(answer.data.is_empty(), "{path}: {answer:?}");
        }
    }
    let long: &'static str = format!("/{}/Echo", "x".repeat(8_000)).leak();
    let answer = peer.call(to(long), vec![framed("a")]).await.expect("an answer");
    assert_eq!((answer.code(), answer.text().len()), (Some(UNIMPLEMENTED), 1024), "{answer:?}");
}

#[tokio::test]
async fn what_is_no_message_is_told_as_what_it_is() {
    let server = echo_server().await;
    let peer = Peer::connect(server.addr).await;
    let hi = note("hi").encode_to_vec();
    let cases = [
        ("no message", vec![], UNIMPLEMENTED, "no message came, and the method takes one"),
        ("an empty body", vec![vec![]], UNIMPLEMENTED, "no message came, and the method takes one"),
        ("two messages", vec![framed("a"), framed("b")], UNIMPLEMENTED, "two messages came, and the method takes one"),
        ("two at once", vec![framed("a").repeat(2)], UNIMPLEMENTED, "two messages came, and the method takes one"),
        (
            "half a head",
            vec![vec![0, 0, 0]],
            INTERNAL,
            "the stream ended within a message, 3 bytes after its beginning",
        ),
        (
            "a head",
            vec![announced(0, 4, &[])],
            INTERNAL,
            "the stream ended within a message, 5 bytes after its beginning",
        ),
        (
            "half a message",
            vec![announced(0, 5, &hi)],
            INTERNAL,
            "the stream ended within a message, 9 bytes after its beginning",
        ),
        (
            "more than announced",
            vec![announced(0, 3, &hi)],
            INTERNAL,
            "the stream ended within a message, 1 bytes after its beginning",
        ),
        ("a flag that is none", vec![frame(2, &hi)], INTERNAL, "a message has the flag 2, which is neither 0 nor 1"),
        (
            "that of gRPC-Web's trailers",
            vec![frame(128, &hi)],
            INTERNAL,
            "a message has the flag 128, which is neither 0 nor 1",
        ),
        ("HTTP/1", vec![b"GET / HTTP/1.1".to_vec()], INTERNAL, "a message has the flag 71, which is neither 0 nor 1"),
        (
            "compressed by nothing",
            vec![frame(1, &hi)],
            INTERNAL,
            "a message is compressed, and no grpc-encoding says how",
        ),
        (
            "garbage",
            vec![frame(0, &[0xff; 12])],
            INTERNAL,
            "a message cannot be decoded: failed to decode Protobuf message: invalid varint",
        ),
        (
            "no UTF-8",
            vec![frame(0, b"\x0a\x02\xc3\x28")],
            INTERNAL,
            "a message cannot be decoded: failed to decode Protobuf message: Note.text: invalid string value: data is not UTF-8 encoded",
        ),
        (
            "another type",
            vec![frame(0, b"\x08\x01")],
            INTERNAL,
            "a message cannot be decoded: failed to decode Protobuf message: Note.text: invalid wire type: Varint (expected LengthDelimited)",
        ),
        (
            "too long",
            vec![announced(0, 4 * 1024 * 1024 + 1, &[])],
            RESOURCE_EXHAUSTED,
            "a message of 4194305 bytes came, more than 4194304 are not taken",
        ),
        (
            "of 4 GiB",
            vec![announced(0, u32::MAX, &hi)],
            RESOURCE_EXHAUSTED,
            "a message of 4294967295 bytes came, more than 4194304 are not taken",
        ),
    ];
    for (case, parts, code, text) in cases {
        let answer = peer.call(request(), parts).await.expect("an answer");
        assert_eq!((answer.code(), answer.text().as_str()), (Some(code), text), "{case}: {answer:?}");
        assert!(answer.data.is_empty() && answer.trailers.is_none(), "{case}: {answer:?}");
        assert_eq!(answer.details().expect("details").message, text, "{case}: {answer:?}");
        // The next call on the connection.
        assert_echoed(case, &peer.call(request(), vec![framed("next")]).await.expect("an answer"), "next");
    }
}

#[tokio::test]
async fn the_parts_of_a_body_mean_nothing() {
    let server = echo_server().await;
    let peer = Peer::connect(server.addr).await;
    let whole = framed("in parts");
    let bytes = whole.iter().map(|byte| vec![*byte]).collect();
    let empty = whole.iter().flat_map(|byte| [vec![], vec![*byte], vec![]]).collect();
    let cases = [
        ("whole", vec![whole.clone()]),
        ("the end apart", vec![whole.clone(), vec![]]),
        ("byte by byte", bytes),
        ("with nothing between", empty),
        ("the head apart", vec![whole[..5].to_vec(), whole[5..].to_vec()]),
    ];
    for (case, parts) in cases {
        assert_echoed(case, &peer.call(request(), parts.clone()).await.expect("an answer"), "in parts");
        // Trailers of a request mean nothing either.
        let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("5"))]);
        let answer = peer.call_with(request(), parts, Some(trailers)).await.expect("an answer");
        assert_echoed(case, &answer, "in parts");
    }
}

#[tokio::test]
async fn a_wrong_content_length_is_a_breach_of_http_that_ends_the_stream_alone() {
    let server = echo_server().await;
    let peer = Peer::connect(server.addr).await;
    let right = framed("a").len();
    for (length, parts) in [(right - 1, vec![framed("a")]), (right + 1, vec![framed("a")]), (right, vec![])] {
        let mut request = request();
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        // As of any stream that is reset: by the reset, or by the status of a call that broke off.
        match peer.call(request, parts).await {
            Err(error) => assert_eq!(error.reason(), Some(h2::Reason::PROTOCOL_ERROR), "{error}"),
            Ok(answer) => assert_ne!(answer.code(), Some("0"), "{answer:?}"),
        }
        assert_echoed("next", &peer.call(self::request(), vec![framed("next")]).await.expect("an answer"), "next");
    }
    let mut request = request();
    request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(right));
    assert_echoed("right", &peer.call(request, vec![framed("a")]).await.expect("an answer"), "a");
}

#[tokio::test]
async fn a_limit_counts_the_bytes_of_the_message_alone() {
    let server = echoing(async |request| Ok(Response::new(request.into_message()))).max_decoding_message_size(100);
    let server = serve(server).await;
    let peer = Peer::connect(server.addr).await;
    let fits = "x".repeat(98);
    assert_echoed("fits", &peer.call(request(), vec![framed(&fits)]).await.expect("an answer"), &fits);
    for parts in [vec![framed(&"x".repeat(99))], framed(&"x".repeat(99)).chunks(7).map(<[u8]>::to_vec).collect()] {
        let answer = peer.call(request(), parts).await.expect("an answer");
        let text = "a message of 101 bytes came, more than 100 are not taken";
        assert_eq!((answer.code(), answer.text().as_str()), (Some(RESOURCE_EXHAUSTED), text), "{answer:?}");
    }
}

#[tokio::test]
async fn a_client_of_this_crate_learns_why_its_large_message_is_not_taken() {
    let server = echo_server().await;
    let echo = server.echo();
    for _ in 0..20 {
        // Much more than the windows let through.
        let error = echo.call(kit_base::Request::new(note("x".repeat(8 * 1024 * 1024)))).await.expect_err("too long");
        let text = "a message of 8388613 bytes came, more than 4194304 are not taken";
        assert_eq!((error.kind(), error.message()), (Kind::ResourceExhausted, text), "{error:?}");
        echo.call(kit_base::Request::new(note("next"))).await.expect("an answer");
    }
}

#[tokio::test]
async fn the_time_for_a_message_grows_with_its_length_alone() {
    let server = echoing(async |_| Ok(Response::new(note("")))).max_decoding_message_size(64 * 1024 * 1024);
    let routes = server.routes().expect("routes");
    let mut took = Vec::new();
    for mib in [1, 8] {
        // Tiny parts: with quadratic copying it would be 64 times as long for 8 times the bytes.
        let body = Parts::of(framed(&"x".repeat(mib << 20)), 32);
        let started = Instant::now();
        let answer = routes.call(request().map(|()| body)).await.expect("an answer");
        assert!(!answer.headers().contains_key("grpc-status"), "{answer:?}");
        took.push(started.elapsed());
    }
    assert!(took[1] < took[0] * 30, "{took:?}");
}
