//! Clients that send or take a byte from time to time, many at once, while others are served.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use http::Request;
use kit_serve::{MinRate, RequestBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tower::service_fn;

use super::wellbehaved::WellBehaved;
use crate::frames::{Frames, Sent, data, get, post, setting};
use crate::support::{HANGS, Raw, bind, echo, start, text, until};

const GRACE: Duration = Duration::from_millis(300);

fn rate() -> MinRate {
    MinRate::new(NonZeroU32::new(1_000).unwrap(), GRACE)
}

/// Runs so many of the same client at once and returns when the last was cut off.
async fn crowd<F: Future<Output = ()> + Send + 'static>(count: usize, client: impl Fn() -> F) -> Duration {
    let since = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..count {
        clients.spawn(client());
    }
    tokio::time::timeout(HANGS, clients.join_all()).await.expect("some are never cut off");
    since.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_senders_of_heads_and_bodies_are_all_cut_off_and_others_served() {
    let server = start!(bind().await.head_timeout(GRACE).idle_timeout(GRACE).body_rate(rate()), service_fn(echo));
    let (addr, others) = (server.addr, WellBehaved::start(server.addr));
    for begin in ["GET / HTTP/1.1\r\nx: ", "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 999\r\n\r\n"] {
        let took = crowd(100, || async move {
            let mut raw = Raw::connect(addr).await;
            raw.send(begin).await;
            let (mut read, mut write) = raw.0.split();
            let drip = async {
                while write.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(GRACE / 10).await;
                }
            };
            let mut all = Vec::new();
            tokio::select! {
                _ = read.read_to_end(&mut all) => {}
                () = drip => {}
            }
        })
        .await;
        assert!(took >= GRACE - Duration::from_millis(20), "{took:?}");
    }
    // Over HTTP/2, a body of one byte a frame.
    crowd(100, || async move {
        let mut frames = Frames::connect(addr).await;
        frames.send(post(1)).await;
        let (mut write, mut read) = (frames.write, frames.read);
        let drip = async {
            while write.write_all(&data(0, 1, "x")).await.is_ok() {
                tokio::time::sleep(GRACE / 10).await;
            }
        };
        // The service reads no further, and answers.
        tokio::select! {
            sent = read.until(|sent| matches!(sent, Sent::Head { .. } | Sent::Reset { .. })) => {
                assert_ne!(sent, Sent::Head { stream: 1, status: 200 });
            }
            () = drip => {}
        }
    })
    .await;
    others.was_served().await;
    until(|| server.stats.connections_open() == 0 && server.stats.requests_open() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_of_answers_are_all_cut_off_and_others_served() {
    let server = start!(
        bind().await.answer_rate(rate()),
        service_fn(|request: Request<RequestBody>| async move {
            let length = if request.uri().path() == "/large" { 8 * 1024 * 1024 } else { 5 };
            Ok::<_, Infallible>(text(vec![b'x'; length]))
        })
    );
    let (addr, others) = (server.addr, WellBehaved::start(server.addr));
    let took = crowd(40, || async move {
        let mut raw = Raw::connect(addr).await;
        raw.send("GET /large HTTP/1.1\r\nhost: t\r\n\r\n").await;
        // A byte at a time, without making the windows larger that way.
        while raw.0.read_exact(&mut [0]).await.is_ok() {
            tokio::time::sleep(GRACE / 10).await;
            if raw.0.write_all(b"").await.is_err() || is_reset(&raw) {
                break;
            }
        }
    })
    .await;
    assert!(took >= GRACE - Duration::from_millis(20), "{took:?}");
    // Over HTTP/2 windows that never open, for the body of one request and of all.
    let took = crowd(40, || async move {
        let mut frames = Frames::connect(addr).await;
        frames.send([setting(4, 0), get(1), get(3)].concat()).await;
        frames.until(|sent| *sent == Sent::End).await;
    })
    .await;
    assert!(took >= GRACE - Duration::from_millis(20), "{took:?}");
    others.was_served().await;
    until(|| server.stats.connections_open() == 0 && server.stats.requests_open() == 0).await;
}

/// Whether the server has broken the connection off, which a reader of what came before would see last.
fn is_reset(raw: &Raw) -> bool {
    socket2::SockRef::from(&raw.0).take_error().is_ok_and(|error| error.is_some())
}
