//! Connections that were handed over by a protocol upgrade: counted, limited and cut as all others.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use kit_serve::RequestBody;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tower::service_fn;

use crate::support::{GET, HANGS, Raw, bind, hello, start, until};

const UPGRADE: &str = "GET / HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: test\r\n\r\n";

/// Answers an upgrade with 101 and then echoes until the client ends, or `leave` is told; other requests with hello.
/// `left` is told when the stream is gone.
macro_rules! echoing {
    ($leave:expr, $left:expr) => {{
        let (leave, left): (Arc<Notify>, Arc<Notify>) = (Arc::clone(&$leave), Arc::clone(&$left));
        service_fn(move |mut request: Request<RequestBody>| {
            let (leave, left) = (Arc::clone(&leave), Arc::clone(&left));
            async move {
                if !request.headers().contains_key("upgrade") {
                    return hello(request).await;
                }
                let upgrade = hyper::upgrade::on(&mut request);
                tokio::spawn(async move {
                    let stream = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
                    let (mut read, mut write) = tokio::io::split(stream);
                    tokio::select! {
                        _ = tokio::io::copy(&mut read, &mut write) => {}
                        () = leave.notified() => {}
                    }
                    drop((read, write));
                    left.notify_one();
                });
                let response =
                    Response::builder().status(101).header("connection", "upgrade").header("upgrade", "test");
                Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
            }
        })
    }};
}

/// An upgraded connection that works.
async fn upgraded(addr: std::net::SocketAddr) -> Raw {
    let mut raw = Raw::connect(addr).await;
    raw.send(UPGRADE).await;
    assert!(raw.response().await.starts_with("HTTP/1.1 101 "));
    raw.0.write_all(b"ping").await.unwrap();
    let mut echo = [0; 4];
    raw.0.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"ping");
    raw
}

#[tokio::test]
async fn an_upgraded_connection_keeps_its_place_until_its_stream_is_gone() {
    let (leave, left): (Arc<Notify>, Arc<Notify>) = Default::default();
    let server = start!(bind().await.connections(NonZeroUsize::MIN), echoing!(leave, left));
    let mut first = upgraded(server.addr).await;
    let mut second = Raw::connect(server.addr).await;
    second.send(GET).await;
    let early = tokio::time::timeout(Duration::from_millis(200), second.0.readable()).await;
    assert!(early.is_err(), "served over the limit");
    assert_eq!((server.stats.connections_open(), server.stats.connections_total()), (1, 1));
    leave.notify_one();
    assert_eq!(first.rest().await, "");
    assert!(second.response().await.ends_with("hello"));
    drop(second);
    until(|| server.stats.connections_open() == 0).await;
    assert!(server.stop().await.is_clean());
}

#[tokio::test]
async fn a_stop_waits_for_an_upgraded_connection_that_ends_in_time() {
    let (leave, left): (Arc<Notify>, Arc<Notify>) = Default::default();
    let server = start!(bind().await.stop_within(HANGS), echoing!(leave, left));
    let mut raw = upgraded(server.addr).await;
    let task = server.begin_stop();
    raw.0.write_all(b"still").await.unwrap();
    raw.0.read_exact(&mut [0; 5]).await.unwrap();
    leave.notify_one();
    assert!(task.await.unwrap().is_clean());
}

#[tokio::test]
async fn an_upgraded_connection_is_cut_at_the_bound_of_the_stop() {
    let bound = Duration::from_millis(300);
    let (leave, left): (Arc<Notify>, Arc<Notify>) = Default::default();
    let server = start!(bind().await.stop_within(bound), echoing!(leave, left));
    let mut raw = upgraded(server.addr).await;
    let since = Instant::now();
    let stopped = server.stop().await;
    let took = since.elapsed();
    assert!(took >= bound && took <= bound + Duration::from_millis(100), "took {took:?}");
    assert_eq!((stopped.cut_connections, stopped.cut_requests), (1, 0));
    // Both ends learn of it.
    assert_eq!(raw.rest().await, "");
    tokio::time::timeout(HANGS, left.notified()).await.expect("the service still waits for bytes");
}

#[tokio::test]
async fn dropping_the_future_cuts_upgraded_connections_even_those_nobody_reads() {
    let server = bind().await;
    let (addr, stats) = (server.local_addr(), server.stats());
    // Holds the stream without ever touching it.
    let service = service_fn(|mut request: Request<RequestBody>| async move {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let _stream = upgrade.await.unwrap();
            std::future::pending::<()>().await;
        });
        let response = Response::builder().status(101).header("connection", "upgrade").header("upgrade", "test");
        Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
    });
    let task = tokio::spawn(server.serve(service, std::future::pending()));
    let mut raw = Raw::connect(addr).await;
    raw.send(UPGRADE).await;
    assert!(raw.response().await.starts_with("HTTP/1.1 101 "));
    task.abort();
    assert_eq!(raw.rest().await, "");
    until(|| stats.connections_open() == 0).await;
}

#[tokio::test]
async fn over_http_2_a_tunnel_keeps_its_connection_open_while_bytes_pass_and_no_longer() {
    use crate::support::{Body, http2};
    let short = Duration::from_millis(200);
    let server = start!(
        bind().await.head_timeout(short).idle_timeout(short),
        service_fn(|mut request: Request<RequestBody>| async move {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let stream = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
                let (mut read, mut write) = tokio::io::split(stream);
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        })
    );
    let mut client = http2(server.addr).await;
    let request = Request::connect("example:80").body(Body::default()).unwrap();
    let response = client.send_request(request).await.unwrap();
    let mut tunnel = hyper_util::rt::TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    until(|| server.stats.requests_open() == 0).await;
    let mut pace = tokio::time::interval(short / 10);
    for _ in 0..40 {
        pace.tick().await;
        tunnel.write_all(b"ping").await.unwrap();
        let mut echo = [0; 4];
        tunnel.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"ping");
    }
    let ended = tokio::time::timeout(HANGS, tunnel.read(&mut [0])).await.expect("the idle tunnel stays open");
    assert!(!matches!(ended, Ok(1..)), "{ended:?}");
    until(|| server.stats.connections_open() == 0).await;
}
