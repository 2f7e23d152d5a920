//! Tests of kit-transport-grpc, through its public interface.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

mod added;
mod codecs;
mod connections;
#[cfg(feature = "describe")]
mod describe;
mod from_tonic;
mod generated;
mod goaway;
mod health;
mod hostile;
mod interop;
mod into_tonic;
mod misuse;
mod one_port;
mod peers;
mod places;
mod probe;
#[cfg(feature = "reflection")]
mod reflection;
mod streams;
mod streams_client;
mod streams_peers;
mod streams_requests;
mod streams_server;
mod streams_support;
mod support;
mod unary;
mod unsent;
