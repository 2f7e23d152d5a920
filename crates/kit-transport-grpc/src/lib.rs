//! gRPC for kit endpoints: a server as a plain service on `http` types, and a typed client.

#[cfg(feature = "client")]
mod client;
mod codec;
mod coding;
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
pub use codec::{By, DecodeRequest, DecodeResponse, EncodeOutcome, EncodeRequest, Prost};
pub use error::BuildError;
pub use metadata::{binary_value, binary_values};
#[cfg(feature = "server")]
pub use server::{Body, FinishedRequest, GrpcServer, GrpcService, IntoTonic, RequestBody, Routes, TonicStream};
pub use status::{from_status, status_of, to_status};
