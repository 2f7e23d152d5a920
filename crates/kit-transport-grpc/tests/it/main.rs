//! Tests of kit-transport-grpc, through its public interface.
