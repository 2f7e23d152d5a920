//! A bound server and its settings.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use kit_base::Observer;
use tokio::net::{TcpListener, ToSocketAddrs};

use crate::accept;
use crate::error::{BindError, BoxError, Problem};
use crate::events::Events;
use crate::forwarded::{ForwardedHeader, Forwarding};
use crate::limits::{LEAST_HEAD, bounded};
use crate::listener::Listener;
use crate::networks::TrustedProxies;
use crate::pace::MinRate;
use crate::request_body::RequestBody;
use crate::shared::Shared;
use crate::stats::Stats;
use crate::stopped::Stopped;

/// A server that listens, and accepts nothing yet: [`serve`](Self::serve) does.
///
/// Clients that connect in between wait in the operating system's queue, so a program may print
/// [`local_addr`](Self::local_addr) first.
#[must_use = "a server accepts nothing until `serve` is polled"]
pub struct Server {
    listeners: Vec<Listener>,
    shared: Shared,
}

impl Server {
    /// Serves on a listener: [`Listener::bind`] for TCP, `Listener::unix` for a Unix socket, with TLS or not.
    pub fn new(listener: Listener) -> Self {
        Self { listeners: vec![listener], shared: Shared::default() }
    }

    /// Listens on an address, for example `"127.0.0.1:8081"`; port 0 takes a free one. Of several addresses (a name
    /// that resolves to more than one) it takes the first that works. The same as [`new`](Self::new) with
    /// [`Listener::bind`].
    ///
    /// # Errors
    ///
    /// When none of the addresses can be listened on.
    pub async fn bind(addr: impl ToSocketAddrs + fmt::Debug) -> Result<Self, BindError> {
        Listener::bind(addr).await.map(Self::new)
    }

    /// Serves on a TCP listener made elsewhere. The same as [`new`](Self::new) with [`Listener::from_tcp`].
    ///
    /// # Errors
    ///
    /// When the operating system does not tell the listener's address.
    pub fn from_listener(listener: TcpListener) -> io::Result<Self> {
        Listener::from_tcp(listener).map(Self::new)
    }

    /// Serves on one listener more. The limits, the stop and the counters are the server's: ten thousand connections
    /// are those of all its listeners together, of which none is preferred.
    pub fn listen(mut self, listener: Listener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// The time in which a request's head must arrive, from its first byte on, for the first one from the acceptance
    /// of the connection on. Whoever takes longer, or never sends anything, is disconnected. At least 1 ms; 10 s
    /// unless set.
    ///
    /// Over HTTP/2 it holds for what a client sends first (the preface); a head that never ends is no request there,
    /// so [`idle_timeout`](Self::idle_timeout) ends it, unless other requests run on the connection.
    pub fn head_timeout(mut self, limit: Duration) -> Self {
        self.shared.limits.head_timeout = bounded(limit);
        self
    }

    /// How long a connection may stay open without a request, from the end of the last one (its answer sent) on; over
    /// HTTP/2 whatever frames pass meanwhile, so PINGs keep no connection open. It then begins to close, which an
    /// HTTP/2 client that does not answer can delay by a second. At least 1 ms; 75 s unless set, which is longer than
    /// usual load balancers keep theirs.
    ///
    /// An answer that the service has produced whole, but the client no longer reads, is given up after this time and
    /// another [`head_timeout`](Self::head_timeout), if [`answer_rate`](Self::answer_rate) has not cut it before.
    ///
    /// It does not hold for upgraded connections; an HTTP/2 connection with a tunnel (CONNECT) is idle when no bytes
    /// pass but PINGs.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.shared.limits.idle_timeout = bounded(limit);
        self
    }

    /// The size of a request's head in bytes (over HTTP/2: of its header list, RFC 9113, 6.5.2); a larger one is
    /// answered 431. At least 8 KiB; 64 KiB unless set. Over HTTP/1 it is also the size of the connection's buffers.
    pub fn head_limit(mut self, bytes: usize) -> Self {
        self.shared.limits.head_bytes = bytes.max(LEAST_HEAD);
        self
    }

    /// The number of header lines of a request; more are answered 431. 100 unless set. Another number than 100 costs
    /// an allocation per request. Over HTTP/2 all cookies count as one, because browsers send each in a line of its own
    /// there (RFC 9113, 8.2.3).
    pub fn max_headers(mut self, count: usize) -> Self {
        self.shared.limits.headers = count;
        self
    }

    /// The size of a request's body in bytes, or `None` for any; `None` unless set, because the server buffers no
    /// body: whoever does (an extractor, a decoder) has a limit of its own, and a stream may well run for days.
    ///
    /// A body announced to be larger is answered 413 at once, and is neither read nor shown to the service. One that
    /// turns out to be larger ends, for the service, with [`http_body_util::LengthLimitError`].
    pub fn body_limit(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.shared.limits.body_bytes = bytes.into();
        self
    }

    /// The least rate at which a request's body must come while the service waits for it; `None` for any.
    /// [`MinRate::default`] unless set: 240 bytes a second, after 5 s.
    ///
    /// Only the time counts in which the service asks for the body and has to wait. A body that is too slow ends, for
    /// the service, with a [`BodyTooSlow`](crate::BodyTooSlow), to be answered 408; the answer closes the connection
    /// (over HTTP/2, its stream). A service that does not heed the error is not forced.
    ///
    /// It does not hold for calls of gRPC (`application/grpc`), where the caller may be silent for hours between two
    /// messages, nor for upgraded connections and CONNECT. Other bodies with pauses, such as those of an HTTP/2 client
    /// that streams both ways, need `None`.
    #[doc(alias = "MinRequestBodyDataRate")]
    pub fn body_rate(mut self, rate: impl Into<Option<MinRate>>) -> Self {
        self.shared.limits.body_rate = rate.into();
        self
    }

    /// The least rate at which a client must take its answers while there is something for it to take; `None` for any.
    /// [`MinRate::default`] unless set: 240 bytes a second, after 5 s. A client that is slower is cut off.
    ///
    /// It is judged for the whole connection, also where the service still produces: an endless stream to a client
    /// that never reads ends. A client that reads, and a service that has nothing to say, are never too slow. What
    /// the operating system takes in for the client counts as taken, which is some hundred kilobytes before the first
    /// are missing. Over HTTP/2 a client that takes nothing because it closes its windows is slow too; one that means
    /// to pause a stream for longer than a minute needs `None`. It does not hold for connections that have carried a
    /// call of gRPC, whose clients pause streams as they please.
    #[doc(alias = "MinResponseDataRate")]
    pub fn answer_rate(mut self, rate: impl Into<Option<MinRate>>) -> Self {
        self.shared.limits.answer_rate = rate.into();
        self
    }

    /// How long a request may take, from its head to the head of its answer; `None` for any time. At least 1 ms; 5
    /// minutes unless set. As long as the service waits for the request's body, or takes parts of it, the time begins
    /// anew; [`body_rate`](Self::body_rate) bounds how long a client may take for it.
    ///
    /// A request that takes longer is dropped, with all that its service waits for, and answered 504, over gRPC
    /// `DEADLINE_EXCEEDED`. How long the body of the answer takes is not limited. A service that answers at once
    /// costs no timer.
    pub fn request_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.shared.limits.request_timeout = limit.into().map(bounded);
        self
    }

    /// The number of connections open at once; more wait in the operating system's queue until one ends. 10,000 unless
    /// set, because each takes memory (one over HTTP/1 some 10 KiB besides the service's own, and up to
    /// [`head_limit`](Self::head_limit) and the operating system's buffers while bytes are on their way) and a file
    /// descriptor, of which a process often has 1,024 only. An upgraded connection (WebSocket) counts until the
    /// service drops its stream.
    pub fn connections(mut self, count: NonZeroUsize) -> Self {
        self.shared.limits.connections = count.get();
        self
    }

    /// How old a connection may become, less up to a tenth of it by chance. It is then told to end (`connection:
    /// close`, GOAWAY) and ends with its running requests. At least 1 ms; any age unless set.
    ///
    /// Clients keep connections for as long as they can, so that a new instance behind a balancer of connections gets
    /// none of them; this makes them ask again. Upgraded connections have no age.
    #[doc(alias = "MaxConnectionAge")]
    pub fn connection_age(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.shared.limits.connection_age = limit.into().map(bounded);
        self
    }

    /// How long the requests that run on a connection when its [`connection_age`](Self::connection_age) is reached may
    /// go on; then it is cut. Any time unless set.
    #[doc(alias = "MaxConnectionAgeGrace")]
    pub fn connection_age_grace(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.shared.limits.age_grace = limit.into().map(bounded);
        self
    }

    /// Takes the word of these proxies, in this header, for who the client of a request is:
    /// [`kit_base::Peer::addr`] is then the client's. Nobody is trusted unless set.
    ///
    /// The hops are read from the right; the first that is no trusted proxy is the client. Its port is kept if it is
    /// told, else 0. A hop that cannot be read (`unknown`, an obfuscated name, a malformed one) ends the way at the
    /// hop before. From everybody else the header is ignored, so that no client can claim an address. What TLS has
    /// proved ([`kit_base::Peer::tls`]) stays that of the connection.
    ///
    /// ```
    /// use kit_serve::{ForwardedHeader, Server, TrustedProxies};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let balancers = TrustedProxies::new(["10.0.0.0/8"])?;
    /// let server = Server::bind("127.0.0.1:0").await?.trusted_proxies(balancers, ForwardedHeader::XForwardedFor);
    /// # let _ = server;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("Forwarded", "X-Forwarded-For"))]
    pub fn trusted_proxies(mut self, proxies: TrustedProxies, header: ForwardedHeader) -> Self {
        self.shared.forwarding = Some(Forwarding { proxies, header });
        self
    }

    /// The number of requests that may run at once on one HTTP/2 connection; 200 unless set. Clients are told, and one
    /// more is refused in a way that tells them that it has not begun (`REFUSED_STREAM`; RFC 9113, 5.1.2 and 8.7).
    ///
    /// It also bounds what one HTTP/2 client can make the server hold: for each stream a head of
    /// [`head_limit`](Self::head_limit), and 64 KiB and a part of its answer's body that the client does not read; for
    /// all of them together 4 MiB of requests' bodies that the service has not read, 1 MiB for one. By default that is
    /// 29 MiB, and the parts. (hyper alone takes 400 KiB of each answer, which is faster where one large answer has a fast and
    /// long way to go.)
    ///
    /// A stream that is reset makes room for the next one at once, while its request may still be about to end. So
    /// resets are counted too: a connection ends (`ENHANCE_YOUR_CALM`) when more than 20 streams were reset before the
    /// server came to look at them ("rapid reset", CVE-2023-44487), or when it had to reset more than 1024 itself for
    /// what the client did wrong on them ("MadeYouReset", CVE-2025-8671) or opened over the limit.
    pub fn streams(mut self, count: NonZeroU32) -> Self {
        self.shared.limits.streams = count.get();
        self
    }

    /// How long an HTTP/2 client may be silent before it is sent a PING; `None` for never. At least 1 ms; 20 s unless
    /// set.
    ///
    /// A client that vanishes (power, cable, a router that forgot it) says no goodbye, and the operating system needs a
    /// quarter of an hour to notice, or never does when nothing is sent. A PING and
    /// [`http2_keepalive_timeout`](Self::http2_keepalive_timeout) find it out: by default such a client is gone, and its
    /// requests are dropped, 30 s after its last sign of life. Such a sign is whatever it sends, and that it takes what
    /// waited to be sent to it, so that one whose answer to the PING is held up behind a long download is not taken for
    /// dead.
    ///
    /// PINGs and their answers keep no connection from being idle: [`idle_timeout`](Self::idle_timeout) ends it as
    /// before. Clients that wake a radio for each of them, and have calls that stay silent for hours, fare better with
    /// minutes here. gRPC's own servers wait for two hours (gRFC A9), which routers between do not. A server may send
    /// PINGs as often as it likes; it is clients that gRPC's servers cut for too many. HTTP/1 has no such frame.
    #[doc(alias("KeepaliveParams", "ServerParameters", "keep_alive_interval"))]
    pub fn http2_keepalive_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.shared.limits.keepalive_interval = interval.into().map(bounded);
        self
    }

    /// How long an HTTP/2 client may go on to be silent after a PING; then its connection is cut, and its requests are
    /// dropped. Without a request it ends as an idle one does, because some clients read nothing while they are idle: they
    /// find a GOAWAY, and know that their next request has not begun.
    ///
    /// At least 1 ms; 10 s unless set, which is far above the slowest way around the earth, and covers a client that stands
    /// still for a moment. Nothing without an [`http2_keepalive_interval`](Self::http2_keepalive_interval).
    #[doc(alias = "keep_alive_timeout")]
    pub fn http2_keepalive_timeout(mut self, limit: Duration) -> Self {
        self.shared.limits.keepalive_timeout = bounded(limit);
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
        self.shared.limits.half_close = answered;
        self
    }

    /// How long running requests, and upgraded connections, may take to end after the stop; then they are cut: answers by
    /// a reset, so that no client takes half of one for the whole. 10 s unless set.
    pub fn stop_within(mut self, limit: Duration) -> Self {
        self.shared.limits.stop_within = limit;
        self
    }

    /// A hook that is told of what went wrong: it is called once for each [`Problem`], on the task that met it, and
    /// must neither block nor panic. Without one, problems are only counted in [`Stats`].
    pub fn on_problem(mut self, hook: impl Fn(&Problem) + Send + Sync + 'static) -> Self {
        self.shared.hook = Some(Box::new(hook));
        self
    }

    /// Whom to tell what the server does, in events of the source `serve`: the table is on the
    /// [front page](crate#events-and-log-fields). Called on the tasks of the connections, so it must neither block nor
    /// panic.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.shared.events = Events::to(observer);
        self
    }

    /// The address of the first TCP listener, which clients can connect to. A server that has only Unix sockets says
    /// `0.0.0.0:0`, which is no address; see [`Listener::local_addr`].
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        let first = self.listeners.iter().find_map(Listener::local_addr);
        first.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0))
    }

    /// Counters that stay readable while the server runs, and after.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats.clone()
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
        accept::run(self.listeners, service, shutdown, Arc::new(self.shared)).await
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("listeners", &self.listeners).field("shared", &self.shared).finish()
    }
}
