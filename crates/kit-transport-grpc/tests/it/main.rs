//! Tests of kit-transport-grpc, through its public interface.

mod streams;
mod streams_client;
mod streams_peers;
mod streams_requests;
mod streams_server;
mod streams_support;
mod support;
mod unary;
