//! Requests that stream, in process: how items are read, and within which limits.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use http_body_util::{BodyExt, StreamBody};
use kit_base::{Bidi, ClientStream, Endpoint, Error, Request, Response, Streaming};
use kit_transport_http::{HttpServer, Json, Params, Pieces, Raw, Received, Routes};

use crate::support::{Frames, Notes, Silent, Value, answer, ask, feed, malformed, op, post, problem, shaped};

/// Adds what comes at `POST /total`.
pub(crate) fn total() -> HttpServer {
    HttpServer::new().endpoint(op("total"), shaped::<ClientStream, _>(add_up))
}

pub(crate) async fn add_up(request: Request<Streaming<Value>, ClientStream>) -> Result<Response<Value>, Error> {
    let mut items = request.into_message();
    let mut sum = 0;
    while let Some(Value { v }) = items.message().await? {
        sum += v;
    }
    Ok(Response::new(Value { v: sum }))
}

/// Doubles what comes at `POST /double`.
pub(crate) fn double() -> HttpServer {
    let double = shaped::<Bidi, _>(async |request: Request<Streaming<Value>, Bidi>| {
        let doubled = Doubled(request.into_message());
        Ok::<_, Error>(Response::new(Streaming::new(doubled)))
    });
    HttpServer::new().endpoint(op("double"), double)
}

struct Doubled(Streaming<Value>);

impl futures_core::Stream for Doubled {
    type Item = Result<Value, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = std::task::ready!(Pin::new(&mut self.0).poll_next(cx));
        Poll::Ready(item.map(|item| item.map(|Value { v }| Value { v: 2 * v })))
    }
}

fn pieces(
    path: &str,
    pieces: &[&'static str],
) -> http::Request<impl HttpBody<Data = Bytes, Error = Infallible> + Send + 'static> {
    let frames: Vec<_> = pieces.iter().map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes()))).collect();
    let mut request = http::Request::new(Frames(frames.into_iter()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = path.parse().unwrap();
    request
}

async fn sums(routes: &Routes, sent: &[&'static str]) -> String {
    let answer = ask(routes, pieces("/total", sent)).await;
    String::from_utf8_lossy(answer.body()).into_owned()
}

#[tokio::test]
async fn lines_are_items_however_they_are_cut() {
    let routes = total().routes().unwrap();
    assert_eq!(sums(&routes, &[]).await, r#"{"v":0}"#);
    assert_eq!(sums(&routes, &["{\"v\":1}\n{\"v\":2}\n"]).await, r#"{"v":3}"#);
    assert_eq!(sums(&routes, &["{\"v\":1}\r\n\r\n \n{\"v\":2}"]).await, r#"{"v":3}"#);
    assert_eq!(
        sums(&routes, &["{\"v\"", "", ":1}", "\r", "\n{\"v\":", "2}\n{\"v\":3}\n{\"v\":4", "}"]).await,
        r#"{"v":10}"#
    );
}

#[tokio::test]
async fn a_line_that_is_no_item_is_400_and_says_which() {
    let routes = total().routes().unwrap();
    for (sent, says) in [
        ("{\"v\":1}\n\n{\"v\":}\n{\"v\":3}", "line 3, column 6: expected value"),
        ("{\"v\":1}\n{\"w\":2}", "line 2, column 7: missing field `v`"),
        ("{\"v\":1}{\"v\":2}", "line 1, column 8: trailing characters"),
        ("[1]", "line 1, column 0: invalid type: sequence"),
        ("{\"v\":1", "line 1, column 6: EOF"),
    ] {
        malformed(&ask(&routes, pieces("/total", &[sent])).await, says);
    }
}

#[tokio::test]
async fn another_type_is_415_unless_the_reader_is_lenient() {
    for name in ["application/json", "text/plain", "application/x-www-form-urlencoded"] {
        let mut request = pieces("/total", &["{\"v\":1}"]);
        request.headers_mut().insert("content-type", name.parse().unwrap());
        problem(&ask(&total().routes().unwrap(), request).await, 415);
    }
    for name in ["application/x-ndjson", "application/ndjson; charset=utf-8", "application/jsonl"] {
        let mut request = pieces("/total", &["{\"v\":1}"]);
        request.headers_mut().insert("content-type", name.parse().unwrap());
        assert_eq!(ask(&total().routes().unwrap(), request).await.body(), r#"{"v":1}"#);
    }
    let lenient = HttpServer::with_codec(Json::lenient()).endpoint(op("total"), shaped::<ClientStream, _>(add_up));
    let answer = answer(lenient, post("/total", "{\"V\":1}\n{\"v\":2} x")).await;
    assert_eq!(answer.body(), r#"{"v":3}"#);
}

#[tokio::test]
async fn an_item_has_a_limit_and_the_body_has_none_unless_it_is_set() {
    let long = ["{\"v\":1}\n"; 200];
    let server = || total().body_limit(100);
    assert_eq!(sums(&server().routes().unwrap(), &long).await, r#"{"v":200}"#);

    for sent in [
        ["{\"v\":1}\n{\"v\":", "10000000000000000000000000000000", "0}"],
        ["{\"v\":1}\n{\"v\":   ", "                  ", "\n"],
    ] {
        let answer = ask(&server().item_limit(20).routes().unwrap(), pieces("/total", &sent)).await;
        let problem = problem(&answer, 413);
        assert_eq!(problem["reason"], "BODY_TOO_LARGE");
        assert_eq!(problem["detail"], "line 2 of the body is longer than 20 bytes");
    }
    // Exactly at the limit, with either end.
    for sent in [["{\"v\":1}\n"], ["{\"v\":1}\r\n"], ["{\"v\":1}"]] {
        assert_eq!(sums(&server().item_limit(7).routes().unwrap(), &sent).await, r#"{"v":1}"#);
        problem(&ask(&server().item_limit(6).routes().unwrap(), pieces("/total", &sent)).await, 413);
    }

    let limited = server().stream_limit(1000).routes().unwrap();
    assert_eq!(sums(&limited, &["{\"v\":1}\n"; 125]).await, r#"{"v":125}"#);
    problem(&ask(&limited, pieces("/total", &["{\"v\":1}\n"; 126])).await, 413);
    // What announces more is not read.
    problem(&ask(&limited, post("/total", "{\"v\":1}\n".repeat(126))).await, 413);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_does_not_come_is_408() {
    let started = tokio::time::Instant::now();
    let mut silent = http::Request::new(Silent);
    *silent.method_mut() = http::Method::POST;
    *silent.uri_mut() = "/total".parse().unwrap();
    let problem = problem(&ask(&total().routes().unwrap(), silent).await, 408);
    assert_eq!(
        (problem["kind"].as_str(), problem["reason"].as_str()),
        (Some("DEADLINE_EXCEEDED"), Some("BODY_TIMEOUT"))
    );
    assert_eq!(started.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn the_time_for_a_body_is_that_of_each_item() {
    let (feed, stream) = feed::<Frame<Bytes>>();
    let mut request = http::Request::new(StreamBody::new(stream));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = "/total".parse().unwrap();
    let routes = total().body_timeout(Duration::from_secs(10)).routes().unwrap();
    let sending = async move {
        let piece = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_secs(9)).await;
            feed.send(piece("{\"v\":1}\n")).unwrap();
        }
        // Parts of an item are no items.
        for part in ["{", "\"v\"", ":"] {
            tokio::time::sleep(Duration::from_secs(9)).await;
            let _ = feed.send(piece(part));
        }
    };
    let (answer, ()) = tokio::join!(ask(&routes, request), sending);
    problem(&answer, 408);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_of_the_stream() {
    let frames = [Ok(Bytes::from_static(b"{\"v\":1}\n{\"v\":")), Err("reset by peer")];
    let mut request = http::Request::new(Frames(frames.into_iter()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = "/total".parse().unwrap();
    let problem = problem(&ask(&total().routes().unwrap(), request).await, 400);
    assert_eq!(problem["detail"], "the body broke off");
}

#[tokio::test]
async fn an_endpoint_need_not_read_to_the_end() {
    let first = shaped::<ClientStream, _>(async |request: Request<Streaming<Value>, ClientStream>| {
        let first = request.into_message().message().await?;
        Ok::<_, Error>(Response::new(first))
    });
    let answer = answer(HttpServer::new().endpoint(op("m"), first), {
        let mut request = post("/m", "{\"v\":1}\nnonsense");
        request.headers_mut().remove("content-type");
        request
    });
    assert_eq!(answer.await.body(), r#"{"v":1}"#);
}

#[tokio::test]
async fn both_sides_stream_and_the_head_does_not_wait_for_an_item() {
    let routes = double().routes().unwrap();
    let (feed, stream) = feed::<Frame<Bytes>>();
    let mut request = http::Request::new(StreamBody::new(stream));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = "/double".parse().unwrap();
    let Ok(answer) = routes.call(request).await;
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    for v in [1, 2] {
        feed.send(Ok(Frame::data(Bytes::from(format!("{{\"v\":{v}}}\n"))))).unwrap();
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame, format!("{{\"v\":{}}}\n", 2 * v));
    }
    feed.send(Ok(Frame::data(Bytes::from_static(b"nonsense\n")))).unwrap();
    let last = body.collect().await.unwrap().to_bytes();
    let last = String::from_utf8_lossy(&last);
    assert!(
        last.starts_with("{\"$error\":") && last.contains("MALFORMED_REQUEST") && last.contains("line 3"),
        "{last}"
    );
}

#[tokio::test]
async fn raw_bytes_go_through_in_both_directions() {
    let echo = shaped::<Bidi, _>(async |request: Request<Streaming<Bytes>, Bidi>| {
        let kind = request.context().inbound()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(kind, "image/png");
        Ok::<_, Error>(Response::new(request.into_message()))
    });
    let mut request = pieces("/m", &["a", "bc", "", "d"]);
    request.headers_mut().insert("content-type", "image/png".parse().unwrap());
    let routes = HttpServer::with_codec(Raw).endpoint(op("m"), echo).routes().unwrap();
    assert_eq!(ask(&routes, request).await.body(), "abcd");
}

#[tokio::test]
async fn an_upload_finds_the_parameters_of_its_route_in_its_context() {
    let upload = shaped::<ClientStream, _>(async |request: Request<Streaming<Bytes>, ClientStream>| {
        let params = request.context().extensions().get::<Params>().unwrap().clone();
        let mut items = request.into_message();
        let mut length = 0;
        while let Some(piece) = items.message().await? {
            length += piece.len();
        }
        Ok::<_, Error>(Response::new((params, length)))
    });
    let server =
        HttpServer::new().route("upload", "PUT /files/{name}?tag").handle(op("upload"), upload, Raw, Json::new());
    let mut request = pieces("/files/a%20b?tag=x&other=y", &["123", "45"]);
    *request.method_mut() = http::Method::PUT;
    assert_eq!(ask(&server.routes().unwrap(), request).await.body(), r#"[[["name","a b"],["tag","x"]],5]"#);
}

#[tokio::test]
async fn a_closure_reads_items_of_its_own() {
    let lengths = |_: &Received<'_>, body: Pieces| {
        assert_eq!(body.item_limit(), 7);
        Ok::<_, Error>(body.into_stream())
    };
    let notes = Notes::default();
    let seen = notes.clone();
    let endpoint = shaped::<ClientStream, _>(move |request: Request<Streaming<Bytes>, ClientStream>| {
        let seen = seen.clone();
        async move {
            let mut items = request.into_message();
            while let Some(piece) = items.message().await? {
                seen.add(String::from_utf8_lossy(&piece));
            }
            Ok::<_, Error>(Response::new(()))
        }
    });
    let server = HttpServer::new().item_limit(7).handle(op("m"), endpoint, lengths, Json::new());
    ask(&server.routes().unwrap(), pieces("/m", &["ab", "c"])).await;
    assert_eq!(notes.all(), ["ab", "c"]);
}
