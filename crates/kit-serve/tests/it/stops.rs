//! The stop: what is finished, what is closed at once, what is cut, and what a drop does.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use kit_serve::{RequestBody, Stopped};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tower::service_fn;

use crate::frames::{Frames, PREFACE, SETTINGS, Sent, frame, get as get_frame};
use crate::support::{GET, HANGS, Raw, Running, bind, get, hello, http2, start, text, until};

/// A service that says when it was called, and answers when it is told to.
fn held(
    called: &Arc<Notify>,
    answer: &Arc<Notify>,
) -> impl tower::Service<
    Request<RequestBody>,
    Response = Response<crate::support::Body>,
    Error = Infallible,
    Future = impl Send + use<>,
> + Clone
+ Send
+ use<> {
    let (called, answer) = (Arc::clone(called), Arc::clone(answer));
    service_fn(move |_| {
        let (called, answer) = (Arc::clone(&called), Arc::clone(&answer));
        async move {
            called.notify_one();
            answer.notified().await;
            Ok(text("finished"))
        }
    })
}

/// Begins the stop and waits until connections know of it: an idle one was told.
async fn stopping(server: Running) -> JoinHandle<Stopped> {
    let addr = server.addr;
    let mut idle = Frames::connect(addr).await;
    idle.until(|sent| *sent == Sent::Settings { ack: true }).await;
    let task = server.begin_stop();
    assert!(matches!(idle.until(|sent| matches!(sent, Sent::GoAway { .. })).await, Sent::GoAway { .. }));
    refused(addr).await;
    task
}

#[tokio::test]
async fn a_running_request_is_finished_and_its_connection_then_closed() {
    let (called, answer) = (Arc::default(), Arc::default());
    let server = start!(bind().await, held(&called, &answer));
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    called.notified().await;
    let task = stopping(server).await;
    answer.notify_one();
    let response = raw.rest().await;
    assert!(response.contains("connection: close\r\n"), "{response}");
    assert!(response.ends_with("finished"), "{response}");
    drop(raw);
    assert!(task.await.unwrap().is_clean());
}

/// Waits until nobody listens.
async fn refused(addr: std::net::SocketAddr) {
    tokio::time::timeout(HANGS, async { while TcpStream::connect(addr).await.is_ok() {} }).await.unwrap();
}

#[tokio::test]
async fn over_http_2_a_running_stream_is_finished_and_its_connection_then_closed() {
    let (called, answer) = (Arc::default(), Arc::default());
    let server = start!(bind().await, held(&called, &answer));
    let addr = server.addr;
    let mut client = http2(addr).await;
    let running = tokio::spawn(client.send_request(get(addr)));
    called.notified().await;
    let task = stopping(server).await;
    answer.notify_one();
    let response = running.await.unwrap().unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "finished");
    assert!(task.await.unwrap().is_clean());
    until(|| client.is_closed()).await;
}

#[tokio::test]
async fn idle_connections_are_closed_at_once() {
    let server = start!(bind().await.stop_within(HANGS), service_fn(hello));
    let mut idle = Raw::connect(server.addr).await;
    idle.send(GET).await;
    idle.response().await;
    let mut client = http2(server.addr).await;
    client.send_request(get(server.addr)).await.unwrap();
    until(|| server.stats.connections_total() == 2).await;
    let since = Instant::now();
    assert!(server.stop().await.is_clean());
    assert!(since.elapsed() < Duration::from_millis(500), "took {:?}", since.elapsed());
    assert_eq!(idle.rest().await, "");
    until(|| client.is_closed()).await;
}

#[tokio::test]
async fn the_first_request_on_a_connection_made_just_before_the_stop_is_answered() {
    let server = start!(bind().await, service_fn(hello));
    let (mut first, mut second) = (Raw::connect(server.addr).await, Frames::connect_raw(server.addr).await);
    until(|| server.stats.connections_total() == 2).await;
    let task = stopping(server).await;
    first.send(GET).await;
    assert!(first.rest().await.ends_with("hello"));
    // The preface in pieces.
    let (begin, rest) = PREFACE.split_at(9);
    second.send(begin).await;
    tokio::task::yield_now().await;
    second.send([rest, &frame(SETTINGS, 0, 0, []), &get_frame(1)].concat()).await;
    let answer = second.until(|sent| matches!(sent, Sent::Head { .. })).await;
    assert_eq!(answer, Sent::Head { stream: 1, status: 200 });
    drop((first, second));
    assert!(task.await.unwrap().is_clean());
}

#[tokio::test]
async fn a_new_connection_that_stays_silent_holds_the_stop_up_for_a_second_at_most() {
    for (stop_within, least) in [(HANGS, 500), (Duration::from_millis(600), 250)] {
        let server = start!(bind().await.stop_within(stop_within), service_fn(hello));
        let mut raw = Raw::connect(server.addr).await;
        let since = Instant::now();
        until(|| server.stats.connections_total() == 1).await;
        assert!(server.stop().await.is_clean());
        let took = since.elapsed();
        assert!(took >= Duration::from_millis(least) && took < Duration::from_secs(5), "took {took:?}");
        assert_eq!(raw.rest().await, "");
    }
    // One that has left does not.
    let server = start!(bind().await.stop_within(HANGS), service_fn(hello));
    drop(Raw::connect(server.addr).await);
    let since = Instant::now();
    assert!(server.stop().await.is_clean());
    assert!(since.elapsed() < Duration::from_millis(500), "took {:?}", since.elapsed());
}

#[tokio::test]
async fn a_client_that_stays_after_its_last_answer_holds_the_stop_up_for_a_second_at_most() {
    let server = start!(bind().await.stop_within(HANGS), service_fn(hello));
    let mut raw = Raw::connect(server.addr).await;
    raw.send("GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await;
    assert!(raw.rest().await.ends_with("hello"));
    let since = Instant::now();
    assert!(server.stop().await.is_clean());
    assert!(since.elapsed() < Duration::from_secs(5), "took {:?}", since.elapsed());
    drop(raw);
}

#[tokio::test]
async fn half_a_head_holds_the_stop_up_for_a_second_or_so_and_not_for_the_time_of_a_head() {
    for answered_before in [false, true] {
        let server = start!(bind().await.head_timeout(HANGS).stop_within(HANGS), service_fn(hello));
        let mut raw = Raw::connect(server.addr).await;
        if answered_before {
            raw.send(GET).await;
            raw.response().await;
        }
        raw.send("POST /sum HTTP/1.1\r\nhost").await;
        until(|| server.stats.connections_total() == 1).await;
        let since = Instant::now();
        assert!(server.stop().await.is_clean());
        assert!(since.elapsed() < Duration::from_secs(3), "took {:?}", since.elapsed());
        assert_eq!(raw.rest().await, "");
    }
}

#[tokio::test]
async fn a_head_that_is_completed_soon_after_the_stop_is_answered() {
    for answered_before in [false, true] {
        let server = start!(bind().await, service_fn(hello));
        let mut raw = Raw::connect(server.addr).await;
        if answered_before {
            raw.send(GET).await;
            raw.response().await;
        }
        raw.send("GET / HTTP/1.1\r\nhost").await;
        until(|| server.stats.connections_total() == 1).await;
        let task = stopping(server).await;
        raw.send(": test\r\n\r\n").await;
        let rest = raw.rest().await;
        assert!(rest.ends_with("hello"), "answered before: {answered_before}: {rest}");
        drop(raw);
        assert!(task.await.unwrap().is_clean());
    }
}

#[tokio::test]
async fn half_a_head_or_none_does_not_spoil_a_stop_of_less_than_a_second() {
    let bound = Duration::from_millis(800);
    for begin in ["", "GET / HT"] {
        let server = start!(bind().await.stop_within(bound), service_fn(hello));
        let mut raw = Raw::connect(server.addr).await;
        raw.send(begin).await;
        until(|| server.stats.connections_total() == 1).await;
        assert_eq!(server.stop().await, Stopped::default(), "{begin:?}");
        assert_eq!(raw.rest_bytes().await, b"");
    }
}

#[tokio::test]
async fn a_request_that_hangs_is_cut_at_the_bound() {
    let bound = Duration::from_millis(300);
    for use_http2 in [false, true] {
        let (called, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (call, drop_signal) = (Arc::clone(&called), Arc::clone(&dropped));
        let server = start!(
            bind().await.stop_within(bound),
            service_fn(move |request: Request<RequestBody>| {
                let (call, on_drop) = (Arc::clone(&call), NotifyOnDrop(Arc::clone(&drop_signal)));
                async move {
                    let _on_drop = on_drop;
                    call.notify_one();
                    std::future::pending::<()>().await;
                    hello(request).await
                }
            })
        );
        let addr = server.addr;
        let client = tokio::spawn(async move {
            if use_http2 {
                assert!(http2(addr).await.send_request(get(addr)).await.is_err());
            } else {
                let mut raw = Raw::connect(addr).await;
                raw.send(GET).await;
                assert_eq!(raw.rest_bytes().await, b"");
            }
        });
        called.notified().await;
        let since = Instant::now();
        let stopped = server.stop().await;
        let took = since.elapsed();
        assert!(took >= bound && took <= bound + Duration::from_millis(100), "took {took:?}");
        assert_eq!((stopped.cut_connections, stopped.cut_requests), (1, 1));
        assert!(!stopped.is_clean());
        tokio::time::timeout(HANGS, dropped.notified()).await.expect("the handler's future lives on");
        client.await.unwrap();
    }
}

struct NotifyOnDrop(Arc<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// A body that never ends, and is as fast as the client.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 4096])))))
    }
}

async fn endless(_: Request<RequestBody>) -> Result<Response<Endless>, Infallible> {
    Ok(Response::new(Endless))
}

#[tokio::test]
async fn an_endless_answer_to_a_client_that_reads_or_not_ends_at_the_bound() {
    let bound = Duration::from_millis(300);
    for reads in [true, false] {
        let server = start!(bind().await.stop_within(bound), service_fn(endless));
        let mut raw = Raw::connect(server.addr).await;
        raw.send(GET).await;
        until(|| server.stats.requests_open() == 1).await;
        let client = tokio::spawn(async move {
            if reads {
                let mut sink = tokio::io::sink();
                let _ = tokio::io::copy(&mut raw.0, &mut sink).await;
            }
            raw
        });
        let since = Instant::now();
        let stopped = server.stop().await;
        let took = since.elapsed();
        assert!(took >= bound && took <= bound + Duration::from_millis(100), "took {took:?}");
        assert_eq!((stopped.cut_connections, stopped.cut_requests), (1, 1));
        drop(client.await.unwrap());
    }
}

#[tokio::test]
async fn dropping_the_future_closes_the_port_and_drops_the_requests() {
    let server = bind().await;
    let addr = server.local_addr();
    let stats = server.stats();
    let (called, answer): (Arc<Notify>, Arc<Notify>) = Default::default();
    let task = tokio::spawn(server.serve(held(&called, &answer), std::future::pending()));
    let mut raw = Raw::connect(addr).await;
    raw.send(GET).await;
    let mut client = http2(addr).await;
    let second = tokio::spawn(client.send_request(get(addr)));
    called.notified().await;
    until(|| stats.requests_open() == 2).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    refused(addr).await;
    assert_eq!(raw.rest_bytes().await, b"");
    assert!(second.await.unwrap().is_err());
    until(|| stats.requests_open() == 0 && stats.connections_open() == 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_drops_its_request() {
    let (called, answer): (Arc<Notify>, Arc<Notify>) = Default::default();
    let server = start!(bind().await, held(&called, &answer));
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    called.notified().await;
    drop(raw);
    until(|| server.stats.requests_open() == 0).await;
    let mut client = http2(server.addr).await;
    let request = tokio::spawn(client.send_request(get(server.addr)));
    called.notified().await;
    request.abort();
    until(|| server.stats.requests_open() == 0).await;
    assert!(server.stop().await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_no_request_that_was_sent_before_it() {
    // Half of the requests are the first on their connections, which the server may not even have accepted; the
    // others follow an answered one.
    for _ in 0..20 {
        let server = start!(bind().await, service_fn(hello));
        let mut clients = Vec::new();
        for number in 0..50 {
            let mut raw = Raw::connect(server.addr).await;
            if number % 2 == 0 {
                raw.send(GET).await;
                raw.response().await;
            }
            clients.push(raw);
        }
        for raw in &mut clients {
            raw.send(GET).await;
        }
        let task = server.begin_stop();
        for raw in &mut clients {
            assert!(raw.rest().await.ends_with("hello"));
        }
        drop(clients);
        assert!(task.await.unwrap().is_clean());
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_does_not_look_whole_where_the_end_of_the_connection_is_its_end() {
    let service = service_fn(|_: Request<RequestBody>| async { Ok::<_, Infallible>(Response::new(Half(false))) });
    let server = start!(bind().await.stop_within(Duration::from_millis(300)), service);
    let mut raw = Raw::connect(server.addr).await;
    raw.send("GET / HTTP/1.0\r\n\r\n").await;
    raw.until(b"half").await;
    assert_eq!(server.stop().await.cut_connections, 1);
    let error = raw.0.read(&mut [0]).await.expect_err("a clean end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

/// A body of which the rest never comes.
struct Half(bool);

impl http_body::Body for Half {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"half")))))
    }
}
