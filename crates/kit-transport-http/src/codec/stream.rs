//! How streams of messages become bodies and back: the four codec traits of what streams.

use http::{HeaderValue, Method};
use kit_base::{Error, Streaming};
#[cfg(feature = "openapi")]
use schemars::SchemaGenerator;

use super::{Form, Outgoing, Received, Reply};
#[cfg(feature = "openapi")]
use crate::Description;
use crate::{Pieces, Route};

/// Makes a stream of messages of a request's body; on a server, for client streams and both-way streams.
///
/// A closure `Fn(&Received, Pieces) -> Result<Streaming<T>, Error>` is one, and a pair of codecs, by its first.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot decode a request into a stream of `{T}`",
    label = "this codec does not read a stream of `{T}`",
    note = "`Json` reads what implements `serde::Deserialize`, `Raw` only `bytes::Bytes`",
    note = "`DescribedJson` wants `schemars::JsonSchema` besides: derive it for the message"
)]
pub trait DecodeRequestStream<T>: Send + Sync + 'static {
    /// Makes the stream. The body of `request` is empty; it comes in `body`.
    ///
    /// # Errors
    /// What is wrong with the head of the request. What is wrong with an item is the error that ends the stream.
    fn decode_request_stream(&self, request: &Received<'_>, body: Pieces) -> Result<Streaming<T>, Error>;

    /// What it reads, for the OpenAPI document. Unless told, anything may be in the body.
    #[cfg(feature = "openapi")]
    fn describe_request_stream(&self, schemas: &mut SchemaGenerator) -> Description {
        let _ = schemas;
        Description::unknown()
    }
}

impl<T, F> DecodeRequestStream<T> for F
where
    F: Fn(&Received<'_>, Pieces) -> Result<Streaming<T>, Error> + Send + Sync + 'static,
{
    fn decode_request_stream(&self, request: &Received<'_>, body: Pieces) -> Result<Streaming<T>, Error> {
        self(request, body)
    }
}

/// Chooses the form of an answer that streams; on a server, for server streams and both-way streams.
///
/// A closure `Fn(&Received) -> Result<Form<T>, Error>` is one, and a pair of codecs, by its second.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot encode an answer that is a stream of `{T}`",
    label = "this codec does not write a stream of `{T}`",
    note = "`Json` writes what implements `serde::Serialize` (and `Sse` of it), `Raw` only `bytes::Bytes`",
    note = "`DescribedJson` wants `schemars::JsonSchema` besides: derive it for the message"
)]
pub trait EncodeResponseStream<T>: Send + Sync + 'static {
    /// The form for whoever sent this request. It is asked before the endpoint is called.
    ///
    /// # Errors
    /// There is no form that the caller takes.
    fn encode_response_stream(&self, request: &Received<'_>) -> Result<Form<T>, Error>;

    /// What it writes, for the OpenAPI document. Unless told, anything.
    #[cfg(feature = "openapi")]
    fn describe_answer_stream(&self, schemas: &mut SchemaGenerator) -> Description {
        let _ = schemas;
        Description::unknown()
    }
}

impl<T, F> EncodeResponseStream<T> for F
where
    F: Fn(&Received<'_>) -> Result<Form<T>, Error> + Send + Sync + 'static,
{
    fn encode_response_stream(&self, request: &Received<'_>) -> Result<Form<T>, Error> {
        self(request)
    }
}

/// Chooses the form of a request that streams; on a client, for client streams and both-way streams.
///
/// A closure `Fn(&Route, &Method) -> Result<(Outgoing, Form<T>), Error>` is one, and a pair of codecs, by its first.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot encode a request that is a stream of `{T}`",
    label = "this codec does not write a stream of `{T}`",
    note = "`Json` writes what implements `serde::Serialize`, `Raw` only `bytes::Bytes`"
)]
pub trait EncodeRequestStream<T>: Send + Sync + 'static {
    /// The request without a body, and the form of what follows. An item that cannot be encoded breaks the call off.
    ///
    /// # Errors
    /// The route has parameters, which a stream does not fill.
    fn encode_request_stream(&self, route: &Route, verb: &Method) -> Result<(Outgoing, Form<T>), Error>;
}

impl<T, F> EncodeRequestStream<T> for F
where
    F: Fn(&Route, &Method) -> Result<(Outgoing, Form<T>), Error> + Send + Sync + 'static,
{
    fn encode_request_stream(&self, route: &Route, verb: &Method) -> Result<(Outgoing, Form<T>), Error> {
        self(route, verb)
    }
}

/// Makes a stream of messages of an answer's body; on a client, for server streams and both-way streams.
///
/// A closure `Fn(&Reply, Pieces) -> Result<Streaming<T>, Error>` is one, and a pair of codecs, by its second.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot decode an answer into a stream of `{T}`",
    label = "this codec does not read a stream of `{T}`",
    note = "`Json` reads what implements `serde::Deserialize` (and `Sse` of it), `Raw` only `bytes::Bytes`"
)]
pub trait DecodeResponseStream<T>: Send + Sync + 'static {
    /// Makes the stream. The body of `reply` is empty; it comes in `body`.
    ///
    /// # Errors
    /// The answer is of another form. What is wrong with an item is the error that ends the stream.
    fn decode_response_stream(&self, reply: &Reply, body: Pieces) -> Result<Streaming<T>, Error>;

    /// What the client wants to get; it stands over what the encoder of the request says.
    fn accept(&self) -> Option<HeaderValue> {
        None
    }
}

impl<T, F> DecodeResponseStream<T> for F
where
    F: Fn(&Reply, Pieces) -> Result<Streaming<T>, Error> + Send + Sync + 'static,
{
    fn decode_response_stream(&self, reply: &Reply, body: Pieces) -> Result<Streaming<T>, Error> {
        self(reply, body)
    }
}
