//! The tests of kit-transport-http, through its public interface: in process, and over real sockets.

#![cfg(all(feature = "client", feature = "server"))]
#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

#[cfg(feature = "axum")]
mod axum_host;
mod bad_input;
mod binding;
mod client;
#[cfg(feature = "proxy")]
mod client_connections;
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
#[cfg(feature = "openapi")]
mod openapi;
mod outcomes;
mod panics;
mod params;
#[cfg(feature = "protobuf")]
mod protobuf;
#[cfg(feature = "proxy")]
mod proxy;
#[cfg(feature = "proxy")]
mod proxy_failures;
#[cfg(feature = "proxy")]
mod proxy_headers;
#[cfg(feature = "proxy")]
mod proxy_streams;
#[cfg(feature = "proxy")]
mod proxy_support;
mod replay;
#[cfg(feature = "proxy")]
mod replay_retries;
mod request_id;
mod routes;
mod stream_client;
mod stream_ends;
mod stream_peers;
mod stream_requests;
mod streams;
mod support;
mod unsent;
