//! gRPC for kit endpoints: a server as a plain service on `http` types, and a typed client.

#[cfg(feature = "describe")]
pub mod describe;

#[cfg(feature = "describe")]
pub use describe::Describe;
#[cfg(feature = "describe")]
pub use kit_transport_grpc_macros::Describe;
