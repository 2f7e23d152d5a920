//! Deadlines on the server: read, kept, and refused when they are garbage.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::Full;
use kit_base::{Deadline, Response};
use kit_testing::http::{curl, raw_response};
use kit_testing::tools::skip_unless;
use kit_transport_http::HttpServer;

use crate::support::{By, HANGS, Notes, OnDrop, Silent, answer, ask, malformed, op, post, problem, sum, up};

/// Answers with the milliseconds left, or -1.
fn left() -> HttpServer {
    let left = By(async |request: kit_base::Request<()>| {
        let now = tokio::time::Instant::now().into_std();
        let left = request.context().deadline().map_or(-1, |deadline| deadline.left(now).as_millis() as i64);
        Ok::<_, kit_base::Error>(Response::new(left))
    });
    HttpServer::new().endpoint(op("left"), left)
}

fn given(target: &str, timeout: &[u8]) -> Request<Full<Bytes>> {
    let mut request = post(target, "");
    request.headers_mut().insert("grpc-timeout", HeaderValue::from_bytes(timeout).unwrap());
    request
}

#[tokio::test(start_paused = true)]
async fn every_unit_of_grpc_timeout_is_a_deadline() {
    let routes = left().routes().unwrap();
    let units = [
        ("2H", 7_200_000_u64),
        ("3M", 180_000),
        ("4S", 4_000),
        ("500m", 500),
        ("6000u", 6),
        ("7000000n", 7),
        ("00000009S", 9_000),
        // Thirty years, which no clock can be asked for more than.
        ("99999999H", 30 * 365 * 24 * 3600 * 1000),
    ];
    for (timeout, want) in units {
        let answer = ask(&routes, given("/left", timeout.as_bytes())).await;
        assert_eq!(answer.body(), &want.to_string(), "{timeout}");
    }
    assert_eq!(ask(&routes, post("/left", "")).await.body(), "-1");
}

#[tokio::test(start_paused = true)]
async fn the_longest_deadline_is_waited_for_without_harm() {
    let slow = By(async |_: kit_base::Request<()>| {
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok::<_, kit_base::Error>(Response::new(()))
    });
    let server = HttpServer::new().endpoint(op("slow"), slow);
    assert_eq!(answer(server, given("/slow", b"99999999H")).await.status(), 200);
}

#[tokio::test]
async fn garbage_in_grpc_timeout_is_400_and_named() {
    let routes = left().routes().unwrap();
    for garbage in [&b"soon"[..], b"", b"1", b"S", b"-1S", b"1.5S", b"123456789n", b"1s", b"1 S", b"\xff\xfe"] {
        malformed(&ask(&routes, given("/left", garbage)).await, "header grpc-timeout: invalid timeout");
    }
    let mut two = given("/left", b"1S");
    two.headers_mut().append("grpc-timeout", HeaderValue::from_static("1H"));
    malformed(&ask(&routes, two).await, r#"header grpc-timeout: invalid timeout "1S, 1H""#);
    if skip_unless("curl") {
        let served = up(left()).await;
        let url = format!("{}/left", served.url());
        let answer = curl(["-X", "POST", "-H", "grpc-timeout: soon", &url]).await.unwrap();
        malformed(&answer, r#"header grpc-timeout: invalid timeout "soon": want one to eight digits and a unit"#);
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_the_answer_is_504_and_the_handler_is_dropped() {
    let notes = Notes::default();
    let dropped = notes.clone();
    let slow = By(move |_: kit_base::Request<()>| {
        let guard = OnDrop(dropped.clone(), "dropped");
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok::<_, kit_base::Error>(Response::new(()))
        }
    });
    let server = HttpServer::new().endpoint(op("slow"), slow);
    let started = tokio::time::Instant::now();
    let details = problem(&answer(server, given("/slow", b"300m")).await, 504);
    assert_eq!(details["kind"], "DEADLINE_EXCEEDED");
    assert_eq!(details["detail"], "the deadline of the call has passed");
    assert_eq!(notes.all(), ["dropped"]);
    let waited = started.elapsed().as_millis();
    assert!((300..305).contains(&waited), "{waited}");
}

#[tokio::test]
async fn what_is_late_already_is_not_begun() {
    let notes = Notes::default();
    let called = notes.clone();
    let quick = By(move |_: kit_base::Request<()>| {
        called.add("called");
        async { Ok::<_, kit_base::Error>(Response::new(())) }
    });
    let server = HttpServer::new().endpoint(op("quick"), quick);
    problem(&answer(server, given("/quick", b"0n")).await, 504);
    assert_eq!(notes.all(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_wait_for_a_body_too() {
    let mut request = given("/sum", b"20m").map(|_| Silent);
    request.headers_mut().insert("content-length", "5".parse().unwrap());
    problem(&ask(&sum().routes().unwrap(), request).await, 504);
}

#[tokio::test(start_paused = true)]
async fn a_hook_may_shorten_the_deadline_and_never_prolong_it() {
    for (timeout, want) in [("1S", 200), ("100m", 100)] {
        let server = left().before(|context, _| {
            let now = tokio::time::Instant::now().into_std();
            let deadline = Deadline::after(now, Duration::from_millis(200));
            *context = std::mem::take(context).with_deadline(deadline);
        });
        let answer = answer(server, given("/left", timeout.as_bytes())).await;
        assert_eq!(answer.body(), &want.to_string(), "{timeout}");
    }
}

#[tokio::test]
async fn a_deadline_that_passes_while_a_hook_works_is_504_and_the_handler_is_not_begun() {
    let notes = Notes::default();
    let called = notes.clone();
    let quick = By(move |_: kit_base::Request<()>| {
        called.add("called");
        async { Ok::<_, kit_base::Error>(Response::new(())) }
    });
    let server = HttpServer::new().endpoint(op("quick"), quick);
    let server = server.before(|_, _| std::thread::sleep(Duration::from_millis(30)));
    problem(&answer(server, given("/quick", b"20m")).await, 504);
    assert_eq!(notes.all(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn of_a_deadline_in_the_header_and_one_in_the_extensions_the_earlier_counts() {
    let now = tokio::time::Instant::now().into_std();
    let both = |header: &[u8], extension| {
        let mut request = given("/left", header);
        request.extensions_mut().insert(Deadline::after(now, extension));
        request
    };
    let routes = left().routes().unwrap();
    assert_eq!(ask(&routes, both(b"10S", Duration::from_millis(40))).await.body(), "40");
    assert_eq!(ask(&routes, both(b"300m", Duration::from_secs(30))).await.body(), "300");
    malformed(&ask(&routes, both(b"soon", Duration::from_secs(30))).await, "header grpc-timeout: invalid timeout");
    let mut alone = post("/left", "");
    alone.extensions_mut().insert(Deadline::after(now, Duration::from_millis(50)));
    assert_eq!(ask(&routes, alone).await.body(), "50");
}

#[tokio::test]
async fn a_deadline_is_kept_over_a_socket_and_the_server_lives_on() {
    let slow = By(async |_: kit_base::Request<()>| {
        std::future::pending::<()>().await;
        Ok::<_, kit_base::Error>(Response::new(()))
    });
    let served = up(sum().endpoint(op("slow"), slow)).await;
    let started = std::time::Instant::now();
    let request = "POST /slow HTTP/1.1\r\nhost: a\r\ngrpc-timeout: 100m\r\ncontent-length: 0\r\n\r\n";
    problem(&raw_response(served.addr, request).await.unwrap(), 504);
    let waited = started.elapsed();
    assert!((100..HANGS.as_millis()).contains(&waited.as_millis()), "{waited:?}");
    let request = "POST /sum HTTP/1.1\r\nhost: a\r\ncontent-length: 13\r\n\r\n{\"a\":1,\"b\":2}";
    assert_eq!(raw_response(served.addr, request).await.unwrap().body(), r#"{"v":3}"#);
}
