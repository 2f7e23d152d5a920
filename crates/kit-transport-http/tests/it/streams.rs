//! Answers that stream, in process: their forms, and when their heads go out.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use kit_base::{Error, Kind, Request, Response, ServerStream, Streaming};
use kit_transport_http::{EncodeResponseStream, Form, HttpServer, Json, Raw, Received, Sse};

use crate::support::{Notes, OnDrop, Value, With, answer, ask, feed, get, items, op, post, problem, request, shaped};

/// Answers `GET /ticks` with a stream that the closure makes.
pub(crate) fn ticking<T, F>(make: F) -> HttpServer
where
    T: Send + 'static,
    Json: EncodeResponseStream<T>,
    F: Fn() -> Streaming<T> + Send + Sync + 'static,
{
    let ticks = shaped::<ServerStream, _>(move |_: Request<(), ServerStream>| {
        let stream = make();
        async move { Ok::<_, Error>(Response::new(stream)) }
    });
    HttpServer::new().route("ticks", "GET /ticks").endpoint(op("ticks"), ticks)
}

fn three() -> Streaming<Value> {
    items((1..=3).map(|v| Ok(Value { v })))
}

/// A `GET /ticks` that accepts this.
pub(crate) fn accepting(accept: &str) -> http::Request<Full<Bytes>> {
    let mut request = get("/ticks");
    request.headers_mut().insert("accept", accept.parse().unwrap());
    request
}

#[tokio::test]
async fn a_stream_is_a_line_of_json_for_each_item() {
    let answer = answer(ticking(three), get("/ticks")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    assert_eq!(answer.headers()["cache-control"], "no-cache");
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    assert_eq!(answer.body(), "{\"v\":1}\n{\"v\":2}\n{\"v\":3}\n");
}

#[tokio::test]
async fn a_stream_without_items_is_an_empty_success() {
    let answer = answer(ticking(|| items::<Value, _>([])), get("/ticks")).await;
    assert_eq!((answer.status().as_u16(), answer.body().len()), (200, 0));
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
}

#[tokio::test]
async fn whoever_prefers_events_gets_them() {
    let routes = ticking(three).routes().unwrap();
    for accept in [
        "text/event-stream",
        "Text/Event-Stream",
        "text/event-stream, */*;q=0.1",
        "application/x-ndjson;q=0.5, text/event-stream",
        "text/*",
        "text/event-stream, */*",
    ] {
        let answer = ask(&routes, accepting(accept)).await;
        assert_eq!(answer.headers()["content-type"], "text/event-stream", "{accept}");
        assert_eq!(answer.headers()["cache-control"], "no-cache");
        assert_eq!(answer.body(), "data: {\"v\":1}\n\ndata: {\"v\":2}\n\ndata: {\"v\":3}\n\n");
    }
    for accept in [
        "*/*",
        "application/json",
        "application/x-ndjson, text/event-stream",
        "text/event-stream;q=0.1, application/*",
        "text/event-stream;q=0",
        "text/html, q, ;;, text/event-stream;q=nan, a/b;q=7",
    ] {
        let answer = ask(&routes, accepting(accept)).await;
        assert_eq!(answer.headers()["content-type"], "application/x-ndjson", "{accept}");
    }
}

#[tokio::test]
async fn events_have_names_ids_and_times_and_lines_have_their_data_alone() {
    let server = || {
        ticking(|| {
            let retry = Duration::from_millis(2500);
            items([
                Ok(Sse::new(1).with_event("tick").with_id("a1").with_retry(retry)),
                Ok(Sse::new(2).with_id("")),
                Ok(Sse::new(3)),
            ])
        })
    };
    let events = answer(server(), accepting("text/event-stream")).await;
    assert_eq!(events.body(), "event: tick\nid: a1\nretry: 2500\ndata: 1\n\nid: \ndata: 2\n\ndata: 3\n\n");
    assert_eq!(answer(server(), get("/ticks")).await.body(), "1\n2\n3\n");
}

#[tokio::test]
async fn an_event_cannot_be_forged_by_a_line_break_in_its_name() {
    for event in [Sse::new(1).with_event("a\ndata: 7"), Sse::new(1).with_id("a\rb"), Sse::new(1).with_id("\0")] {
        let server = ticking(move || items([Ok(event.clone())]));
        problem(&answer(server, accepting("text/event-stream")).await, 500);
    }
}

#[tokio::test]
async fn an_error_before_the_first_item_is_an_answer_of_its_own() {
    let before = ticking(|| items::<Value, _>([Err(Error::not_found("no ticks").with_reason("NO_CLOCK"))]));
    let details = problem(&answer(before, get("/ticks")).await, 404);
    assert_eq!(details["reason"], "NO_CLOCK");

    let failing = shaped::<ServerStream, _>(async |_: Request<(), ServerStream>| {
        Err::<Response<Streaming<Value>>, _>(Error::unavailable("later").with_retry_after(Duration::from_secs(7)))
    });
    let failing = HttpServer::new().endpoint(op("m"), failing);
    let answer = answer(failing, post("/m", "")).await;
    problem(&answer, 503);
    assert_eq!(answer.headers()["retry-after"], "7");
}

#[tokio::test]
async fn an_item_that_cannot_be_encoded_is_an_internal_error() {
    let odd = || std::collections::BTreeMap::from([((1, 2), 3)]);
    let first = ticking(move || items([Ok(odd())]));
    problem(&answer(first, get("/ticks")).await, 500);
    let second = ticking(move || items([Ok(Default::default()), Ok(odd())]));
    let answer = answer(second, get("/ticks")).await;
    let text = String::from_utf8_lossy(answer.body());
    assert!(text.starts_with("{}\n{\"$error\":{") && text.contains("\"INTERNAL\""), "{text}");
}

fn fails_late() -> Streaming<Value> {
    let error = Error::resource_exhausted("too \"many\"\nticks").with_reason("TIRED");
    items([Ok(Value { v: 1 }), Err(error.with_retry_after(Duration::from_millis(1500)))])
}

const DETAILS: &str = r#"{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"too \"many\"\u000aticks","kind":"RESOURCE_EXHAUSTED","reason":"TIRED","retry_after_ms":1500}"#;

#[tokio::test]
async fn an_error_after_an_item_is_the_last_line() {
    let answer = answer(ticking(fails_late), get("/ticks")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.body(), &format!("{{\"v\":1}}\n{{\"$error\":{DETAILS}}}\n"));
}

#[tokio::test]
async fn an_error_after_an_event_is_an_event_of_its_own() {
    let answer = answer(ticking(fails_late), accepting("text/event-stream")).await;
    assert_eq!(answer.body(), &format!("data: {{\"v\":1}}\n\nevent: problem\ndata: {DETAILS}\n\n"));
}

#[tokio::test]
async fn an_internal_error_in_a_stream_is_neutral_on_the_wire() {
    let server = ticking(|| items([Ok(1), Err(Error::internal("db1 is gone").with_source("password"))]));
    let answer = answer(server, get("/ticks")).await;
    let text = String::from_utf8_lossy(answer.body());
    assert!(text.contains("internal error") && !text.contains("db1") && !text.contains("password"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_head_waits_for_the_first_item_but_not_forever() {
    let (feed, stream) = feed::<Value>();
    let stream = std::sync::Mutex::new(Some(stream));
    let routes = ticking(move || stream.lock().unwrap().take().unwrap()).routes().unwrap();
    let started = tokio::time::Instant::now();
    let Ok(answer) = kit_base::Endpoint::call(&routes, accepting("text/event-stream")).await;
    assert_eq!(started.elapsed(), Duration::from_secs(15));
    assert_eq!(answer.status(), 200);
    // A comment goes with it, since a proxy may hold a head without a body, and then one now and again.
    let mut body = answer.into_body();
    let mut next = async || {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        (started.elapsed().as_secs(), String::from_utf8(frame.to_vec()).unwrap())
    };
    assert_eq!(next().await, (15, ":\n\n".to_owned()));
    assert_eq!(next().await, (30, ":\n\n".to_owned()));
    tokio::time::sleep(Duration::from_secs(10)).await;
    feed.send(Ok(Value { v: 1 })).unwrap();
    assert_eq!(next().await, (40, "data: {\"v\":1}\n\n".to_owned()));
    assert_eq!(next().await, (55, ":\n\n".to_owned()));
    // An error is too late for an answer of its own.
    feed.send(Err(Error::aborted("x"))).unwrap();
    let (_, last) = next().await;
    assert!(last.starts_with("event: problem\n"), "{last}");
    assert!(body.is_end_stream());
    assert!(body.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn how_often_a_sign_of_life_is_given_can_be_set_and_lines_have_none() {
    let (_feed, stream) = feed::<Value>();
    let stream = std::sync::Mutex::new(Some(stream));
    let server = ticking(move || stream.lock().unwrap().take().unwrap()).keep_alive(Duration::from_secs(2));
    let Ok(answer) = kit_base::Endpoint::call(&server.routes().unwrap(), get("/ticks")).await;
    let mut body = answer.into_body();
    assert!(tokio::time::timeout(Duration::from_secs(3600), body.frame()).await.is_err());
}

#[tokio::test]
async fn a_head_request_has_the_head_and_drops_the_stream() {
    let notes = Notes::default();
    let (dropped, finals) = (notes.clone(), notes.clone());
    let server = ticking(move || Streaming::new(With(three(), OnDrop(dropped.clone(), "dropped"))))
        .finalizer(move |finished| finals.add(format!("{:?} {} {}", finished.status, finished.bytes, finished.left)));
    let answer = answer(server, request(Method::HEAD, "/ticks", "")).await;
    assert_eq!((answer.status().as_u16(), answer.body().len()), (200, 0));
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    assert!(!answer.headers().contains_key("content-length"));
    assert_eq!(notes.all(), ["dropped", "Some(200) 0 false"]);
}

#[tokio::test]
async fn status_and_headers_of_the_response_stand_over_those_of_the_form() {
    let created = shaped::<ServerStream, _>(async |_: Request<(), ServerStream>| {
        Ok::<_, Error>(
            Response::new(three())
                .with_status(StatusCode::ACCEPTED)
                .with_header(HeaderName::from_static("content-type"), HeaderValue::from_static("application/jsonl"))
                .with_header(HeaderName::from_static("content-length"), HeaderValue::from_static("3")),
        )
    });
    let server = HttpServer::new().endpoint(op("m"), created).after(|_, headers| {
        headers.insert("x-after", HeaderValue::from_static("1"));
    });
    let answer = answer(server, post("/m", "")).await;
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["content-type"], "application/jsonl");
    assert_eq!(answer.headers()["x-after"], "1");
    assert!(!answer.headers().contains_key("content-length"));
    assert_eq!(answer.body(), "{\"v\":1}\n{\"v\":2}\n{\"v\":3}\n");
}

#[tokio::test]
async fn a_closure_chooses_a_form_of_its_own() {
    let csv = |_: &Received<'_>| {
        let form = Form::new(HeaderValue::from_static("text/csv"), |Value { v }| Ok(Bytes::from(format!("{v},\n"))));
        Ok::<_, Error>(form.with_error(|error| Bytes::from(format!("# {}\n", error.kind()))))
    };
    let endpoint =
        || shaped::<ServerStream, _>(async |_: Request<(), ServerStream>| Ok::<_, Error>(Response::new(fails_late())));
    let server = HttpServer::new().prefix("/v1").handle(op("m"), endpoint(), Json::new(), csv);
    let csv_answer = answer(server, post("/v1/m", "")).await;
    assert_eq!(csv_answer.headers()["content-type"], "text/csv");
    assert_eq!(csv_answer.body(), "1,\n# RESOURCE_EXHAUSTED\n");

    let none = |_: &Received<'_>| Err::<Form<Value>, _>(Error::out_of_range("no form"));
    let server = HttpServer::new().handle(op("m"), endpoint(), Json::new(), none);
    problem(&answer(server, post("/m", "")).await, 400);
}

#[tokio::test]
async fn raw_bytes_are_sent_as_they_come_and_an_error_breaks_the_transfer_off() {
    let raw = |fail: bool| {
        let endpoint = shaped::<ServerStream, _>(move |_: Request<Bytes, ServerStream>| {
            let last = if fail { Err(Error::data_loss("the disk is gone")) } else { Ok(Bytes::from_static(b"cd")) };
            let stream = items([Ok(Bytes::from_static(b"ab")), last]);
            async { Ok::<_, Error>(Response::new(stream)) }
        });
        HttpServer::with_codec(Raw).endpoint(op("m"), endpoint).routes().unwrap()
    };
    let whole = ask(&raw(false), post("/m", "")).await;
    assert_eq!(whole.headers()["content-type"], "application/octet-stream");
    assert_eq!(whole.body(), "abcd");

    let Ok(part) = kit_base::Endpoint::call(&raw(true), post("/m", "")).await;
    assert_eq!(part.status(), 200);
    let error = part.into_body().collect().await.unwrap_err();
    assert_eq!(error.kind(), Kind::DataLoss);
}

#[tokio::test]
async fn an_item_that_brings_its_own_line_breaks_is_one_line_and_one_event_all_the_same() {
    let pretty = || serde_json::value::RawValue::from_string("{\n \"v\":\r\n\n\"a\\nb\"}".to_owned()).unwrap();
    let server = || ticking(move || items([Ok(pretty()), Ok(pretty())]));
    let lines = answer(server(), get("/ticks")).await;
    let item = "{  \"v\":   \"a\\nb\"}";
    assert_eq!(lines.body(), &format!("{item}\n{item}\n"));
    let mut request = get("/ticks");
    request.headers_mut().insert("accept", "text/event-stream".parse().unwrap());
    assert_eq!(answer(server(), request).await.body(), &format!("data: {item}\n\ndata: {item}\n\n"));
}
