//! The limits of a client: time for head and body, size of an answer, and the deadline.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kit_base::{Context, Deadline, Endpoint, Error, Kind, Origin, Request};
use kit_testing::backend::{Backend, Reply};
use kit_transport_http::{Connected, HttpClient, Json};

use crate::support::{HANGS, op};

fn client(backend: &Backend) -> HttpClient {
    HttpClient::new(backend.url()).unwrap()
}

fn endpoint(client: HttpClient) -> Connected<Json, (), String> {
    client.endpoint(op("m"))
}

async fn fail(client: HttpClient) -> Error {
    endpoint(client).call(Request::new(())).await.unwrap_err()
}

/// A request with a deadline so many milliseconds from now.
fn until(ms: u64) -> Request<()> {
    let deadline = Deadline::after(Instant::now(), Duration::from_millis(ms));
    Request::from_parts(Context::new().with_deadline(deadline), ())
}

#[tokio::test]
async fn a_head_that_does_not_come_is_deadline_exceeded_and_the_connection_goes() {
    let backend = Backend::start(Reply::hang()).await.unwrap();
    let error = fail(client(&backend).head_timeout(Duration::from_millis(50))).await;
    assert_eq!((error.kind(), error.message()), (Kind::DeadlineExceeded, "no answer within 50ms"));
    assert_eq!(error.origin(), Origin::Remote);
    tokio::time::timeout(HANGS, backend.until_abandoned(1)).await.unwrap();
}

#[tokio::test]
async fn a_body_that_does_not_end_is_deadline_exceeded_and_the_connection_goes() {
    let backend = Backend::start(Reply::json(r#""hello""#).stall(3)).await.unwrap();
    let error = fail(client(&backend).body_timeout(Duration::from_millis(50))).await;
    assert_eq!((error.kind(), error.message()), (Kind::DeadlineExceeded, "the answer did not end within 50ms"));
    tokio::time::timeout(HANGS, backend.until_abandoned(1)).await.unwrap();
}

#[tokio::test]
async fn a_limit_of_the_users_own_client_is_deadline_exceeded() {
    for reply in [Reply::hang(), Reply::json(r#""hello""#).stall(3)] {
        let backend = Backend::start(reply).await.unwrap();
        let own = reqwest::Client::builder().timeout(Duration::from_millis(50)).build().unwrap();
        let error = fail(HttpClient::with_client(backend.url(), own).unwrap()).await;
        assert_eq!(error.kind(), Kind::DeadlineExceeded);
        assert!(error.message().ends_with("within the client's limit"), "{error}");
    }
}

#[tokio::test]
async fn the_longest_limits_can_be_set() {
    let backend = Backend::start(Reply::json(r#""hello""#).after(Duration::from_millis(1))).await.unwrap();
    let client = client(&backend).head_timeout(Duration::MAX).body_timeout(Duration::MAX);
    assert_eq!(endpoint(client).call(Request::new(())).await.unwrap().message(), "hello");
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused_announced_or_not() {
    let text = format!("{:?}", "x".repeat(998));
    let chunked = |text: &str| {
        let chunks: String = text.as_bytes().chunks(10).fold(String::new(), |all, chunk| {
            format!("{all}{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk))
        });
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        Reply::raw(format!("{head}{chunks}0\r\n\r\n"))
    };
    let endless = Reply::raw(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1_000_000)));
    for reply in [Reply::json(text.clone()), chunked(&text), endless] {
        let backend = Backend::start(reply).await.unwrap();
        let error = fail(client(&backend).response_limit(999)).await;
        assert_eq!((error.kind(), error.message()), (Kind::Internal, "the answer is longer than 999 bytes"));
        assert_eq!(error.reason(), Some("ANSWER_TOO_LARGE"));
    }
    for reply in [Reply::json(text.clone()), chunked(&text)] {
        let backend = Backend::start(reply).await.unwrap();
        let answer = endpoint(client(&backend).response_limit(1000)).call(Request::new(())).await.unwrap();
        assert_eq!(answer.message().len(), 998);
    }
}

#[tokio::test]
async fn an_error_over_the_limit_is_still_that_error() {
    let backend = Backend::start(Reply::status(503).body(Bytes::from(vec![b'x'; 1000]))).await.unwrap();
    assert_eq!(fail(client(&backend).response_limit(10)).await.kind(), Kind::Unavailable);
}

#[tokio::test]
async fn the_deadline_is_sent_and_kept_and_the_server_sees_the_end() {
    let backend = Backend::start(Reply::hang()).await.unwrap();
    let client = endpoint(client(&backend));
    let started = Instant::now();
    let error = client.call(until(200)).await.unwrap_err();
    let waited = started.elapsed();
    assert!((190..HANGS.as_millis()).contains(&waited.as_millis()), "{waited:?}");
    assert_eq!((error.kind(), error.origin()), (Kind::DeadlineExceeded, Origin::Remote));
    assert_eq!(error.message(), "the deadline of the call has passed");
    let sent = tokio::time::timeout(HANGS, backend.received(1)).await.unwrap()[0].headers()["grpc-timeout"]
        .to_str()
        .unwrap()
        .to_owned();
    let left: Duration = sent.parse::<kit_base::Timeout>().unwrap().0;
    assert!((1..=200).contains(&left.as_millis()), "{sent}");
    tokio::time::timeout(HANGS, backend.until_abandoned(1)).await.unwrap();
}

#[tokio::test]
async fn the_deadline_holds_for_the_body_too() {
    let backend = Backend::start(Reply::json(r#""hello""#).stall(3)).await.unwrap();
    let started = Instant::now();
    let error = endpoint(client(&backend)).call(until(100)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    assert!(started.elapsed() < HANGS, "{:?}", started.elapsed());
}

#[tokio::test]
async fn without_a_deadline_none_is_sent() {
    let backend = Backend::start(Reply::json(r#""hello""#)).await.unwrap();
    endpoint(client(&backend)).call(Request::new(())).await.unwrap();
    assert!(!backend.requests()[0].headers().contains_key("grpc-timeout"));
}

#[tokio::test]
async fn after_the_deadline_nothing_is_sent() {
    let backend = Backend::start(Reply::json(r#""hello""#)).await.unwrap();
    let error = endpoint(client(&backend)).call(until(0)).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::DeadlineExceeded, Origin::NotSent));
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn a_dropped_call_closes_its_connection() {
    let backend = Backend::start(Reply::hang()).await.unwrap();
    let client = endpoint(client(&backend));
    let call = tokio::spawn(async move { client.call(Request::new(())).await });
    tokio::time::timeout(HANGS, backend.received(1)).await.unwrap();
    call.abort();
    tokio::time::timeout(HANGS, backend.until_abandoned(1)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_says_504_in_time_is_deadline_exceeded() {
    let backend = Backend::start(Reply::status(504)).await.unwrap();
    assert_eq!(fail(client(&backend)).await.kind(), Kind::DeadlineExceeded);
}
