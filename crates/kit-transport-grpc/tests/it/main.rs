//! Tests of kit-transport-grpc, through its public interface.

#[cfg(feature = "describe")]
mod describe;
