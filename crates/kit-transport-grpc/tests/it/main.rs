//! Tests of kit-transport-grpc, through its public interface.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

mod connections;
mod peers;
mod streams;
mod streams_client;
mod streams_peers;
mod streams_requests;
mod streams_server;
mod streams_support;
mod support;
mod unary;
