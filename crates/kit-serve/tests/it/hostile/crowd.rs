//! Many clients at once, and what they cost; each in a process of its own, so that its memory can be measured.

#![cfg(target_os = "linux")]

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use kit_serve::RequestBody;
use kit_testing::memory::{Growth, alone};
use tower::service_fn;

use super::wellbehaved::WellBehaved;
use crate::frames::{
    CONTINUATION, END_STREAM, Frames, GET, HEADERS, PING, Sent, data, frame, get, post, setting, window_update,
};
use crate::support::{Body, Raw, bind, hello, start, until};

const MIB: u64 = 1 << 20;

#[tokio::test]
async fn a_thousand_silent_connections_are_cheap_and_all_closed_in_time() {
    if !alone("hostile::crowd::a_thousand_silent_connections_are_cheap_and_all_closed_in_time") {
        return;
    }
    let limit = Duration::from_secs(1);
    let server = start!(bind().await.head_timeout(limit), service_fn(hello));
    let others = WellBehaved::start(server.addr);
    let growth = Growth::new();
    let since = Instant::now();
    let mut silent = Vec::new();
    for number in 0..1_000 {
        let mut raw = Raw::connect(server.addr).await;
        // Some say a little.
        raw.send(["", "GET / HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"][number % 3]).await;
        silent.push(raw);
    }
    until(|| server.stats.connections_total() >= 1_000).await;
    for raw in &mut silent {
        raw.rest_bytes().await;
    }
    let took = since.elapsed();
    assert!(took < limit + Duration::from_secs(10), "{took:?}");
    // Each has two sockets and a client here, and buffers in the server.
    assert!(growth.most() < 32 * MIB, "{} bytes", growth.most());
    others.was_served().await;
    until(|| server.stats.connections_open() == 0).await;
}

/// An endless body in parts of 16 KiB, each in memory of its own.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'x'; 16 * 1024])))))
    }
}

#[tokio::test]
async fn two_hundred_answers_that_are_not_read_stay_within_the_stated_bound() {
    if !alone("hostile::crowd::two_hundred_answers_that_are_not_read_stay_within_the_stated_bound") {
        return;
    }
    let server = start!(
        bind().await,
        service_fn(|_: Request<RequestBody>| async { Ok::<_, Infallible>(Response::new(Endless)) })
    );
    let growth = Growth::new();
    let mut frames = Frames::connect(server.addr).await;
    // Windows that allow everything; then nothing is read.
    frames.send([setting(4, (1 << 31) - 1), window_update(0, (1 << 31) - 1 - 65_535)].concat()).await;
    for number in 0..200 {
        frames.send(get(2 * number + 1)).await;
    }
    until(|| server.stats.requests_open() == 200).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // 200 times 64 KiB and a part, and what the sockets hold.
    assert!(growth.most() < 32 * MIB, "{} bytes", growth.most());
}

#[tokio::test]
async fn two_hundred_uploads_that_nobody_reads_stay_within_the_stated_bound() {
    if !alone("hostile::crowd::two_hundred_uploads_that_nobody_reads_stay_within_the_stated_bound") {
        return;
    }
    let server = start!(
        bind().await,
        service_fn(|request: Request<RequestBody>| async move {
            let _unread = request;
            std::future::pending::<Result<Response<Body>, Infallible>>().await
        })
    );
    let growth = Growth::new();
    let mut frames = Frames::connect(server.addr).await;
    for number in 0..200 {
        frames.send(post(2 * number + 1)).await;
    }
    until(|| server.stats.requests_open() == 200).await;
    // Exactly what the window of the connection allows.
    let mut left = 4 * 1024 * 1024;
    let part = 5_000;
    for number in 0.. {
        if left < part {
            break;
        }
        frames.send(data(0, 2 * (number % 200) + 1, vec![0; part])).await;
        left -= part;
    }
    frames.send(frame(PING, 0, 0, b"is alive")).await;
    assert!(matches!(frames.until(|sent| matches!(sent, Sent::Pong(_))).await, Sent::Pong(_)));
    // The window of 4 MiB, and what the streams and 800 frames need, which the allocator rounds up as it likes.
    assert!(growth.most() < 24 * MIB, "{} bytes", growth.most());
}

#[tokio::test]
async fn floods_of_clients_that_do_not_read_are_held_back() {
    if !alone("hostile::crowd::floods_of_clients_that_do_not_read_are_held_back") {
        return;
    }
    let server = start!(bind().await, service_fn(hello));
    let growth = Growth::new();
    let others = WellBehaved::start(server.addr);
    for bytes in [
        frame(PING, 0, 0, [0; 8]),
        frame(4, 0, 0, []),
        // Each is answered by a reset or a head.
        get(1),
        [post(1), window_update(1, (1 << 31) - 1)].concat(),
        [frame(HEADERS, END_STREAM, 1, GET), frame(CONTINUATION, 0, 1, vec![0; 16_000])].concat(),
    ] {
        let frames = Frames::connect(server.addr).await;
        let (mut write, _read) = (frames.write, frames.read);
        let flooding = async {
            let mut id = 1_u32;
            loop {
                let mut batch = Vec::new();
                while batch.len() < 64 * 1024 {
                    let mut bytes = bytes.clone();
                    if bytes[3] == HEADERS {
                        bytes[5..9].copy_from_slice(&id.to_be_bytes());
                        id += 2;
                    }
                    batch.extend(bytes);
                }
                if tokio::io::AsyncWriteExt::write_all(&mut write, &batch).await.is_err() {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(250), flooding).await;
    }
    others.was_served().await;
    assert!(growth.most() < 24 * MIB, "{} bytes", growth.most());
}
