//! Tests of kit-transport-grpc, through its public interface.

mod hostile;
mod support;
mod unary;
