//! HTTP for kit endpoints: a server as a plain service or an axum router, and a typed client over reqwest.

#[cfg(feature = "client")]
mod client;
mod codec;
mod error;
mod params;
mod route;
#[cfg(feature = "server")]
mod server;
#[cfg(any(feature = "client", feature = "server"))]
mod within;

#[cfg(feature = "client")]
pub use client::{Connected, FinishedCall, HttpClient};
#[cfg(feature = "protobuf")]
pub use codec::Protobuf;
pub use codec::{
    DecodeRequest, DecodeResponse, EncodeOutcome, EncodeRequest, Json, Outgoing, Params, Raw, Received,
    Reply, RequestInfo,
};
pub use error::{BuildError, InvalidRoute};
pub use route::Route;
#[cfg(feature = "server")]
pub use server::{Body, FinishedRequest, HttpServer, HttpService, Routes};
