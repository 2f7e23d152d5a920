//! Windows: what nobody reads or takes holds up no other call, and is given back.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::{Duration, Instant};

use h2::server::Builder;
use http_body::Body as _;
use kit_base::{Context, Deadline, Endpoint, Kind, Request};
use kit_transport_grpc::{Connections, ResponseBody};
use tonic::body::Body;

use super::dead::{DATA, Frames, HEAD, HEADERS, RST_STREAM};
use super::ends::{calling, chain, soon};
use super::host::{Host, Line};
use crate::support::{HANGS, note};

const MIB: usize = 1024 * 1024;

/// The body of an answer that has this many bytes, of which the first have come.
async fn begun(connections: &Connections, host: &Host, line: &mut Line, bytes: usize) -> ResponseBody {
    let request = http::Request::post(format!("{}/test.Notes/Echo", host.url())).body(Body::empty()).unwrap();
    let (connections, answering) = (connections.clone(), line.call());
    let call = tokio::spawn(async move { connections.call(request).await });
    let mut stream = answering.await.begin();
    stream.send_data(vec![0; bytes - 2].into(), true).unwrap();
    let mut body = soon(call).await.unwrap().into_body();
    let first = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
    tokio::time::timeout(HANGS, first).await.expect("no stall").unwrap().unwrap();
    body
}

/// Connections with one that is made, and the host's side of it.
async fn connected(host: &Host, builder: &Builder) -> (Connections, Line) {
    let connections = Connections::new();
    let echo = host.echo(connections.clone());
    let call = calling(&echo, "");
    let mut line = host.accept_with(builder).await;
    line.call().await.answer("");
    soon(call).await.unwrap();
    (connections, line)
}

#[tokio::test]
async fn answers_that_are_dropped_half_read_give_their_windows_back() {
    let host = Host::bind().await;
    let (connections, mut line) = connected(&host, &Builder::new()).await;
    for _ in 0..50 {
        drop(begun(&connections, &host, &mut line, MIB).await);
    }
    let call = calling(&host.echo(connections), "");
    line.call().await.answer("still");
    assert_eq!(soon(call).await.unwrap(), "still");
    assert!(!host.is_asked().await);
}

#[tokio::test]
async fn calls_go_on_beside_answers_that_nobody_reads() {
    let host = Host::bind().await;
    let (connections, mut line) = connected(&host, &Builder::new()).await;
    let mut unread = Vec::new();
    for _ in 0..8 {
        unread.push(begun(&connections, &host, &mut line, 4 * MIB).await);
    }
    let call = calling(&host.echo(connections), "");
    line.call().await.answer("beside");
    assert_eq!(soon(call).await.unwrap(), "beside");
}

#[tokio::test]
async fn a_call_that_is_left_while_its_message_waits_for_a_window_is_reset() {
    let host = Host::bind().await;
    let (connections, mut line) = connected(&host, &Builder::new()).await;
    let echo = host.echo(connections);
    let call = calling(&echo, &"x".repeat(MIB));
    let mut stuck = line.call().await;
    call.abort();
    assert_eq!(stuck.left().await, h2::Reason::CANCEL);
}

#[tokio::test]
async fn calls_that_are_left_while_they_wait_for_a_stream_never_arrive() {
    let host = Host::bind().await;
    let (connections, mut line) = connected(&host, Builder::new().max_concurrent_streams(1)).await;
    let echo = host.echo(connections);
    let first = calling(&echo, "first");
    let open = line.call().await;
    for _ in 0..30 {
        let deadline = Deadline::after(Instant::now(), Duration::from_millis(10));
        let late = echo.call(Request::from_parts(Context::new().with_deadline(deadline), note("late"))).await;
        assert_eq!(late.unwrap_err().kind(), Kind::DeadlineExceeded);
    }
    open.answer("first");
    soon(first).await.unwrap();
    let second = calling(&echo, "second");
    // The head of the one that was the next is on its way, and its reset.
    let mut next = line.call().await;
    if next.left_already().await {
        next = line.call().await;
    }
    assert_eq!(next.text().await, "second");
    next.answer("second");
    assert_eq!(soon(second).await.map_err(|error| chain(&error)).unwrap(), "second");
}

#[tokio::test]
async fn a_call_that_waits_for_a_stream_tells_the_time_that_is_left() {
    let host = Host::bind().await;
    let (connections, mut line) = connected(&host, Builder::new().max_concurrent_streams(1)).await;
    let echo = host.echo(connections);
    let first = calling(&echo, "");
    let open = line.call().await;
    let (second, third) = (calling(&echo, ""), calling(&echo, ""));
    tokio::time::sleep(Duration::from_millis(500)).await;
    open.answer("");
    line.call().await.answer("");
    let last = line.call().await;
    assert!(last.timeout() <= Duration::from_millis(29_600), "{:?}", last.timeout());
    last.answer("");
    for call in [first, second, third] {
        soon(call).await.unwrap();
    }
}

#[tokio::test]
async fn answers_that_are_over_and_unread_take_no_streams() {
    let host = Host::bind().await;
    let (connections, mut line) = connected(&host, Builder::new().max_concurrent_streams(2)).await;
    let mut unread = Vec::new();
    for _ in 0..10 {
        unread.push(begun(&connections, &host, &mut line, MIB).await);
    }
    let call = calling(&host.echo(connections), "");
    line.call().await.answer("beside");
    assert_eq!(soon(call).await.unwrap(), "beside");
}

#[tokio::test]
async fn a_connection_outlives_any_number_of_answers_that_come_too_late() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new());
    let kept = calling(&echo, "");
    let mut peer = Frames::greet(&host).await;
    peer.expect(HEADERS, HANGS).await;
    let calls: Vec<_> = (0..1200).map(|_| calling(&echo, "")).collect();
    for _ in &calls {
        peer.expect(HEADERS, HANGS).await;
    }
    for call in &calls {
        call.abort();
    }
    for _ in &calls {
        peer.expect(RST_STREAM, HANGS).await;
    }
    // These have left before the resets came. The client has forgotten all but a few of their streams.
    for call in 1..=1200 {
        peer.send(HEADERS, 4, 2 * call + 1, HEAD).await;
    }
    peer.send(HEADERS, 4, 1, HEAD).await;
    peer.send(DATA, 0, 1, &[0; 5]).await;
    peer.send(HEADERS, 5, 1, b"\x00\x0bgrpc-status\x010").await;
    soon(kept).await.map_err(|error| chain(&error)).unwrap();
}
