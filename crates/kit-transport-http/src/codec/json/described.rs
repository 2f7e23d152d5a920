//! JSON whose messages are described by their types.

use bytes::Bytes;
use http::{HeaderValue, Method};
use kit_base::{Error, Response, Streaming};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Json;
use super::stream::{given, taken};
use crate::{
    DecodeRequest, DecodeRequestStream, DecodeResponse, DecodeResponseStream, Description, EncodeOutcome,
    EncodeRequest, EncodeRequestStream, EncodeResponseStream, Form, Outgoing, Pieces, Received, Reply, Route, Sse,
};

/// [`Json`] that tells the OpenAPI document what its messages are; made by [`Json::described`].
///
/// Each message needs [`schemars::JsonSchema`], which is derived: it goes by serde's attributes, and the documentation of
/// types and fields becomes their descriptions. What goes over the wire is the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct DescribedJson(pub(super) Json);

impl<T: DeserializeOwned + JsonSchema> DecodeRequest<T> for DescribedJson {
    fn decode_request(&self, request: &Received<'_>) -> Result<T, Error> {
        self.0.decode_request(request)
    }

    fn describe_request(&self, schemas: &mut SchemaGenerator) -> Description {
        self.0.describe::<T>().schema(schemas.subschema_for::<T>())
    }
}

impl<T: Serialize + JsonSchema> EncodeOutcome<T> for DescribedJson {
    fn encode_outcome(
        &self,
        request: &Received<'_>,
        outcome: Result<Response<T>, Error>,
    ) -> Result<http::Response<Bytes>, Error> {
        self.0.encode_outcome(request, outcome)
    }

    fn describe_answer(&self, schemas: &mut SchemaGenerator) -> Description {
        Description::of("application/json").schema(schemas.subschema_for::<T>())
    }
}

impl<T: DeserializeOwned + JsonSchema + 'static> DecodeRequestStream<T> for DescribedJson {
    fn decode_request_stream(&self, request: &Received<'_>, body: Pieces) -> Result<Streaming<T>, Error> {
        self.0.decode_request_stream(request, body)
    }

    fn describe_request_stream(&self, schemas: &mut SchemaGenerator) -> Description {
        taken().schema(schemas.subschema_for::<T>())
    }
}

impl<T: Serialize + JsonSchema + 'static> EncodeResponseStream<T> for DescribedJson {
    fn encode_response_stream(&self, request: &Received<'_>) -> Result<Form<T>, Error> {
        self.0.encode_response_stream(request)
    }

    fn describe_answer_stream(&self, schemas: &mut SchemaGenerator) -> Description {
        given().schema(schemas.subschema_for::<T>())
    }
}

impl<T: Serialize + JsonSchema + 'static> EncodeResponseStream<Sse<T>> for DescribedJson {
    fn encode_response_stream(&self, request: &Received<'_>) -> Result<Form<Sse<T>>, Error> {
        self.0.encode_response_stream(request)
    }

    fn describe_answer_stream(&self, schemas: &mut SchemaGenerator) -> Description {
        given().schema(schemas.subschema_for::<T>())
    }
}

impl<T: Serialize + 'static> EncodeRequestStream<T> for DescribedJson {
    fn encode_request_stream(&self, route: &Route, verb: &Method) -> Result<(Outgoing, Form<T>), Error> {
        self.0.encode_request_stream(route, verb)
    }
}

/// Reads streams as [`Json`] does: plain items, and those with names and ids.
impl<T> DecodeResponseStream<T> for DescribedJson
where
    Json: DecodeResponseStream<T>,
{
    fn decode_response_stream(&self, reply: &Reply, body: Pieces) -> Result<Streaming<T>, Error> {
        self.0.decode_response_stream(reply, body)
    }

    fn accept(&self) -> Option<HeaderValue> {
        DecodeResponseStream::<T>::accept(&self.0)
    }
}

impl<T: Serialize> EncodeRequest<T> for DescribedJson {
    fn encode_request(&self, route: &Route, verb: &Method, message: &T) -> Result<Outgoing, Error> {
        self.0.encode_request(route, verb, message)
    }
}

impl<T: DeserializeOwned> DecodeResponse<T> for DescribedJson {
    fn decode_response(&self, reply: &Reply) -> Result<T, Error> {
        self.0.decode_response(reply)
    }
}
