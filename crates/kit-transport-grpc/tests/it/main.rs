//! Tests of kit-transport-grpc, through its public interface.

#![allow(clippy::unwrap_used, reason = "the lint knows test functions, but not their helpers")]

mod hostile;
mod interop;
mod peers;
mod probe;
mod support;
mod unary;
