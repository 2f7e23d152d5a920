//! Connections that grow old.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Request;
use http_body_util::BodyExt;
use kit_serve::RequestBody;
use tokio::sync::Notify;
use tower::service_fn;

use crate::support::{GET, Raw, bind, get, hello, http2, start, text, until};

const AGE: Duration = Duration::from_millis(400);

/// At most a tenth younger than asked.
const LEAST: Duration = Duration::from_millis(350);

#[tokio::test]
async fn an_old_connection_ends_although_it_is_busy() {
    let server = start!(bind().await.connection_age(AGE), service_fn(hello));
    let since = Instant::now();
    let mut raw = Raw::connect(server.addr).await;
    let last = loop {
        raw.send(GET).await;
        let response = raw.response().await;
        if response.contains("connection: close\r\n") {
            break raw.rest().await;
        }
        // One that ends between two requests ends without a word.
        let mut byte = [0];
        if let Ok(read) = tokio::time::timeout(Duration::from_millis(5), raw.0.peek(&mut byte)).await {
            assert_eq!(read.unwrap(), 0, "more than was asked for");
            break String::new();
        }
    };
    assert_eq!(last, "");
    let took = since.elapsed();
    assert!(took >= LEAST && took < AGE + Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn an_old_connection_that_is_idle_ends_at_its_age() {
    let server = start!(bind().await.connection_age(AGE), service_fn(hello));
    let since = Instant::now();
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    raw.response().await;
    assert_eq!(raw.rest().await, "");
    assert!(since.elapsed() >= LEAST && since.elapsed() < AGE + Duration::from_secs(5));
}

/// Answers after this time.
macro_rules! after {
    ($time:expr) => {
        service_fn(|_: Request<RequestBody>| async {
            tokio::time::sleep($time).await;
            Ok::<_, Infallible>(text("hello"))
        })
    };
}

#[tokio::test]
async fn what_runs_on_an_old_connection_is_finished_first() {
    let server = start!(bind().await.connection_age(AGE), after!(2 * AGE));
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    let answer = raw.rest().await;
    assert!(answer.contains("connection: close\r\n") && answer.ends_with("hello"), "{answer}");

    let mut client = http2(server.addr).await;
    let response = client.send_request(get(server.addr)).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    until(|| client.is_closed()).await;
}

#[tokio::test]
async fn after_the_grace_it_is_cut() {
    let server = start!(bind().await.connection_age(AGE).connection_age_grace(AGE), after!(Duration::from_secs(60)));
    let since = Instant::now();
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    let mut sink = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut raw.0, &mut sink).await;
    assert_eq!(sink, b"");
    let took = since.elapsed();
    assert!(took >= LEAST + AGE && took < 2 * AGE + Duration::from_secs(5), "{took:?}");
    until(|| server.stats.requests_open() == 0).await;
}

#[tokio::test]
async fn the_stop_ends_old_connections_in_its_own_time() {
    let called = Arc::new(Notify::new());
    let call = Arc::clone(&called);
    let server = start!(
        bind().await.connection_age(Duration::from_millis(50)).stop_within(AGE),
        service_fn(move |request| {
            call.notify_one();
            async move {
                std::future::pending::<()>().await;
                hello(request).await
            }
        })
    );
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    called.notified().await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    let since = Instant::now();
    assert_eq!(server.stop().await.cut_requests, 1);
    assert!(since.elapsed() < AGE + Duration::from_secs(5));
}

#[tokio::test]
async fn a_connection_that_ends_for_another_reason_is_not_cut_at_its_age() {
    for grace in [None, Some(Duration::from_millis(1))] {
        let server = bind().await.connection_age(AGE).connection_age_grace(grace);
        let server = start!(server, after!(2 * AGE));
        let mut raw = Raw::connect(server.addr).await;
        raw.send(GET).await;
        until(|| server.stats.requests_open() == 1).await;
        let task = server.begin_stop();
        assert!(raw.rest().await.ends_with("hello"));
        drop(raw);
        assert!(task.await.unwrap().is_clean());
    }
}
