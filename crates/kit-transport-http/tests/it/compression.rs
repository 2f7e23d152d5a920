//! Compression by tower-http and reqwest: no code of this crate, but what it must not break.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use http_body_util::BodyExt;
use kit_base::{Endpoint, Request, Response, ServerStream, Streaming};
use kit_testing::http::curl;
use kit_testing::tools::skip_unless;
use kit_transport_http::{HttpServer, Sse};
use tower::{Layer, ServiceExt};
use tower_http::compression::CompressionLayer;
use tower_http::decompression::RequestDecompressionLayer;

use crate::streams::ticking;
use crate::support::{By, HANGS, Served, Value, calling, feed, op, post, problem, serve, sum};

/// A server whose answers are compressed for whoever takes that.
async fn compressing(server: HttpServer) -> Served {
    serve(CompressionLayer::new().layer(server.build().unwrap())).await
}

fn long() -> HttpServer {
    let long = By(async |_: Request<()>| Ok::<_, kit_base::Error>(Response::new("abc".repeat(10_000))));
    HttpServer::new().route("long", "GET /long").endpoint(op("long"), long)
}

/// The bytes, compressed by the real gzip.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip").arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = gzip.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = gzip.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    output.stdout
}

#[tokio::test]
async fn curl_reads_compressed_json() {
    if !skip_unless("curl") {
        return;
    }
    let served = compressing(long()).await;
    let url = format!("{}/long", served.url());
    let plain = curl([&url]).await.unwrap();
    assert!(!plain.headers().contains_key("content-encoding"));
    let compressed = curl(["--compressed", "-H", "accept-encoding: gzip", &url]).await.unwrap();
    assert_eq!(compressed.headers()["content-encoding"], "gzip");
    assert_eq!(compressed.body(), plain.body());
}

#[tokio::test]
async fn the_client_reads_it_by_a_feature_of_reqwest() {
    let served = compressing(long()).await;
    let client = served.client().route("long", "GET /long").after(|_, _, headers| {
        // reqwest takes both away when it has undone them.
        assert!(!headers.contains_key("content-encoding") && !headers.contains_key("content-length"));
    });
    let answer = client.endpoint::<(), String>(op("long")).call(Request::new(())).await.unwrap();
    assert_eq!(answer.into_message(), "abc".repeat(10_000));
    // The limit is that of what was undone.
    let little = client.response_limit(1000).endpoint::<(), String>(op("long"));
    let error = little.call(Request::new(())).await.unwrap_err();
    assert_eq!(error.reason(), Some("ANSWER_TOO_LARGE"));
}

#[tokio::test]
async fn events_are_left_alone_and_lines_are_flushed_one_by_one() {
    let stream = std::sync::Mutex::new(Vec::new());
    let (to_events, events) = feed();
    let (to_lines, lines) = feed();
    stream.lock().unwrap().extend([lines, events]);
    let served = compressing(ticking(move || stream.lock().unwrap().pop().unwrap())).await;
    let client = served.client().route("ticks", "GET /ticks").after(|_, _, headers| {
        assert!(!headers.contains_key("content-encoding"));
    });
    for v in [1, 2] {
        to_events.send(Ok(Value { v })).unwrap();
        to_lines.send(Ok(Value { v })).unwrap();
    }
    let events = client.endpoint::<(), Streaming<Sse<Value>>>(op("ticks"));
    let mut events = events.call(calling::<ServerStream, _>(())).await.unwrap().into_message();
    let lines = client.endpoint::<(), Streaming<Value>>(op("ticks"));
    let mut lines = lines.call(calling::<ServerStream, _>(())).await.unwrap().into_message();
    for v in 1..5 {
        let event = tokio::time::timeout(HANGS, events.message()).await.unwrap().unwrap().unwrap();
        assert_eq!(event.data, Value { v });
        let line = tokio::time::timeout(HANGS, lines.message()).await.unwrap().unwrap().unwrap();
        assert_eq!(line, Value { v });
        to_events.send(Ok(Value { v: v + 2 })).unwrap();
        to_lines.send(Ok(Value { v: v + 2 })).unwrap();
    }
}

#[tokio::test]
async fn which_streams_are_compressed() {
    for (accept, compressed) in [("text/event-stream", false), ("application/x-ndjson", true)] {
        let many = ticking(|| crate::support::items((0..100).map(|v| Ok(Value { v }))));
        let service = CompressionLayer::new().layer(many.build().unwrap());
        let mut request = crate::streams::accepting(accept);
        request.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
        let answer = service.oneshot(request).await.unwrap();
        assert_eq!(answer.headers().contains_key("content-encoding"), compressed, "{accept}");
    }
}

#[tokio::test]
async fn compressed_requests_are_read_by_a_layer_and_are_415_without_it() {
    if !skip_unless("gzip") {
        return;
    }
    let compressed = || {
        let mut request = post("/sum", gzip(br#"{"a":1,"b":2}"#));
        request.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        request
    };
    let answer = sum().build().unwrap().oneshot(compressed()).await.unwrap();
    assert_eq!(answer.status(), 415);

    let reading = RequestDecompressionLayer::new().layer(sum().build().unwrap());
    let answer = reading.clone().oneshot(compressed()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), r#"{"v":3}"#);
    for unknown in ["br", "zstd", "gzip, gzip", "nonsense"] {
        let mut request = compressed();
        request.headers_mut().insert("content-encoding", unknown.parse().unwrap());
        assert_eq!(reading.clone().oneshot(request).await.unwrap().status(), 415, "{unknown}");
    }
}

#[tokio::test]
async fn a_bomb_is_stopped_by_the_limit_of_the_body() {
    if !skip_unless("gzip") {
        return;
    }
    let bomb = gzip(&vec![b' '; 16 * 1024 * 1024]);
    assert!(bomb.len() < 32 * 1024);
    let reading = RequestDecompressionLayer::new().layer(sum().build().unwrap());
    let mut request = post("/sum", bomb);
    request.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    let answer = tokio::time::timeout(Duration::from_secs(10), reading.oneshot(request)).await.unwrap().unwrap();
    let (head, body) = answer.into_parts();
    let answer = http::Response::from_parts(head, body.collect().await.unwrap().to_bytes());
    assert_eq!(problem(&answer, 413)["reason"], "BODY_TOO_LARGE");
}

#[tokio::test]
async fn compressed_streams_of_requests_are_read_as_they_come() {
    if !skip_unless("gzip") {
        return;
    }
    let reading = RequestDecompressionLayer::new().layer(crate::stream_requests::total().build().unwrap());
    let mut request = post("/total", gzip(b"{\"v\":1}\n{\"v\":2}\n"));
    request.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    request.headers_mut().insert("content-type", "application/x-ndjson".parse().unwrap());
    let answer = reading.oneshot(request).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), r#"{"v":3}"#);
}
