//! Serves any service on `http` types over HTTP/1.1 and HTTP/2 on one port or several, with TLS, limits and a clean,
//! bounded stop.
//!
//! For programs that have a `tower_service::Service` of `http` requests and responses, whoever made it: kit's
//! transports, an `axum::Router`, tonic's `Routes`, a closure in `tower::service_fn`. Not for routing,
//! decoding or gRPC themselves, nor for clients, nor for what a proxy does: several certificates by name, HTTP/3,
//! static files.
//!
//! ```
//! use axum::{Router, routing::get};
//! use kit_serve::Server;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::bind("127.0.0.1:0").await?;
//! let addr = server.local_addr();
//! let app = Router::new().route("/", get(|| async { "hello" }));
//!
//! // In a program the second argument is `kit_serve::signal()?`.
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let serving = tokio::spawn(server.serve(app, async move { stopped.await.unwrap_or(()) }));
//!
//! let mut client = tokio::net::TcpStream::connect(addr).await?;
//! client.write_all(b"GET / HTTP/1.1\r\nhost: example\r\nconnection: close\r\n\r\n").await?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer).await?;
//! assert!(answer.ends_with("hello"));
//!
//! stop.send(()).expect("the server waits for this");
//! assert!(serving.await?.is_clean());
//! # Ok(())
//! # }
//! ```
//!
//! # Ports, Unix sockets, TLS
//!
//! [`Server::bind`] is one plain port. A [`Listener`] is a port or a Unix socket with settings of its own, and a server
//! takes any number of them: [`Server::new`] and [`listen`](Server::listen). One set of limits, one stop and one
//! [`Stats`] hold for all.
//!
//! ```
//! # #[cfg(all(feature = "tls", unix))]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use kit_serve::{Listener, Server, Tls};
//! use tokio_rustls::rustls::{ServerConfig, crypto::ring};
//!
//! // In a program, certificate and key come from files.
//! let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
//! let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
//!     .with_safe_default_protocol_versions()?
//!     .with_no_client_auth()
//!     .with_single_cert(vec![made.cert.der().clone()], made.signing_key.serialize_der().try_into()?)?;
//! let tls = Tls::new(Arc::new(config));
//!
//! # let folder = kit_testing::temp::temp_dir()?;
//! # let path = folder.path().join("kit.sock");
//! let server = Server::new(Listener::bind("127.0.0.1:0").await?.tls(tls.clone()))
//!     .listen(Listener::bind("127.0.0.1:0").await?)
//!     .listen(Listener::unix(&path).await?);
//! assert_ne!(server.local_addr().port(), 0);
//! // `tls.replace(config)` takes a renewed certificate while the server runs.
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "tls", unix)))]
//! # fn main() {}
//! ```
//!
//! - **TLS** (`Listener::tls`, with the feature `tls`) is rustls with the program's own configuration and
//!   provider; this crate switches none on. `h2` and `http/1.1` are offered, unless the configuration names others. A
//!   client's verified certificates are in [`kit_base::Peer::tls`]. Every end by the server that breaks nothing off is
//!   announced (`close_notify`). Plain HTTP on a port for TLS is answered by a 400 that says so.
//! - **Without TLS** clients reach HTTP/2 by prior knowledge (h2c); there is no upgrade from HTTP/1.1 (RFC 9113, 3.1).
//! - **A Unix socket**'s file is removed at the stop; that of a dead server is replaced, and that of a live one
//!   refused.
//!
//! # Behind proxies
//!
//! The address in [`kit_base::Peer::addr`] is that of the connection, which behind a proxy is the proxy's. Two ways
//! bring the client's; both take the word of those only whom the program names ([`TrustedProxies`]):
//!
//! - [`Server::trusted_proxies`]: one HTTP header, `Forwarded` or `X-Forwarded-For`, for each request.
//! - [`Listener::proxy_protocol`]: the header of the PROXY protocol, versions 1 and 2, before everything else on a
//!   connection; for balancers that do not look into it.
//!
//! # Behaviour
//!
//! - **The service** is cloned for each connection and each request, waits in `poll_ready` until it is ready,
//!   and is then called. It is generic over the body ([`RequestBody`]); axum and tonic are, others take one
//!   `map_request`. Each request carries a [`kit_base::Peer`] in its extensions, under TLS
//!   also `http::uri::Scheme::HTTPS`, which most request targets do not tell.
//! - **Cancellation.** A client that leaves (or resets its stream) drops the future of its request; so does one over
//!   HTTP/1 that only ends its side of the connection, unless [`half_close`](Server::half_close) says otherwise. Dropping
//!   the future of [`serve`](Server::serve) closes the port and every connection, and drops every request; its
//!   tasks end at their next `.await`.
//! - **The stop.** When the future given to [`serve`](Server::serve) is ready, connections and requests that
//!   have reached the machine by then are still taken, and the port is closed. Idle connections are closed at
//!   once; those with half a head after a second; those that have sent nothing yet, and whose first request is
//!   probably on its way, when they are a second old (for both at half of [`stop_within`](Server::stop_within), if that
//!   is less). The others are told (`connection: close`, GOAWAY) and end with their running requests, bodies included.
//!   Upgraded connections (WebSocket) end when the service drops their streams. What is left after
//!   [`stop_within`](Server::stop_within) is cut, and [`Stopped`] says how much that was.
//!
//!   So every request that the service has begun is answered whole, and none is dropped that had arrived when the stop
//!   began: what fails did not happen. A client that writes a request while its idle connection is being closed loses
//!   it; HTTP/1.1 has no way to tell it so (RFC 9112, 9.3.1), HTTP/2 has, and uses it. Pipelined requests behind one that
//!   runs are not begun: `connection: close` in its answer tells their client so (RFC 9112, 9.6).
//! - **The last answer arrives.** A connection that the server ends after an answer is read on for up to a
//!   second, and what comes is thrown away; otherwise the answer to a client that is still sending would be
//!   lost to a reset.
//! - **Clones.** [`Stats`] and `Tls` can be cloned, and clones are handles on the same counters, and on the same
//!   configuration. [`Server`] and [`Listener`] cannot: they own their ports.
//!
//! # Limits
//!
//! | limit | default | over it |
//! |---|---|---|
//! | [`head_timeout`](Server::head_timeout) | 10 s; also for PROXY header and TLS handshake | closed |
//! | [`idle_timeout`](Server::idle_timeout) | 75 s | closed; over HTTP/2 also for half a head |
//! | [`head_limit`](Server::head_limit) | 64 KiB | 431 |
//! | [`max_headers`](Server::max_headers) | 100 | 431 |
//! | [`body_limit`](Server::body_limit) | none | 413 if announced, else an error for who reads the body |
//! | [`body_rate`](Server::body_rate) | 240 B/s after 5 s, not for gRPC | [`BodyTooSlow`] for who reads the body |
//! | [`answer_rate`](Server::answer_rate) | 240 B/s after 5 s, not with gRPC | cut |
//! | [`request_timeout`](Server::request_timeout) | 5 min to the answer's head | 504; over gRPC `DEADLINE_EXCEEDED` |
//! | [`connections`](Server::connections) | 10,000 | wait in the operating system's queue |
//! | [`streams`](Server::streams) | 200 an HTTP/2 connection | the stream is refused |
//! | [`http2_keepalive_interval`](Server::http2_keepalive_interval) | 20 s of silence over HTTP/2 | asked by a PING |
//! | [`http2_keepalive_timeout`](Server::http2_keepalive_timeout) | 10 s of silence after it | cut |
//! | [`connection_age`](Server::connection_age) | none | told to end |
//! | [`stop_within`](Server::stop_within) | 10 s | cut |
//!
//! Over HTTP/2, [`head_timeout`](Server::head_timeout) ends only clients that do not begin to speak it. A head that
//! never ends is not noticed as long as other requests run on its connection.
//!
//! A body has no limit by default, because the server never buffers one, and [`body_rate`](Server::body_rate) bounds
//! the time that one takes: limits of size belong to those who buffer.
//!
//! The server's own answers (400 for a target or host, 413, 431 over HTTP/2, 500, 501, 504) are problem details
//! (RFC 9457), or a `grpc-status` for a call of gRPC. What hyper refuses (400, 414, and 431 over HTTP/1) has no body.
//!
//! # Malformed and hostile requests
//!
//! What can be read in two ways is refused, and nothing that follows it on its connection is served:
//!
//! - **HTTP/1** (RFC 9112, 6.3 and 11.2): a `Content-Length` that is no number, or a second one that differs; a
//!   transfer coding other than `chunked` alone (400 or 501); chunks that are not exact (an error for who reads the
//!   body); folded lines, spaces before a colon, NUL and CR in values; a target that its method may not have; no `Host`,
//!   a second one, or one that is no host (400). If the target is a whole URI, `Host` is made to say the same.
//! - **HTTP/2** (RFC 9113, 8): a `content-length` that is not that of the DATA, fields of HTTP/1 connections, upper-case
//!   names, CR and LF, pseudo fields too many, too few or too late (the stream or the connection is reset); a `host`
//!   that is not the `:authority` (400).
//! - **Floods**: over HTTP/2, streams opened and reset, empty or tiny DATA, heads without an end and compressed heads
//!   that are huge end the connection (`ENHANCE_YOUR_CALM`); what the server must answer (PING, SETTINGS, pipelined
//!   requests) it does at the pace at which the client reads.
//!
//! What the libraries below decide, and cannot be changed here:
//!
//! - A request with both `Content-Length` and chunks is answered by its chunks, its length is dropped, and its
//!   connection closed, as RFC 9112, 6.1 allows; it cannot be refused, because hyper does not show it. A proxy in front
//!   should refuse it.
//! - A bare LF ends a line of a head (RFC 9112, 2.2 allows it), but not of a chunk.
//! - Trailers may have any names; they are shown apart from the headers, and must be kept apart.
//! - h2 ends the whole connection for some errors of a stream (a malformed name or value, an unknown pseudo field), and
//!   often says `PROTOCOL_ERROR` where RFC 9113 and 7541 have a code of their own. It leaves pseudo fields in trailers
//!   out. CONNECT over HTTP/2 with a `content-length` other than 0 ends its connection without a word.
//! - An HTTP/2 stream whose window the client does not open, beside others that it reads, keeps its place among the
//!   [`streams`](Server::streams) as long as its connection lives: slow readers are judged by connection.
//!
//! # Errors
//!
//! [`Server::bind`] fails with a [`BindError`]; serving never does. A failure to accept (no file descriptor
//! left) is retried after a pause. An error or a panic of the service is answered by a 500 and leaves
//! other requests alone, also on the same connection. Each is a [`Problem`], counted and told to
//! [`on_problem`](Server::on_problem). What clients do wrong (a malformed head is answered 400, an early end)
//! is not.
//!
//! # Events and log fields
//!
//! The crate logs nothing. [`Stats`] has the counters; [`on_problem`](Server::on_problem) is told the details of what
//! went wrong on this side, and [`observer`](Server::observer) gets one event for each of these, with the source
//! `serve`:
//!
//! | what | key | when |
//! |---|---|---|
//! | `connection_opened` | | a connection was accepted |
//! | `connection_closed` | why, see below | its last answer was sent, or its upgraded stream dropped |
//! | `connections_full` | | the last place was taken; nothing is accepted until one is free |
//! | `accept_failed` | | no connection could be accepted |
//! | `proxy_header_failed` | `missing`, `malformed`, `too_long`, `late` | a trusted proxy sent no good PROXY header |
//! | `tls_failed` | `handshake`, `plain_http`, `late` | a handshake did not come to its end |
//! | `refused` | the status: `400`, `413`, `431`, `501` | a request was not shown to the service |
//! | `body_slow` | | a request's body came too slowly |
//! | `request_late` | | the service did not answer within [`request_timeout`](Server::request_timeout) |
//! | `service_failed` | `head`, `body` | the service returned an error instead of an answer, or within its body |
//! | `panicked` | | the service or its answer's body panicked |
//!
//! A connection is closed as `ended` (by its client, its last answer or the service that took it over), `idle`,
//! `head_late`, `answer_slow`, `ping_timeout`, `aged`, `stopped`, `cut` (at the end of the stop), `proxy_header_failed`
//! or `tls_failed`. Without an observer an event costs one comparison.
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `signal` | yes | `signal()`, a future that is ready on SIGINT or SIGTERM, and tokio's `signal` |
//! | `tls` | no | `Tls` and `Listener::tls`, by tokio-rustls without a provider of cryptography |
//!
//! # Differences from Go kit
//!
//! Go kit leaves serving to Go's `net/http`. There, no time limit holds unless set (here those above do), a
//! head may have 1 MiB, `Shutdown` has no bound of its own, and a panic breaks the answer off (here it is
//! answered 500, unless the program is built to abort on panics). `Serve` and `ServeTLS` are called once for each
//! listener there; here one server has them all. Least rates and the age of connections are ASP.NET's (Kestrel) and
//! gRPC's. As in Go, accepting is retried with pauses from 5 ms to 1 s, and a body has no limit of size.

mod accept;
mod activity;
mod alarm;
mod answer;
mod backoff;
mod connection;
mod door;
mod drive;
mod entry;
mod error;
mod events;
mod forwarded;
#[cfg(feature = "tls")]
mod handshake;
mod keepalive;
mod limits;
mod linger;
mod link;
mod listener;
mod networks;
mod open;
mod own;
mod pace;
mod part;
mod proxy_header;
mod request_body;
mod response_body;
mod server;
mod shared;
#[cfg(feature = "signal")]
mod signal;
mod socket;
mod stats;
mod stopped;
mod stream;
mod streams;
mod target;
#[cfg(feature = "tls")]
mod tls;
#[cfg(unix)]
mod unix;
mod waiting;
mod watched;

pub use error::{BindError, BodyTooSlow, Problem};
pub use forwarded::ForwardedHeader;
pub use listener::Listener;
pub use networks::{InvalidNetwork, TrustedProxies};
pub use pace::MinRate;
pub use request_body::RequestBody;
pub use server::Server;
#[cfg(feature = "signal")]
pub use signal::signal;
pub use stats::Stats;
pub use stopped::Stopped;
#[cfg(feature = "tls")]
pub use tls::Tls;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
