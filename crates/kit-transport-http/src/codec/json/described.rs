//! JSON whose messages are described by their types.

use bytes::Bytes;
use http::Method;
use kit_base::{Error, Response};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Json;
use crate::{
    DecodeRequest, DecodeResponse, Description, EncodeOutcome, EncodeRequest, Outgoing, Received, Reply, Route,
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
