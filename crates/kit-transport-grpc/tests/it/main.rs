//! Tests of kit-transport-grpc, through its public interface.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod peers;
mod support;
mod unary;
