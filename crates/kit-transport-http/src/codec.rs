//! How messages become bodies and back: JSON by default, protobuf, raw bytes, closures, or a pair of those.

mod accept;
#[cfg_attr(not(all(feature = "client", feature = "server")), allow(dead_code, reason = "one side alone uses it"))]
mod form;
mod json;
mod lines;
mod pair;
#[cfg(feature = "protobuf")]
mod protobuf;
mod raw;
mod sse;
mod stream;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use kit_base::{Context, Error, Response};
#[cfg(feature = "openapi")]
use schemars::SchemaGenerator;

#[cfg(feature = "server")]
pub(crate) use form::EncodeError;
#[cfg(any(feature = "client", feature = "server"))]
pub(crate) use form::Encoded;
pub use form::Form;
#[cfg(feature = "openapi")]
pub use json::DescribedJson;
pub use json::Json;
pub(crate) use json::{Lenient, fold};
#[cfg(feature = "protobuf")]
pub use protobuf::Protobuf;
pub use raw::Raw;
pub use sse::Sse;
pub use stream::{DecodeRequestStream, DecodeResponseStream, EncodeRequestStream, EncodeResponseStream};

#[cfg(feature = "openapi")]
use crate::Description;
use crate::Route;

/// The parameters of a request by name, decoded: those in the path first, then those in the query.
pub type Params = Vec<(String, String)>;

/// A request as a server got it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Received<'a> {
    /// Verb, target and version.
    pub info: &'a RequestInfo,
    /// The context; the headers are its [inbound](Context::inbound) metadata.
    pub context: &'a Context,
    /// What the route takes from path and query.
    pub params: &'a Params,
    /// The whole body, within the server's limit; empty where the body is a stream.
    pub body: &'a Bytes,
}

impl<'a> Received<'a> {
    /// A request with these parts; for testing decoders.
    #[must_use]
    pub const fn new(info: &'a RequestInfo, context: &'a Context, params: &'a Params, body: &'a Bytes) -> Self {
        Self { info, context, params, body }
    }
}

/// What came with a request beside headers and body.
///
/// Headers are found in [`Context::inbound`], the peer's address in [`Context::peer`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestInfo {
    /// The verb.
    pub method: Method,
    /// The target: path and query, and the host over HTTP/2.
    pub uri: Uri,
    /// The version of HTTP.
    pub version: Version,
}

impl RequestInfo {
    /// A request with this verb to this target, over HTTP/1.1; for testing hooks and decoders.
    #[must_use]
    pub const fn new(method: Method, uri: Uri) -> Self {
        Self { method, uri, version: Version::HTTP_11 }
    }
}

/// Makes a message of a request; on a server.
///
/// A closure `Fn(&Received) -> Result<T, Error>` is one, and a pair of codecs, by its first. Go kit: `DecodeRequestFunc`.
#[doc(alias = "DecodeRequestFunc")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot decode a request into `{T}`",
    label = "this codec does not read `{T}`",
    note = "`Json` reads what implements `serde::Deserialize`, `Protobuf` a `prost::Message`, `Raw` only `bytes::Bytes`",
    note = "`DescribedJson` wants `schemars::JsonSchema` besides: derive it for the message"
)]
pub trait DecodeRequest<T>: Send + Sync + 'static {
    /// Makes the message.
    ///
    /// # Errors
    /// What is wrong with the request; it is answered with the status of its kind, 400 as a rule.
    fn decode_request(&self, request: &Received<'_>) -> Result<T, Error>;

    /// What it reads, for the OpenAPI document. Unless told, anything may be in the body.
    #[cfg(feature = "openapi")]
    fn describe_request(&self, schemas: &mut SchemaGenerator) -> Description {
        let _ = schemas;
        Description::unknown()
    }
}

impl<T, F: Fn(&Received<'_>) -> Result<T, Error> + Send + Sync + 'static> DecodeRequest<T> for F {
    fn decode_request(&self, request: &Received<'_>) -> Result<T, Error> {
        self(request)
    }
}

/// Makes an answer of an outcome; on a server. It sees the whole outcome, so that errors can travel inside an answer.
///
/// A closure `Fn(&Received, Result<Response<T>, Error>) -> Result<http::Response<Bytes>, Error>` is one, and a pair of
/// codecs, by its second. Go kit: `EncodeResponseFunc`.
#[doc(alias = "EncodeResponseFunc")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot encode an answer of `{T}`",
    label = "this codec does not write `{T}`",
    note = "`Json` writes what implements `serde::Serialize`, `Protobuf` a `prost::Message`, `Raw` only `bytes::Bytes`",
    note = "`DescribedJson` wants `schemars::JsonSchema` besides: derive it for the message"
)]
pub trait EncodeOutcome<T>: Send + Sync + 'static {
    /// Makes the answer. Its status and headers are kept; those that the response brings are put over them.
    ///
    /// # Errors
    /// What the server's error encoder shall answer: the error of the outcome, or why it cannot be encoded.
    fn encode_outcome(
        &self,
        request: &Received<'_>,
        outcome: Result<Response<T>, Error>,
    ) -> Result<http::Response<Bytes>, Error>;

    /// What it writes when the outcome is a success, for the OpenAPI document. Unless told, anything.
    #[cfg(feature = "openapi")]
    fn describe_answer(&self, schemas: &mut SchemaGenerator) -> Description {
        let _ = schemas;
        Description::unknown()
    }
}

impl<T, F> EncodeOutcome<T> for F
where
    F: Fn(&Received<'_>, Result<Response<T>, Error>) -> Result<http::Response<Bytes>, Error> + Send + Sync + 'static,
{
    fn encode_outcome(
        &self,
        request: &Received<'_>,
        outcome: Result<Response<T>, Error>,
    ) -> Result<http::Response<Bytes>, Error> {
        self(request, outcome)
    }
}

/// A request as a client will send it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Outgoing {
    /// The path with the parameters filled in, and the query.
    pub target: String,
    /// The type of the body; none where there is no body.
    pub content_type: Option<HeaderValue>,
    /// What the client wants to get.
    pub accept: Option<HeaderValue>,
    /// The body.
    pub body: Bytes,
}

impl Outgoing {
    /// A request to this path and query, without a body.
    #[must_use]
    pub fn to(target: impl Into<String>) -> Self {
        Self { target: target.into(), ..Self::default() }
    }

    /// The same with a body of this type.
    #[must_use]
    pub fn with_body(mut self, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        self.content_type = Some(content_type);
        self.body = body.into();
        self
    }

    /// The same, wanting an answer of this type.
    #[must_use]
    pub fn accepting(mut self, accept: HeaderValue) -> Self {
        self.accept = Some(accept);
        self
    }
}

/// Makes a request of a message; on a client.
///
/// A closure `Fn(&Route, &Method, &T) -> Result<Outgoing, Error>` is one, and a pair of codecs, by its first. Go kit:
/// `EncodeRequestFunc`.
#[doc(alias = "EncodeRequestFunc")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot encode a request of `{T}`",
    label = "this codec does not write `{T}`",
    note = "`Json` writes what implements `serde::Serialize`, `Protobuf` a `prost::Message`, `Raw` only `bytes::Bytes`"
)]
pub trait EncodeRequest<T>: Send + Sync + 'static {
    /// Makes the request.
    ///
    /// # Errors
    /// The message cannot be encoded, or lacks a parameter of the path.
    fn encode_request(&self, route: &Route, verb: &Method, message: &T) -> Result<Outgoing, Error>;
}

impl<T, F: Fn(&Route, &Method, &T) -> Result<Outgoing, Error> + Send + Sync + 'static> EncodeRequest<T> for F {
    fn encode_request(&self, route: &Route, verb: &Method, message: &T) -> Result<Outgoing, Error> {
        self(route, verb, message)
    }
}

/// An answer as a client got it, with a status of 2xx.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body, within the client's limit; empty where the body is a stream.
    pub body: Bytes,
}

impl Reply {
    /// An answer with these parts; for testing decoders.
    #[must_use]
    pub const fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self { status, headers, body }
    }

    /// The error that the body is not what was expected.
    fn undecodable(&self) -> Error {
        let content_type = self.headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let content_type = content_type.as_deref().unwrap_or("no content type");
        Error::internal(format!("the answer cannot be decoded ({}, {content_type})", self.status))
    }
}

/// Makes a message of an answer; on a client.
///
/// A closure `Fn(&Reply) -> Result<T, Error>` is one, and a pair of codecs, by its second. Go kit: `DecodeResponseFunc`.
#[doc(alias = "DecodeResponseFunc")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot decode an answer into `{T}`",
    label = "this codec does not read `{T}`",
    note = "`Json` reads what implements `serde::Deserialize`, `Protobuf` a `prost::Message`, `Raw` only `bytes::Bytes`"
)]
pub trait DecodeResponse<T>: Send + Sync + 'static {
    /// Makes the message.
    ///
    /// # Errors
    /// The answer cannot be decoded, or carries a business error in its body.
    fn decode_response(&self, reply: &Reply) -> Result<T, Error>;
}

impl<T, F: Fn(&Reply) -> Result<T, Error> + Send + Sync + 'static> DecodeResponse<T> for F {
    fn decode_response(&self, reply: &Reply) -> Result<T, Error> {
        self(reply)
    }
}

/// Whether the headers say that the body is of a type that is wanted, or say nothing.
fn is_type(headers: &HeaderMap, name: &str, wanted: impl Fn(&str) -> bool) -> Result<(), Error> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    // What nearly all send is told without a copy.
    if value == name {
        return Ok(());
    }
    let text = String::from_utf8_lossy(value.as_bytes());
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if wanted(&essence) {
        return Ok(());
    }
    Err(Error::invalid_argument(format!("content type {text:?} is not supported, want {name}"))
        .with_reason(UNSUPPORTED))
}

/// The path of a route, for a codec that puts the whole message into the body.
fn whole(route: &Route) -> Result<&str, Error> {
    match route.path().contains('{') {
        true => Err(Error::internal(format!("{route} has parameters, which only JSON fills"))),
        false => Ok(route.path()),
    }
}

/// The reason of an error that is answered with 415.
pub(crate) const UNSUPPORTED: &str = "UNSUPPORTED_MEDIA_TYPE";
/// The reason of an error that is answered with 413.
pub(crate) const TOO_LARGE: &str = "BODY_TOO_LARGE";
/// The reason of an error in the body or the parameters of a request.
pub(crate) const MALFORMED: &str = "MALFORMED_REQUEST";

fn malformed(what: impl std::fmt::Display) -> Error {
    Error::invalid_argument(format!("malformed request: {what}")).with_reason(MALFORMED)
}
