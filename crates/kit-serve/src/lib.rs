//! Serves any service on `http` types over HTTP/1.1 and HTTP/2 on one port, with limits and a clean, bounded stop.
//!
//! For programs that have a `tower_service::Service` of `http` requests and responses, whoever made it: kit's
//! transports, an `axum::Router`, tonic's `Routes`, a closure in `tower::service_fn`. Not for routing,
//! decoding or gRPC themselves, nor for clients. TLS is not part of it yet, so clients reach HTTP/2 by
//! prior knowledge (h2c).
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
//! # Behaviour
//!
//! - **The service** is cloned for each connection and each request, waits in `poll_ready` until it is ready,
//!   and is then called. It is generic over the body ([`RequestBody`]); axum and tonic are, others take one
//!   `map_request`. Each request carries a [`kit_base::Peer`] with the client's address in its extensions.
//! - **Cancellation.** A client that leaves (or resets its stream) drops the future of its request. Dropping
//!   the future of [`serve`](Server::serve) closes the port and every connection, and drops every request; its
//!   tasks end at their next `.await`.
//! - **The stop.** When the future given to [`serve`](Server::serve) is ready, connections and requests that
//!   have reached the machine by then are still taken, and the port is closed. Idle connections are closed at
//!   once, those with half a head after a second, and those that are younger than a second and have not sent anything
//!   when they reach that age, since their first request is probably on its way; the others are told (`connection: close`, GOAWAY) and end with
//!   their running requests, bodies included. Upgraded connections (WebSocket) end when the service drops their
//!   streams. What is left after [`stop_within`](Server::stop_within) is cut, and [`Stopped`] says how much
//!   that was.
//! - **The last answer arrives.** A connection that the server ends after an answer is read on for up to a
//!   second, and what comes is thrown away; otherwise the answer to a client that is still sending would be
//!   lost to a reset.
//! - **Clones.** [`Stats`] can be cloned, and clones read the same counters. [`Server`] cannot: it owns the
//!   port.
//!
//! # Limits
//!
//! | limit | default | over it |
//! |---|---|---|
//! | [`head_timeout`](Server::head_timeout) | 10 s | closed |
//! | [`idle_timeout`](Server::idle_timeout) | 75 s | closed; over HTTP/2 also for half a head |
//! | [`head_limit`](Server::head_limit) | 64 KiB | 431 |
//! | [`max_headers`](Server::max_headers) | 100 | 431 |
//! | [`body_limit`](Server::body_limit) | none | 413 if announced, else an error for who reads the body |
//! | [`streams`](Server::streams) | 200 an HTTP/2 connection | the stream is refused |
//! | [`connections`](Server::connections) | none | wait in the operating system's queue |
//! | [`stop_within`](Server::stop_within) | 10 s | cut |
//!
//! Over HTTP/2, [`head_timeout`](Server::head_timeout) ends only clients that do not begin to speak it. A head that
//! never ends is not noticed as long as other requests run on its connection.
//!
//! A body has no limit by default,
//! because the server never buffers one: limits belong to those who do. The time of a whole request is not
//! limited here either; deadlines are a matter of layers.
//!
//! # Errors
//!
//! [`Server::bind`] fails with a [`BindError`]; serving never does. A failure to accept (no file descriptor
//! left) is retried after a pause. An error or a panic of the service is answered by an empty 500 and leaves
//! other requests alone, also on the same connection. Each is a [`Problem`], counted and told to
//! [`on_problem`](Server::on_problem). What clients do wrong (a malformed head is answered 400, an early end)
//! is not.
//!
//! # Events and log fields
//!
//! None: the crate logs nothing. [`Stats`] has the counters.
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `signal` | yes | `signal()`, a future that is ready on SIGINT or SIGTERM, and tokio's `signal` |
//!
//! # Differences from Go kit
//!
//! Go kit leaves serving to Go's `net/http`. There, no time limit holds unless set (here those above do), a
//! head may have 1 MiB, `Shutdown` has no bound of its own, and a panic breaks the answer off (here it is
//! answered 500, unless the program is built to abort on panics). As there, accepting is retried with pauses
//! from 5 ms to 1 s, and a body has no limit.

mod accept;
mod activity;
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
