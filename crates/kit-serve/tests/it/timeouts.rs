//! Clients that are silent or slow.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use http::Request;
use kit_serve::{RequestBody, Server};
use tokio::io::AsyncReadExt;
use tower::service_fn;

use crate::support::{GET, Raw, bind, get, hello, http2, start, text, until};

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(600);

async fn impatient() -> Server {
    bind().await.head_timeout(SHORT).idle_timeout(LONG)
}

/// Asserts that the server ends the connection without a word, and neither too early nor much too late.
async fn is_closed_after(raw: &mut Raw, since: Instant, limit: Duration) {
    assert_eq!(raw.rest().await, "");
    let took = since.elapsed();
    assert!(took >= limit - Duration::from_millis(20), "closed after {took:?}");
    assert!(took < limit + Duration::from_secs(5), "closed after {took:?}");
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let server = start!(impatient().await, service_fn(hello));
    let since = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(Raw::connect(server.addr).await);
    }
    for raw in &mut silent {
        is_closed_after(raw, since, SHORT).await;
    }
    until(|| server.stats.connections_open() == 0).await;
}

#[tokio::test]
async fn a_connection_that_stays_silent_after_the_first_bytes_is_closed() {
    let server = start!(impatient().await, service_fn(hello));
    for begun in ["G", "P", "PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nhost: t\r\nx: "] {
        let since = Instant::now();
        let mut raw = Raw::connect(server.addr).await;
        raw.send(begun).await;
        // Over HTTP/2 the server sends its settings first.
        let mut all = Vec::new();
        tokio::time::timeout(crate::support::HANGS, raw.0.read_to_end(&mut all)).await.unwrap().unwrap();
        assert!(since.elapsed() >= SHORT - Duration::from_millis(20), "{begun:?}");
    }
    assert_eq!(server.stats.requests_total(), 0);
}

#[tokio::test]
async fn a_head_of_one_byte_at_a_time_is_cut_off_however_often_bytes_arrive() {
    let server = start!(impatient().await, service_fn(hello));
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    assert!(raw.response().await.ends_with("hello"));
    // The second head on a connection has the same time as the first.
    let since = Instant::now();
    let (mut read, mut write) = raw.0.split();
    let drip = async {
        use tokio::io::AsyncWriteExt;
        let mut pace = tokio::time::interval(SHORT / 20);
        while write.write_all(b"x").await.is_ok() {
            pace.tick().await;
        }
    };
    let mut byte = [0];
    tokio::select! {
        read = read.read(&mut byte) => assert!(matches!(read, Ok(0) | Err(_)), "{read:?}"),
        () = drip => {}
    }
    let took = since.elapsed();
    assert!(took >= SHORT - Duration::from_millis(20) && took < SHORT + Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn idle_connections_outlive_the_time_for_heads_but_not_the_time_to_be_idle() {
    let server = start!(bind().await.head_timeout(SHORT / 4).idle_timeout(SHORT), service_fn(hello));
    let mut client = http2(server.addr).await;
    assert_eq!(client.send_request(get(server.addr)).await.unwrap().status(), 200);
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    assert!(raw.response().await.ends_with("hello"));
    is_closed_after(&mut raw, Instant::now(), SHORT).await;
    until(|| client.is_closed()).await;
    until(|| server.stats.connections_open() == 0).await;
}

#[tokio::test]
async fn a_request_that_takes_longer_than_a_head_may_is_left_alone() {
    let server = start!(
        bind().await.head_timeout(SHORT / 8).idle_timeout(SHORT / 8),
        service_fn(|_: Request<RequestBody>| async {
            tokio::time::sleep(SHORT).await;
            Ok::<_, Infallible>(text("at last"))
        })
    );
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    assert!(raw.response().await.ends_with("at last"));
    let mut client = http2(server.addr).await;
    assert_eq!(client.send_request(get(server.addr)).await.unwrap().status(), 200);
}

#[tokio::test]
async fn extreme_durations_do_not_panic() {
    for limit in [Duration::ZERO, Duration::MAX] {
        let server = bind().await.head_timeout(limit).idle_timeout(limit).stop_within(limit);
        let server = start!(server, service_fn(hello));
        let mut raw = Raw::connect(server.addr).await;
        let _ = tokio::io::AsyncWriteExt::write_all(&mut raw.0, GET.as_bytes()).await;
        let mut byte = [0];
        let _ = raw.0.read(&mut byte).await;
        drop(raw);
        let stats = server.stats.clone();
        server.stop().await;
        assert_eq!(stats.panics(), 0);
    }
}

/// The preface of HTTP/2 and empty settings.
const HTTP2_BEGINS: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0pingping";

/// Writes the pieces, one at each tick, until the server ends the connection; says how long that took.
async fn drip<'a>(raw: Raw, pieces: impl Iterator<Item = &'a [u8]>) -> Duration {
    use tokio::io::AsyncWriteExt;
    let since = Instant::now();
    let (mut read, mut write) = raw.0.into_split();
    let ended = async {
        let mut sink = tokio::io::sink();
        let _ = tokio::io::copy(&mut read, &mut sink).await;
    };
    let written = async {
        let mut pace = tokio::time::interval(SHORT / 20);
        for piece in pieces {
            pace.tick().await;
            if write.write_all(piece).await.is_err() {
                return;
            }
        }
        std::future::pending().await
    };
    tokio::time::timeout(Duration::from_secs(5), async {
        tokio::select! {
            () = ended => {}
            () = written => {}
        }
    })
    .await
    .expect("the connection stays open");
    since.elapsed()
}

#[tokio::test]
async fn over_http_2_a_client_that_only_pings_is_idle() {
    let server = start!(bind().await.head_timeout(SHORT).idle_timeout(SHORT), service_fn(hello));
    let mut raw = Raw::connect(server.addr).await;
    raw.send(HTTP2_BEGINS).await;
    let took = drip(raw, std::iter::repeat(PING)).await;
    assert!(took >= SHORT - Duration::from_millis(20), "{took:?}");
    until(|| server.stats.connections_open() == 0).await;
}

#[tokio::test]
async fn over_http_2_a_head_of_one_byte_at_a_time_is_cut_off_as_idle() {
    let server = start!(bind().await.head_timeout(SHORT).idle_timeout(SHORT), service_fn(hello));
    let mut raw = Raw::connect(server.addr).await;
    raw.send(HTTP2_BEGINS).await;
    // A frame HEADERS of 8 KiB on stream 1.
    raw.send(b"\0\x20\0\x01\x04\0\0\0\x01").await;
    let took = drip(raw, std::iter::repeat(&b"\x82"[..])).await;
    assert!(took >= SHORT - Duration::from_millis(20), "{took:?}");
    assert_eq!(server.stats.requests_total(), 0);
}

#[tokio::test]
async fn over_http_2_an_answer_that_is_still_being_read_is_not_idle() {
    use http_body_util::BodyExt;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    const LENGTH: usize = 1024 * 1024;
    let server = start!(
        bind().await.head_timeout(SHORT / 2).idle_timeout(SHORT),
        // The service has handed it over at once; what takes long is the client.
        service_fn(|_: Request<RequestBody>| async { Ok::<_, Infallible>(text(vec![b'x'; LENGTH])) })
    );
    let stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    let (mut client, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(32 * 1024)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut body = client.send_request(get(server.addr)).await.unwrap().into_body();
    until(|| server.stats.requests_open() == 0).await;
    let since = Instant::now();
    let mut length = 0;
    let mut pace = tokio::time::interval(SHORT / 10);
    while let Some(frame) = body.frame().await {
        length += frame.expect("the answer was cut").data_ref().map_or(0, bytes::Bytes::len);
        pace.tick().await;
    }
    assert_eq!(length, LENGTH);
    assert!(since.elapsed() > 4 * SHORT, "too fast to show anything: {:?}", since.elapsed());
}
