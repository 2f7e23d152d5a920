//! A bound server and its settings.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use tokio::net::{TcpListener, ToSocketAddrs};

use crate::accept;
use crate::error::{BindError, BoxError, Problem};
use crate::limits::{LEAST_HEAD, Limits, bounded};
use crate::request_body::RequestBody;
use crate::shared::{Hook, Shared};
use crate::stats::Stats;
use crate::stopped::Stopped;

/// A server that listens, and accepts nothing yet: [`serve`](Self::serve) does.
///
/// Clients that connect in between wait in the operating system's queue, so a program may print
/// [`local_addr`](Self::local_addr) first.
#[must_use = "a server accepts nothing until `serve` is polled"]
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    limits: Limits,
    stats: Stats,
    hook: Option<Hook>,
}

impl Server {
    /// Listens on an address, for example `"127.0.0.1:8081"`; port 0 takes a free one. Of several addresses (a name
    /// that resolves to more than one) it takes the first that works.
    ///
    /// # Errors
    ///
    /// When none of the addresses can be listened on.
    pub async fn bind(addr: impl ToSocketAddrs + fmt::Debug) -> Result<Self, BindError> {
        let listener = match TcpListener::bind(&addr).await {
            Ok(listener) => Self::from_listener(listener),
            Err(error) => Err(error),
        };
        listener.map_err(|error| BindError::new(format!("{addr:?}"), error))
    }

    /// Serves on a listener made elsewhere: with other socket options, or handed over by a supervisor (a
    /// `std::net::TcpListener` becomes one by `tokio::net::TcpListener::from_std`, after `set_nonblocking(true)`).
    ///
    /// # Errors
    ///
    /// When the operating system does not tell the listener's address.
    pub fn from_listener(listener: TcpListener) -> io::Result<Self> {
        let local_addr = listener.local_addr()?;
        Ok(Self { listener, local_addr, limits: Limits::default(), stats: Stats::default(), hook: None })
    }

    /// The time in which a request's head must arrive, from its first byte on, for the first one from the acceptance
    /// of the connection on. Whoever takes longer, or never sends anything, is disconnected. At least 1 ms; 10 s
    /// unless set.
    ///
    /// Over HTTP/2 it holds for what a client sends first (the preface); a head that never ends is no request there,
    /// so [`idle_timeout`](Self::idle_timeout) ends it, unless other requests run on the connection.
    pub fn head_timeout(mut self, limit: Duration) -> Self {
        self.limits.head_timeout = bounded(limit);
        self
    }

    /// How long a connection may stay open without a request, from the end of the last one (its answer sent) on; over
    /// HTTP/2 whatever frames pass meanwhile, so PINGs keep no connection open. It then begins to close, which an
    /// HTTP/2 client that does not answer can delay by a second. At least 1 ms; 75 s unless set, which is longer than
    /// usual load balancers keep theirs.
    ///
    /// An answer that the service has produced whole, but the client no longer reads, is given up after this time and
    /// another [`head_timeout`](Self::head_timeout); as long as the service produces it, the request runs.
    ///
    /// It does not hold for upgraded connections; an HTTP/2 connection with a tunnel (CONNECT) is idle when no bytes
    /// pass at all.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.limits.idle_timeout = bounded(limit);
        self
    }

    /// The size of a request's head in bytes (over HTTP/2: of its header list, RFC 9113, 6.5.2); a larger one is
    /// answered 431. At least 8 KiB; 64 KiB unless set. Over HTTP/1 it is also the size of the connection's buffers.
    pub fn head_limit(mut self, bytes: usize) -> Self {
        self.limits.head_bytes = bytes.max(LEAST_HEAD);
        self
    }

    /// The number of header lines of a request; more are answered 431. 100 unless set. Another number than 100 costs
    /// an allocation per request.
    pub fn max_headers(mut self, count: usize) -> Self {
        self.limits.headers = count;
        self
    }

    /// The size of a request's body in bytes, or `None` for any; `None` unless set, because the server buffers no
    /// body: whoever does (an extractor, a decoder) has a limit of its own, and a stream may well run for days.
    ///
    /// A body announced to be larger is answered 413 at once, and is neither read nor shown to the service. One that
    /// turns out to be larger ends, for the service, with [`http_body_util::LengthLimitError`].
    pub fn body_limit(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.limits.body_bytes = bytes.into();
        self
    }

    /// The number of connections open at once; more wait in the operating system's queue until one ends. Unlimited
    /// unless set. An upgraded connection (WebSocket) counts until the service drops its stream.
    pub fn connections(mut self, count: NonZeroUsize) -> Self {
        self.limits.connections = count.get();
        self
    }

    /// The number of requests that may run at once on one HTTP/2 connection; 200 unless set. Clients are told, and one
    /// more is refused in a way that tells them that it has not begun (`REFUSED_STREAM`; RFC 9113, 5.1.2 and 8.7).
    ///
    /// It also bounds what one HTTP/2 client can make the server hold: for each stream a head of
    /// [`head_limit`](Self::head_limit), and 64 KiB and a part of its answer's body that the client does not read; for
    /// all of them together 1 MiB of requests' bodies that the service has not read. By default that is 26 MiB, and
    /// the parts.
    ///
    /// A stream that is reset makes room for the next one at once, while its request may still be about to end. So
    /// resets are counted too: a connection ends (`ENHANCE_YOUR_CALM`) when more than 20 streams were reset before the
    /// server came to look at them ("rapid reset", CVE-2023-44487), or when it had to reset more than 1024 itself for
    /// what the client did wrong on them ("MadeYouReset", CVE-2025-8671) or opened over the limit.
    pub fn streams(mut self, count: NonZeroU32) -> Self {
        self.limits.streams = count.get();
        self
    }

    /// Whether an HTTP/1 client that ends its own side after its requests is still answered, as TCP allows; `false`
    /// unless set.
    ///
    /// A server cannot tell such a client from one that has left. Nearly all are the latter, so by default they drop
    /// their request, as with other servers: an answer that is not ready by then is lost to the few that only ended
    /// their side (`nc -N`). With `true`, a client that leaves is noticed only when an answer is written to it, and
    /// its request runs on until then.
    pub fn half_close(mut self, answered: bool) -> Self {
        self.limits.half_close = answered;
        self
    }

    /// How long running requests, and upgraded connections, may take to end after the stop; then they are cut. 10 s
    /// unless set.
    pub fn stop_within(mut self, limit: Duration) -> Self {
        self.limits.stop_within = limit;
        self
    }

    /// A hook that is told of what went wrong: it is called once for each [`Problem`], on the task that met it, and
    /// must neither block nor panic. Without one, problems are only counted in [`Stats`].
    pub fn on_problem(mut self, hook: impl Fn(&Problem) + Send + Sync + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// The address that clients can connect to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Counters that stay readable while the server runs, and after.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats.clone()
    }

    /// Serves until `shutdown` is ready and the connections have ended, or were cut.
    ///
    /// The service is cloned for each request; it is called when its `poll_ready` says so. Requests carry a
    /// [`kit_base::Peer`] in their extensions. A service for another body type takes `request.map(Body::new)`, for
    /// example by `tower::ServiceExt::map_request`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the port and all connections, and drops the futures of all running requests:
    /// their tasks end at the next `.await`.
    ///
    /// # Protocol upgrades
    ///
    /// The stream of an upgraded connection (WebSocket, or an HTTP/1 CONNECT) belongs to the service that took it, and
    /// so does its goodbye: the server waits for it to be dropped, as for a request. At the end of
    /// [`stop_within`](Self::stop_within), and when this future is dropped, its socket is shut down in both directions,
    /// which both ends see as the end of the stream. Until then each needs a second file descriptor.
    pub async fn serve<S, B>(self, service: S, shutdown: impl Future<Output = ()>) -> Stopped
    where
        S: tower_service::Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let shared = Arc::new(Shared { limits: self.limits, stats: self.stats, hook: self.hook });
        accept::run(self.listener, service, shutdown, shared).await
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_addr", &self.local_addr)
            .field("limits", &self.limits)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}
