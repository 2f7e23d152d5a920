//! gRPC for kit endpoints: a server as a plain service on `http` types, and a typed client.

// The derive names this crate as its users do.
#[cfg(feature = "describe")]
extern crate self as kit_transport_grpc;

#[cfg(feature = "client")]
mod client;
mod codec;
mod coding;
#[cfg(feature = "describe")]
pub mod describe;
mod error;
#[cfg(feature = "server")]
mod expiring;
mod frame;
#[cfg(any(feature = "client", feature = "server"))]
mod messages;
mod metadata;
mod path;
mod protocol;
#[cfg(feature = "server")]
mod server;
mod status;
mod until;
mod within;

#[cfg(feature = "client")]
pub use client::{Connected, Connections, FinishedCall, FromTonic, GrpcClient};
#[cfg(feature = "describe")]
pub use codec::Described;
pub use codec::{By, DecodeRequest, DecodeResponse, EncodeOutcome, EncodeRequest, Prost};
#[cfg(feature = "describe")]
pub use describe::Describe;
pub use error::BuildError;
#[cfg(feature = "describe")]
pub use kit_transport_grpc_macros::Describe;
pub use metadata::{binary_value, binary_values};
#[cfg(feature = "server")]
pub use server::{Body, FinishedRequest, GrpcServer, GrpcService, IntoTonic, RequestBody, Routes, TonicStream};
pub use status::{from_status, status_of, to_status};
