//! One connection from its acceptance to its end.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};

use http::{Request, Response};
use http_body::Body;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use kit_base::Peer;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::activity::Next;
use crate::entry::Entry;
use crate::error::BoxError;
use crate::limits::{FORCED_RESETS, Limits, RECEIVE_WINDOW, SEND_BUFFER, UNSEEN_RESETS, USUAL_HEADERS};
use crate::linger::linger;
use crate::link::Link;
use crate::request_body::RequestBody;
use crate::shared::Shared;
use crate::streams::{Spawner, Streams};
use crate::watched::Watched;

/// How a connection ended, and so whether its last bytes may still be on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// After an answer, or with an error.
    Spoken,
    /// While it was idle, or because its client was too slow.
    Silent,
}

/// Serves one connection until it ends, or until `stop` says true and its running requests are answered.
pub(crate) async fn run<S, B>(
    stream: TcpStream,
    peer: Peer,
    service: S,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
) where
    S: tower_service::Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    // Answers are written in one piece, so waiting for more (Nagle) only delays them. A socket that refuses works too.
    let _ = stream.set_nodelay(true);
    let open = shared.stats.connection_opened();
    let link = Arc::new(Link::new(shared, peer));
    let end = {
        let streams = Streams::new();
        let builder = builder(&link.shared.limits, streams.spawner());
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&link)));
        let entry = Entry::new(service, Arc::clone(&link));
        let connection = pin!(builder.serve_connection_with_upgrades(io, entry));
        drive(connection, &link, stop).await
    };
    if link.activity.is_upgraded() {
        // The stream is the service's now, and the connection open, and in its place, as long as that keeps it.
        link.stream_left().await;
        return;
    }
    drop(open);
    if end == End::Spoken && !link.activity.is_ended() {
        if let Some(stream) = link.take_stream() {
            linger(stream).await;
        }
    }
}

/// A connection of hyper that can be told to end.
trait Connection: Future<Output = Result<(), BoxError>> {
    fn graceful_shutdown(self: Pin<&mut Self>);
}

impl<S, B> Connection for auto::UpgradeableConnection<'_, TokioIo<Watched>, Entry<S>, Spawner>
where
    S: tower_service::Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        auto::UpgradeableConnection::graceful_shutdown(self);
    }
}

/// Where a connection is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// The server stops. What the operating system holds for this connection is read first, so that a request which
    /// was here before the stop is answered, even if the runtime has not heard of it yet.
    LastLook,
    /// The server stops, and this client has connected just now: its first request is on its way.
    FirstWord,
    Closing(End),
}

async fn drive(mut connection: Pin<&mut impl Connection>, link: &Link, mut stop: watch::Receiver<bool>) -> End {
    let limits = &link.shared.limits;
    // An error means that the server is gone, and this task with it.
    let mut stop = pin!(async move { stop.wait_for(|stop| *stop).await.is_ok() });
    let mut timer = pin!(tokio::time::sleep(limits.head_timeout));
    let mut stage = Stage::Serving;
    let mut closing = None;
    poll_fn(|cx| {
        loop {
            // First of all, so that whatever the client did is known when the rest is judged.
            if let Poll::Ready(_closed) = connection.as_mut().poll(cx) {
                // An error is the client's doing (it broke off, or was refused), and has been answered if it could be.
                return Poll::Ready(if let Stage::Closing(end) = stage { end } else { End::Spoken });
            }
            if stage == Stage::Serving && stop.as_mut().poll(cx).is_ready() {
                stage = Stage::LastLook;
                link.set_probing(true);
                continue;
            }
            if matches!(stage, Stage::LastLook | Stage::FirstWord) {
                link.set_probing(false);
                if let Some(until) = link.activity.awaited_until(Instant::now(), limits) {
                    stage = Stage::FirstWord;
                    timer.as_mut().reset(until);
                    ready!(timer.as_mut().poll(cx));
                    continue;
                }
                stage = Stage::Closing(if link.activity.is_quiet() { End::Silent } else { End::Spoken });
                connection.as_mut().graceful_shutdown();
                let now = Instant::now();
                closing = Some(now);
                timer.as_mut().reset(now);
                continue;
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            match link.activity.next(now, limits, closing) {
                Next::Wait(until) => timer.as_mut().reset(until),
                Next::Idle => {
                    stage = Stage::Closing(End::Silent);
                    closing = Some(now);
                    connection.as_mut().graceful_shutdown();
                }
                Next::Late => return Poll::Ready(End::Silent),
            }
        }
    })
    .await
}

fn builder(limits: &Limits, spawner: Spawner) -> auto::Builder<Spawner> {
    let mut builder = auto::Builder::new(spawner);
    // Without hyper's timer for heads: it would also end idle connections, and costs an allocation per request.
    builder.http1().max_buf_size(limits.head_bytes).header_read_timeout(None).half_close(limits.half_close);
    if limits.headers != USUAL_HEADERS {
        builder.http1().max_headers(limits.headers);
    }
    builder
        .http2()
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(RECEIVE_WINDOW)
        .initial_connection_window_size(RECEIVE_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(UNSEEN_RESETS)
        .max_local_error_reset_streams(FORCED_RESETS)
        .enable_connect_protocol();
    builder
}
