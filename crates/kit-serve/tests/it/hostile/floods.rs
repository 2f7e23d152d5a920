//! HTTP/2 frames by the thousand.

use std::num::NonZeroU32;

use tokio::time::timeout;
use tower::service_fn;

use super::running::Running;
use super::wellbehaved::WellBehaved;
use crate::frames::{
    CONTINUATION, END_STREAM, ENHANCE_YOUR_CALM, Frames, HEADERS, PING, POST, PRIORITY, SETTINGS, Sent, data, field,
    frame, get, post, reset, window_update,
};
use crate::support::{HANGS, bind, hello, start, until};

/// Writes all of it, as fast as the server takes it, and returns how the connection ended: `None` if it lives.
///
/// A last PING shows that the server has seen all.
async fn flood(mut frames: Frames, bytes: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Option<u32> {
    let mut write = frames.write;
    let writing = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let mut batch = Vec::new();
        for bytes in bytes.chain([frame(PING, 0, 0, b"the last")]) {
            batch.extend(bytes);
            if batch.len() > 64 * 1024 || batch.ends_with(b"the last") {
                if write.write_all(&batch).await.is_err() {
                    break;
                }
                batch.clear();
            }
        }
        write
    });
    let wanted = |sent: &Sent| matches!(sent, Sent::GoAway { .. }) || *sent == Sent::Pong(b"the last".to_vec());
    let outcome = match timeout(6 * HANGS, frames.read.until(wanted)).await.expect("hangs") {
        Sent::GoAway { code } => Some(code),
        Sent::Pong(_) => None,
        sent => panic!("{sent:?}"),
    };
    drop(writing.await.unwrap());
    outcome
}

/// Odd numbers: the ids of a client's streams.
fn ids(count: u32) -> impl Iterator<Item = u32> + Send + 'static {
    (0..count).map(|number| 2 * number + 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rapid_reset_ends_the_connection_and_starts_no_more_requests_than_streams_are_allowed() {
    let running = Running::default();
    let inner = running.clone();
    let server = start!(bind().await, service_fn(move |request| inner.serve(request)));
    let others = WellBehaved::start(server.addr);
    for _ in 0..4 {
        let frames = Frames::connect(server.addr).await;
        let outcome = flood(frames, ids(100_000).map(|id| [post(id), reset(id)].concat())).await;
        assert_eq!(outcome, Some(ENHANCE_YOUR_CALM));
    }
    assert!(running.most() <= 200, "{} requests ran at once", running.most());
    others.was_served().await;
    until(|| server.stats.requests_open() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resets_that_the_server_is_made_to_send_end_the_connection_too() {
    let running = Running::default();
    let inner = running.clone();
    let server =
        start!(bind().await.streams(NonZeroU32::new(10).unwrap()), service_fn(move |request| inner.serve(request)));
    let others = WellBehaved::start(server.addr);
    // "MadeYouReset": each stream is opened well, and then made the server reset it by a window that is too large.
    let mad = ids(10_000).map(|id| [post(id), window_update(id, (1 << 31) - 1)].concat());
    assert_eq!(flood(Frames::connect(server.addr).await, mad).await, Some(ENHANCE_YOUR_CALM));
    assert!(running.most() <= 20, "{} requests ran at once", running.most());
    // Streams over the limit, of which each is refused.
    let refused = ids(10_000).map(post);
    assert_eq!(flood(Frames::connect(server.addr).await, refused).await, Some(ENHANCE_YOUR_CALM));
    assert!(running.most() <= 20, "{} requests ran at once", running.most());
    others.was_served().await;
    until(|| server.stats.requests_open() == 0).await;
}

/// Opens streams and resets each when its request runs.
async fn open_and_reset(count: u32) {
    let running = Running::default();
    let inner = running.clone();
    let server = start!(bind().await, service_fn(move |request| inner.serve(request)));
    let mut frames = Frames::connect(server.addr).await;
    for (number, id) in ids(count).enumerate() {
        frames.send(post(id)).await;
        until(|| running.begun() > number).await;
        frames.send(reset(id)).await;
        until(|| server.stats.requests_open() == 0).await;
    }
    let last = 2 * count + 1;
    frames.send(get(last)).await;
    let sent = frames.until(|sent| matches!(sent, Sent::Head { .. } | Sent::GoAway { .. })).await;
    assert_eq!(sent, Sent::Head { stream: last, status: 200 });
    assert_eq!(running.most(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_its_time_may_reset_as_many_requests_as_it_likes() {
    open_and_reset(1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes 5 s"]
async fn a_client_that_takes_its_time_may_reset_ten_thousand_requests() {
    open_and_reset(10_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_carry_nothing_are_survived_or_end_the_connection() {
    let server = start!(bind().await, service_fn(hello));
    let others = WellBehaved::start(server.addr);
    let count = 50_000;
    let all = |bytes: Vec<u8>| (0..count).map(move |_| bytes.clone());
    let calm = Some(ENHANCE_YOUR_CALM);

    let connect = || Frames::connect(server.addr);
    assert_eq!(flood(connect().await, all(frame(SETTINGS, 0, 0, []))).await, None, "SETTINGS");
    assert_eq!(flood(connect().await, all(frame(PING, 0, 0, [0; 8]))).await, None, "PING");
    assert_eq!(flood(connect().await, all(frame(0x16, 0, 0, [0; 8]))).await, None, "unknown frames");
    let priorities = ids(count).map(|id| frame(PRIORITY, 0, id, [0, 0, 0, 0, 16]));
    assert_eq!(flood(connect().await, priorities).await, None, "PRIORITY");
    let windows = std::iter::once(post(1)).chain(all(window_update(1, 1)));
    assert_eq!(flood(connect().await, windows).await, None, "WINDOW_UPDATE");

    let data_of = |length| std::iter::once(post(1)).chain(all(data(0, 1, vec![0; length])));
    assert_eq!(flood(connect().await, data_of(0)).await, calm, "empty DATA");
    // Read by nobody, so that each byte costs an entry in a queue.
    let server = start!(
        bind().await,
        service_fn(|request| async {
            let _unread = request;
            std::future::pending::<Result<http::Response<crate::support::Body>, std::convert::Infallible>>().await
        })
    );
    assert_eq!(flood(Frames::connect(server.addr).await, data_of(1)).await, calm, "DATA of one byte");
    others.was_served().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_in_endless_pieces_ends_the_connection() {
    let running = Running::default();
    let inner = running.clone();
    let server = start!(bind().await, service_fn(move |request| inner.serve(request)));
    let others = WellBehaved::start(server.addr);
    for piece in [field("x", "y"), Vec::new(), field("x", vec![b'y'; 8000])] {
        let first = std::iter::once(frame(HEADERS, END_STREAM, 1, POST));
        let rest = (0..100_000).map(move |_| frame(CONTINUATION, 0, 1, &piece));
        assert_eq!(flood(Frames::connect(server.addr).await, first.chain(rest)).await, Some(ENHANCE_YOUR_CALM));
    }
    assert_eq!(running.begun(), 0);
    others.was_served().await;
}
