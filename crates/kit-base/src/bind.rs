//! How a service meets a transport without either knowing the other.

use crate::{Endpoint, Error, Operation, Request, Response, Shape};

/// A server transport that takes an endpoint of this shape, request and answer. Its own needs (serde for JSON, prost for
/// gRPC) stand as bounds in its implementations.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot serve `{Req}` -> `{Res}`",
    label = "this transport cannot carry a method with the request `{Req}` and the answer `{Res}`",
    note = "over JSON the request must implement `serde::Deserialize` and the answer `serde::Serialize`; over gRPC both must be `prost::Message`"
)]
pub trait Bind<S: Shape, Req, Res> {
    /// Serves this endpoint as this operation.
    fn bind<E>(&mut self, operation: Operation, endpoint: E)
    where
        E: Endpoint<Request<Req, S>, Response = Response<Res>, Error: Into<Error>> + 'static;
}

/// A client transport that makes an endpoint of this shape, request and answer.
///
/// The endpoint derives the child of the context that it is called with ([`Context::child`](crate::Context::child)):
/// deadline, trace, baggage, request id and the names to pass on go with the call, credentials do not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot call `{Req}` -> `{Res}`",
    label = "this transport cannot carry a method with the request `{Req}` and the answer `{Res}`",
    note = "over JSON the request must implement `serde::Serialize` and the answer `serde::Deserialize`; over gRPC both must be `prost::Message`"
)]
pub trait Connect<S: Shape, Req, Res> {
    /// What calls the remote side.
    type Endpoint: Endpoint<Request<Req, S>, Response = Response<Res>, Error = Error> + 'static;

    /// An endpoint that calls this operation.
    fn connect(&self, operation: Operation) -> Self::Endpoint;
}
