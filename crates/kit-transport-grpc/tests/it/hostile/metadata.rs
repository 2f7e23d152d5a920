//! Metadata and texts of any form, both ways.

use http::{HeaderMap, HeaderName, HeaderValue};
use kit_base::{Context, Endpoint, Error, Kind, Request, Response};
use kit_transport_grpc::binary_values;
use tokio::sync::mpsc::unbounded_channel;
use tonic_types::ErrorDetails;

use super::peer::{Peer, framed, request};
use crate::support::{Note, echoing, note, serve};

#[tokio::test]
async fn metadata_arrives_as_it_was_sent() {
    let (inbound, mut seen) = unbounded_channel();
    let server = serve(echoing(move |request: Request<Note>| {
        let _ = inbound.send(request.context().inbound().clone());
        async { Ok::<_, Error>(Response::new(note(""))) }
    }))
    .await;
    let peer = Peer::connect(server.addr).await;
    let mut request = request();
    let values: [(&str, &[u8]); 9] = [
        ("x-many", b"2"),
        ("x-many", b"1"),
        ("x-many", b"3, 4"),
        ("x-latin", b"gr\xfc\xdfe"),
        ("x-utf8", "grüße".as_bytes()),
        ("x-empty", b""),
        ("x_under.score", b"a  b"),
        ("x-bytes-bin", b"AAH/,AAE=, AAECAw"),
        ("x-broken-bin", b"!!"),
    ];
    for (name, value) in values {
        let name = HeaderName::from_static(name);
        request.headers_mut().append(name, HeaderValue::from_bytes(value).expect("a value"));
    }
    request.headers_mut().append("x-bytes-bin", HeaderValue::from_static("AA=="));
    let answer = peer.call(request, vec![framed("")]).await.expect("an answer");
    assert_eq!(answer.code(), Some("0"), "{answer:?}");
    let inbound: HeaderMap = seen.recv().await.expect("a call");
    let many: Vec<_> = inbound.get_all("x-many").iter().collect();
    assert_eq!(many, ["2", "1", "3, 4"]);
    for (name, value) in &values[3..7] {
        assert_eq!(inbound[*name].as_bytes(), *value, "{name}");
    }
    let bytes = binary_values(&inbound, "x-bytes-bin").expect("base64");
    assert_eq!(bytes, [&[0, 1, 255][..], &[0, 1], &[0, 1, 2, 3], &[0]]);
    let error = binary_values(&inbound, "x-broken-bin").expect_err("no base64");
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert_eq!(error.message(), r#"metadata "x-broken-bin" has the value "!!", which is not base64"#);
}

#[tokio::test]
async fn what_arrived_may_be_sent_back_but_for_what_is_the_transports() {
    // A method that hands on all that it got, as metadata of both kinds.
    let server = serve(echoing(async |request: Request<Note>| {
        let inbound = request.context().inbound().clone();
        let mut response = Response::new(request.into_message());
        response.parts_mut().headers = inbound.clone();
        response.parts_mut().trailers = inbound;
        Ok(response)
    }))
    .await;
    let peer = Peer::connect(server.addr).await;
    let mut request = request();
    let reserved = ["grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-encoding", "grpc-accept-encoding"];
    for name in reserved.into_iter().chain(["grpc-timeout", "grpc-new", "grpc-retry-pushback-ms"]) {
        let value = match name {
            "grpc-timeout" => "1H",
            "grpc-encoding" => "identity",
            _ => "7",
        };
        request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    request.headers_mut().insert("x-mine", HeaderValue::from_bytes(b"gr\xfc\xdfe").expect("a value"));
    request.headers_mut().insert("content-length", HeaderValue::from(framed("a").len()));
    let answer = peer.call(request, vec![framed("a")]).await.expect("an answer");
    assert_eq!((answer.code(), &answer.data), (Some("0"), &framed("a")), "{answer:?}");
    let trailers = answer.trailers.as_ref().expect("trailers");
    for headers in [answer.head.headers(), trailers] {
        assert_eq!(headers["x-mine"].as_bytes(), b"gr\xfc\xdfe", "{answer:?}");
        for name in ["te", "content-length", "grpc-timeout", "grpc-new", "grpc-message", "grpc-retry-pushback-ms"] {
            assert!(!headers.contains_key(name), "{name}: {answer:?}");
        }
    }
    assert_eq!(trailers.get_all("grpc-status").iter().collect::<Vec<_>>(), ["0"]);
    assert_eq!(answer.head.headers().get_all("content-type").iter().count(), 1, "{answer:?}");
    assert!(!answer.head.headers().contains_key("grpc-encoding"), "{answer:?}");
}

#[tokio::test]
async fn a_text_of_any_characters_reaches_the_caller() {
    let server = serve(echoing(async |request: Request<Note>| {
        Err(Error::not_found(request.into_message().text).with_reason("ANY"))
    }))
    .await;
    let peer = Peer::connect(server.addr).await;
    let echo = server.echo();
    let texts = ["100 %", "%41", "%", "%zz", "zeile\nzwei\r\n\ttab", "\0\u{7f}", "grüße 🦀", " ends ", "\"<>&'`"];
    for text in texts {
        let answer = peer.call(request(), vec![framed(text)]).await.expect("an answer");
        assert_eq!((answer.code(), answer.text().as_str()), (Some("5"), text), "{answer:?}");
        assert_eq!(answer.details().expect("details").message, text, "{answer:?}");
        let wire = answer.head.headers()["grpc-message"].as_bytes();
        assert!(wire.iter().all(|byte| matches!(byte, b' '..=b'~')), "{answer:?}");
        let error = echo.call(Request::new(note(text))).await.expect_err("an error");
        assert_eq!((error.kind(), error.message(), error.reason()), (Kind::NotFound, text, Some("ANY")));
    }
    // The most that many peers take is 8 KiB of metadata, with details of the user's own too.
    let server = echoing(async |request: Request<Note>| Err(Error::not_found(request.into_message().text)));
    let server =
        serve(server.error_details(|_| Some(ErrorDetails::with_bad_request_violation("field", "wrong")))).await;
    let (peer, echo) = (Peer::connect(server.addr).await, server.echo());
    for text in ["x".repeat(10_000), "ü%".repeat(5_000), "🦀".repeat(3_000)] {
        let error = echo.call(Request::new(note(&*text))).await.expect_err("an error");
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(text.starts_with(error.message()) && (1020..=1024).contains(&error.message().len()), "{error:?}");
        let answer = peer.call(request(), vec![framed(&text)]).await.expect("an answer");
        assert_eq!(answer.details().expect("details").message, error.message());
        let size: usize =
            answer.head.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
        assert!(size < 8 * 1024, "{size}");
    }
}

#[tokio::test]
async fn metadata_that_is_too_long_is_refused_and_others_are_served() {
    let server = serve(echoing(async |request| Ok(Response::new(request.into_message())))).await;
    let echo = server.echo();
    let context = Context::new()
        .with_outbound(HeaderName::from_static("x-long"), HeaderValue::try_from("x".repeat(1 << 20)).expect("a value"));
    let error = echo.call(Request::from_parts(context, note("a"))).await.expect_err("too long");
    // HTTP's 431, or the stream's or connection's end, as the server has it: never a success, never a hang.
    assert!(matches!(error.kind(), Kind::Unknown | Kind::Internal | Kind::Unavailable), "{error:?}");
    assert_eq!(echo.call(Request::new(note("next"))).await.expect("an answer").message().text, "next");
}
