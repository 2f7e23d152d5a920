//! Tests of kit-transport-grpc, through its public interface.

mod support;
mod unary;
