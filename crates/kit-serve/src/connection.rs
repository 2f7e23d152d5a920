//! One connection from its acceptance to its end.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::sync::watch;

use crate::door::{Door, Entered, Turned};
use crate::drive::{Connection, How, drive};
use crate::entry::Entry;
use crate::error::BoxError;
use crate::events::Why;
use crate::keepalive::{SilenceTimer, UNJUDGED};
use crate::limits::{CONNECTION_WINDOW, FORCED_RESETS, SEND_BUFFER, STREAM_WINDOW, UNSEEN_RESETS, USUAL_HEADERS};
use crate::linger::linger;
use crate::link::Link;
use crate::open::Open;
use crate::request_body::RequestBody;
use crate::shared::Shared;
use crate::socket::Socket;
#[cfg(feature = "tls")]
use crate::stream::Stream;
use crate::streams::{Spawner, Streams};
use crate::watched::Watched;

/// Serves one connection until it ends, or until `stop` says true and its running requests are answered.
pub(crate) async fn run<S, B>(
    (socket, addr): (Socket, Option<SocketAddr>),
    door: Arc<Door>,
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
    let open = Open::new(&shared);
    let entering = door.enter(socket, addr, shared.limits.head_timeout);
    let Entered { stream, peer, agreed } = match unless_stopped(entering, stop.clone(), shared.limits.last_word()).await
    {
        Some(Ok(entered)) => entered,
        Some(Err(turned)) => return turn_away(turned, open).await,
        None => return open.close(Why::Stopped),
    };
    let link = Arc::new(Link::new(shared, peer, stream.is_secure()));
    let end = {
        let streams = Streams::new();
        let builder = builder(&link, streams.spawner());
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&link), agreed));
        let entry = Entry::new(service, Arc::clone(&link));
        let connection = pin!(builder.serve_connection_with_upgrades(io, entry));
        // Dropped before the connection, so that it can say how the socket is to be closed.
        let whole = link.whole_or_broken();
        let end = drive(connection, &link, stop).await;
        whole.over();
        end
    };
    let Some(stream) = link.take_stream() else {
        // It is the service's now, and the connection open, and in its place, as long as that keeps it.
        link.stream_left().await;
        return open.close(end.why);
    };
    open.close(end.why);
    match end.how {
        How::Spoken if !link.activity.is_ended() => linger(stream).await,
        How::Spoken | How::Silent => stream.end_now().await,
        How::Cut => stream.socket().reset_on_close(),
    }
}

/// What a future is ready with; none if the server stops and it is not ready soon.
async fn unless_stopped<T>(
    future: impl Future<Output = T>,
    mut stop: watch::Receiver<bool>,
    soon: Duration,
) -> Option<T> {
    let mut future = pin!(future);
    let mut stopped = pin!(async move {
        let _ = stop.wait_for(|stop| *stop).await;
        tokio::time::sleep(soon).await;
    });
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(ready) => Poll::Ready(Some(ready)),
        Poll::Pending => stopped.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// Ends a connection on which HTTP does not begin.
async fn turn_away(turned: Turned, open: Open) {
    match turned {
        Turned::ProxyHeader(key) => {
            open.shared().events.tell("proxy_header_failed", key);
            open.close(Why::ProxyHeaderFailed);
        }
        #[cfg(feature = "tls")]
        Turned::Tls(key, socket) => {
            open.shared().events.tell("tls_failed", key);
            open.close(Why::TlsFailed);
            if let Some(socket) = socket {
                linger(Stream::Plain(socket)).await;
            }
        }
    }
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

fn builder(link: &Arc<Link>, spawner: Spawner) -> auto::Builder<Spawner> {
    let limits = &link.shared.limits;
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
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(UNSEEN_RESETS)
        .max_local_error_reset_streams(FORCED_RESETS)
        .enable_connect_protocol();
    if let Some(keepalive) = limits.keepalive() {
        let timer = SilenceTimer { link: Arc::clone(link), keepalive };
        builder.http2().timer(timer).keep_alive_interval(keepalive.interval).keep_alive_timeout(UNJUDGED);
    }
    builder
}
