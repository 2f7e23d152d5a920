//! Bodies that come too slowly, answers that are taken too slowly, and services that take too long.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use kit_serve::{BodyTooSlow, MinRate, RequestBody, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tower::service_fn;

use crate::support::{Body, GET, HANGS, Raw, bind, get, hello, http2, start, text, until};

const SHORT: Duration = Duration::from_millis(200);

fn rate(bytes_per_second: u32, grace: Duration) -> MinRate {
    MinRate::new(NonZeroU32::new(bytes_per_second).unwrap(), grace)
}

/// 100 bytes a second after 200 ms.
fn usual() -> MinRate {
    rate(100, SHORT)
}

fn within(since: Instant, least: Duration) {
    let took = since.elapsed();
    assert!(took >= least - Duration::from_millis(20) && took < least + Duration::from_secs(5), "took {took:?}");
}

/// Answers the length of the body, or 408 when it comes too slowly, as kit's transport does.
async fn length(request: Request<RequestBody>) -> Result<Response<Body>, Infallible> {
    Ok(match request.into_body().collect().await {
        Ok(body) => text(body.to_bytes().len().to_string()),
        Err(error) => {
            let slow = error.downcast_ref::<BodyTooSlow>().expect("another error");
            let source = std::error::Error::source(slow).unwrap().downcast_ref::<std::io::Error>().unwrap();
            assert_eq!(source.kind(), std::io::ErrorKind::TimedOut);
            let mut response = text(slow.to_string());
            *response.status_mut() = http::StatusCode::REQUEST_TIMEOUT;
            response
        }
    })
}

const POST: &str = "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1000\r\n\r\n";

#[tokio::test]
async fn a_body_that_stops_is_given_up_after_the_grace_and_its_connection_closed_after_the_answer() {
    let server = start!(bind().await.body_rate(usual()), service_fn(length));
    for begun in ["", "x"] {
        let since = Instant::now();
        let mut raw = Raw::connect(server.addr).await;
        raw.send(POST).await;
        raw.send(begun).await;
        let answer = raw.rest().await;
        within(since, SHORT);
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert!(answer.ends_with("the body of the request comes too slowly"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_drips_is_given_up_and_a_steady_one_is_not() {
    let server = start!(bind().await.body_rate(usual()), service_fn(length));
    for (piece, status) in [(1, 408), (20, 200)] {
        let mut raw = Raw::connect(server.addr).await;
        raw.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 200\r\n\r\n").await;
        let (mut read, mut write) = raw.0.split();
        let drip = async {
            let mut pace = tokio::time::interval(Duration::from_millis(50));
            loop {
                pace.tick().await;
                if write.write_all(&b"x".repeat(piece)).await.is_err() {
                    return std::future::pending().await;
                }
            }
        };
        let mut answer = vec![0; 12];
        tokio::select! {
            read = tokio::time::timeout(HANGS, read.read_exact(&mut answer)) => { read.unwrap().unwrap(); }
            () = drip => {}
        }
        assert_eq!(String::from_utf8(answer).unwrap(), format!("HTTP/1.1 {status}"));
    }
}

#[tokio::test]
async fn only_the_time_counts_in_which_the_service_waits() {
    let server = start!(
        bind().await.body_rate(usual()),
        service_fn(|request: Request<RequestBody>| async {
            // Longer than any credit; meanwhile the body is nobody's concern.
            tokio::time::sleep(12 * SHORT).await;
            length(request).await
        })
    );
    let mut raw = Raw::connect(server.addr).await;
    raw.send(POST).await;
    tokio::time::sleep(6 * SHORT).await;
    raw.send("x".repeat(1000)).await;
    assert!(raw.response().await.ends_with("1000"));
}

#[tokio::test]
async fn calls_of_grpc_and_servers_without_a_rate_wait_for_ever() {
    let unlimited = start!(bind().await.body_rate(None), service_fn(length));
    let usual = start!(bind().await.body_rate(usual()), service_fn(length));
    for (addr, headers) in [(unlimited.addr, ""), (usual.addr, "content-type: application/grpc+proto\r\n")] {
        let mut raw = Raw::connect(addr).await;
        raw.send(format!("POST / HTTP/1.1\r\nhost: t\r\n{headers}content-length: 4\r\n\r\n")).await;
        tokio::time::sleep(3 * SHORT).await;
        raw.send("four").await;
        assert!(raw.response().await.ends_with('4'));
    }
}

#[tokio::test]
async fn over_http_2_a_slow_body_ends_its_stream_only() {
    let server = start!(bind().await.body_rate(usual()), service_fn(length));
    let mut client = http2::<http_body_util::combinators::BoxBody<Bytes, Infallible>>(server.addr).await;
    let since = Instant::now();
    let (_sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, Infallible>>(1);
    let body = StreamBody::new(Pending(receiver)).boxed();
    let slow = Request::post(format!("http://{}/", server.addr)).body(body).unwrap();
    let response = client.send_request(slow).await.unwrap();
    within(since, SHORT);
    assert_eq!(response.status(), 408);
    assert!(response.headers().get("connection").is_none());
    let quick = get(server.addr).map(|_| Full::new(Bytes::from_static(b"quick")).boxed());
    assert_eq!(client.send_request(quick).await.unwrap().status(), 200);
    assert_eq!(server.stats.connections_total(), 1);
}

/// A stream of what is sent.
struct Pending(mpsc::Receiver<Result<Frame<Bytes>, Infallible>>);

impl futures_core::Stream for Pending {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// A body that never ends, and is as fast as the client.
struct Endless(Arc<Mutex<Option<Arc<Notify>>>>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 4096])))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        if let Some(dropped) = self.0.lock().unwrap().take() {
            dropped.notify_one();
        }
    }
}

#[tokio::test]
async fn a_client_that_never_reads_an_endless_answer_is_cut_off_and_one_that_reads_is_not() {
    for use_http2 in [false, true] {
        let dropped = Arc::new(Notify::new());
        let slot = Arc::new(Mutex::new(Some(Arc::clone(&dropped))));
        let server = start!(
            bind().await.answer_rate(rate(1_000_000, SHORT)),
            service_fn(move |_: Request<RequestBody>| {
                let slot = Arc::clone(&slot);
                async move { Ok::<_, Infallible>(Response::new(Endless(slot))) }
            })
        );
        let mut reads = Raw::connect(server.addr).await;
        reads.send(GET).await;
        until(|| server.stats.requests_total() == 1).await;
        let reader = tokio::spawn(async move {
            let _ = tokio::io::copy(&mut reads.0, &mut tokio::io::sink()).await;
        });
        let mut raw = Raw::connect(server.addr).await;
        let since = Instant::now();
        if use_http2 {
            raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
            // GET / over http, of the authority `t`.
            raw.send(b"\0\0\x06\x01\x05\0\0\0\x01\x82\x84\x86\x41\x01t").await;
        } else {
            raw.send(GET).await;
        }
        until(|| server.stats.connections_open() == 2 && server.stats.requests_total() == 2).await;
        tokio::time::timeout(HANGS, async {
            while server.stats.connections_open() == 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("the client is not cut off");
        assert!(since.elapsed() >= SHORT - Duration::from_millis(20));
        assert_eq!(server.stats.requests_open(), 1, "the reader was cut off");
        assert!(!reader.is_finished());
        drop(raw);
        reader.abort();
    }
}

#[tokio::test]
async fn a_large_answer_to_a_client_that_never_reads_is_cut_off_too() {
    let server = start!(
        bind().await.answer_rate(rate(1_000_000, SHORT)),
        service_fn(|_: Request<RequestBody>| async { Ok::<_, Infallible>(text(vec![b'x'; 32 * 1024 * 1024])) })
    );
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    until(|| server.stats.requests_total() == 1).await;
    tokio::time::timeout(HANGS, async {
        while server.stats.connections_open() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the client is not cut off");
    // It must not take what it got for all there is, not even where the end of the connection would say so.
    let error = raw.0.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_client_of_grpc_may_pause_its_answer() {
    const LENGTH: usize = 32 * 1024 * 1024;
    let server = start!(
        // So fast that what the operating system takes in earns next to no time.
        bind().await.answer_rate(rate(1_000_000_000, SHORT)),
        service_fn(|_: Request<RequestBody>| async { Ok::<_, Infallible>(text(vec![b'x'; LENGTH])) })
    );
    for (content_type, whole) in [("application/grpc", true), ("application/json", false)] {
        let mut raw = Raw::connect(server.addr).await;
        let head = format!("POST / HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: {content_type}\r\n");
        raw.send(format!("{head}content-length: 1\r\n\r\nx")).await;
        tokio::time::sleep(5 * SHORT).await;
        let mut answer = Vec::new();
        let read = raw.0.read_to_end(&mut answer).await;
        assert_eq!(read.is_ok() && answer.len() > LENGTH, whole, "{content_type}: {read:?}");
    }
}

#[tokio::test]
async fn an_answer_that_the_service_gives_slowly_is_not_the_clients_fault() {
    let server = start!(
        bind().await.answer_rate(rate(1_000_000, Duration::from_millis(20))),
        service_fn(|_: Request<RequestBody>| async {
            let (sender, receiver) = mpsc::channel(1);
            tokio::spawn(async move {
                for _ in 0..20 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let _ = sender.send(Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"tick")))).await;
                }
            });
            Ok::<_, Infallible>(Response::new(StreamBody::new(Pending(receiver))))
        })
    );
    let mut raw = Raw::connect(server.addr).await;
    raw.send("GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n").await;
    let answer = raw.rest().await;
    assert_eq!(answer.matches("tick").count(), 20, "{answer}");
    assert!(answer.ends_with("0\r\n\r\n"), "{answer}");
}

/// Never answers, and says when its future is gone.
macro_rules! hanging {
    ($gone:expr) => {{
        let gone: Arc<Notify> = Arc::clone(&$gone);
        service_fn(move |request: Request<RequestBody>| {
            let gone = OnDrop(Arc::clone(&gone));
            async move {
                let _gone = gone;
                if request.uri().path() == "/quick" {
                    return hello(request).await;
                }
                std::future::pending::<()>().await;
                hello(request).await
            }
        })
    }};
}

struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

async fn hasty() -> Server {
    bind().await.request_timeout(SHORT)
}

#[tokio::test]
async fn a_service_that_takes_too_long_is_dropped_and_answered_504() {
    let gone = Arc::new(Notify::new());
    let server = start!(hasty().await, hanging!(gone));
    let mut raw = Raw::connect(server.addr).await;
    let since = Instant::now();
    raw.send(GET).await;
    let answer = raw.response().await;
    within(since, SHORT);
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(answer.contains("content-type: application/problem+json\r\n"), "{answer}");
    assert!(answer.contains(r#""kind":"DEADLINE_EXCEEDED""#) || answer.contains("deadline"), "{answer}");
    tokio::time::timeout(HANGS, gone.notified()).await.expect("the service's future lives on");
    // The connection lives on.
    raw.send("GET /quick HTTP/1.1\r\nhost: t\r\n\r\n").await;
    assert!(raw.response().await.ends_with("hello"));
    // Over HTTP/2 it is the stream's alone, and of HEAD only the head.
    let mut client = http2(server.addr).await;
    let response = client.send_request(get(server.addr)).await.unwrap();
    assert_eq!(response.status(), 504);
    assert!(!response.into_body().collect().await.unwrap().to_bytes().is_empty());
    let mut head = get(server.addr);
    *head.method_mut() = http::Method::HEAD;
    let response = client.send_request(head).await.unwrap();
    assert_eq!(response.status(), 504);
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn a_call_of_grpc_that_takes_too_long_gets_its_status() {
    let server = start!(hasty().await, hanging!(Arc::new(Notify::new())));
    let mut client = http2(server.addr).await;
    let request = Request::post(format!("http://{}/", server.addr)).header("content-type", "application/grpc");
    let request = request.body(Full::new(Bytes::from_static(b"\0\0\0\0\0"))).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "4");
}

#[tokio::test]
async fn without_a_limit_a_service_may_take_any_time() {
    let server = start!(
        bind().await.request_timeout(None),
        service_fn(|request| async {
            tokio::time::sleep(2 * SHORT).await;
            hello(request).await
        })
    );
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    assert!(raw.response().await.ends_with("hello"));
}

#[tokio::test]
async fn the_time_of_a_request_does_not_count_while_its_body_is_waited_for() {
    let server = start!(hasty().await, service_fn(length));
    let mut raw = Raw::connect(server.addr).await;
    raw.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 10\r\n\r\n").await;
    for _ in 0..10 {
        tokio::time::sleep(SHORT / 2).await;
        raw.send("x").await;
    }
    assert!(raw.response().await.ends_with("10"));
    // But it does when the body is here.
    let server = start!(
        hasty().await,
        service_fn(|request: Request<RequestBody>| async {
            let _ = request.into_body().collect().await;
            std::future::pending::<Result<Response<Body>, Infallible>>().await
        })
    );
    let mut raw = Raw::connect(server.addr).await;
    raw.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\n\r\n").await;
    tokio::time::sleep(3 * SHORT).await;
    let since = Instant::now();
    raw.send("x").await;
    assert!(raw.response().await.starts_with("HTTP/1.1 504 "));
    within(since, SHORT / 2);
}

#[tokio::test]
async fn the_servers_own_answers_are_problem_details() {
    let server = start!(
        bind().await.body_limit(10),
        service_fn(|_: Request<RequestBody>| async { Err::<Response<Body>, _>("the secret") })
    );
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    let failed = raw.response().await;
    raw.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 11\r\n\r\n").await;
    let large = raw.rest().await;
    for (answer, status) in [(failed, 500), (large, 413)] {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("content-type: application/problem+json\r\n"), "{answer}");
        assert!(answer.contains(&format!("\"status\":{status}")), "{answer}");
        assert!(!answer.contains("secret"), "{answer}");
    }
}

#[tokio::test]
async fn a_service_that_takes_its_body_more_slowly_than_it_comes_is_not_late() {
    let service = service_fn(|request: Request<RequestBody>| async move {
        let mut body = request.into_body();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame.unwrap().into_data().unwrap().len();
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        Ok::<_, Infallible>(text(length.to_string()))
    });
    let server = start!(bind().await.request_timeout(SHORT), service);
    let mut raw = Raw::connect(server.addr).await;
    raw.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 2000000\r\nconnection: close\r\n\r\n").await;
    let _ = tokio::io::AsyncWriteExt::write_all(&mut raw.0, &vec![0; 2_000_000]).await;
    let answer = raw.rest_bytes().await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn over_http_2_one_upload_that_nobody_reads_does_not_hold_up_the_others() {
    let service = service_fn(|request: Request<RequestBody>| async move {
        if request.headers().contains_key("x-hold") {
            let body = request.into_body();
            std::future::pending::<()>().await;
            drop(body);
        } else {
            let body = request.into_body().collect().await;
            return Ok::<_, Infallible>(text(if body.is_ok() { "whole" } else { "slow" }));
        }
        Ok(text(""))
    });
    let server = start!(
        bind().await.body_rate(kit_serve::MinRate::new(std::num::NonZeroU32::new(240).unwrap(), SHORT)),
        service
    );
    let mut client = crate::support::http2::<crate::support::Body>(server.addr).await;
    let uri = format!("http://{}/", server.addr);
    let held = Request::post(&uri).header("x-hold", "1").body(Bytes::from(vec![0; 2 << 20]).into()).unwrap();
    let _held = tokio::spawn(client.send_request(held));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let small = Request::post(&uri).body(Bytes::from_static(b"small").into()).unwrap();
    let answer = tokio::time::timeout(HANGS, client.send_request(small)).await.unwrap().unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "whole");
}
