//! The tests of kit-transport-http, through its public interface: in process, and over real sockets.

#![cfg(all(feature = "client", feature = "server"))]
#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

#[cfg(feature = "axum")]
mod axum_host;
mod bad_input;
mod binding;
mod client;
mod client_errors;
mod client_hooks;
mod client_limits;
mod client_urls;
mod codecs;
mod compression;
mod context;
mod deadlines;
mod hooks;
mod hosts;
mod lenient;
mod outcomes;
mod panics;
mod params;
#[cfg(feature = "protobuf")]
mod protobuf;
mod request_id;
mod routes;
mod stream_client;
mod stream_ends;
mod stream_peers;
mod stream_requests;
mod streams;
mod support;
