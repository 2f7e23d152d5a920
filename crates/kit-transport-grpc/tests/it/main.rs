//! Tests of kit-transport-grpc, through its public interface.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

mod added;
mod codecs;
mod connections;
mod generated;
mod goaway;
mod health;
mod one_port;
mod peers;
mod places;
mod support;
mod unary;
