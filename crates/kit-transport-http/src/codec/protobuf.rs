//! Messages in protobuf by prost.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use kit_base::{Error, Response};
use prost::Message;

use super::{
    DecodeRequest, DecodeResponse, EncodeOutcome, EncodeRequest, Outgoing, Received, Reply, is_type, malformed, whole,
};
use crate::Route;

/// Messages in protobuf by prost, under `application/x-protobuf`, as Go kit's `transport/http/proto`.
/// `application/protobuf` is read as well.
///
/// The message is the body: a route must have no parameters that a client would fill. No body is the message whose
/// fields all have their defaults.
#[derive(Clone, Copy, Debug, Default)]
pub struct Protobuf;

const X_PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

impl<T: Message + Default> DecodeRequest<T> for Protobuf {
    fn decode_request(&self, request: &Received<'_>) -> Result<T, Error> {
        is_type(request.context.inbound(), "application/x-protobuf", |essence| {
            matches!(essence, "application/x-protobuf" | "application/protobuf")
        })?;
        T::decode(request.body.clone()).map_err(malformed)
    }

    #[cfg(feature = "openapi")]
    fn describe_request(&self, _: &mut schemars::SchemaGenerator) -> crate::Description {
        crate::Description::of("application/x-protobuf").or("application/protobuf").optional()
    }
}

impl<T: Message> EncodeOutcome<T> for Protobuf {
    fn encode_outcome(
        &self,
        _: &Received<'_>,
        outcome: Result<Response<T>, Error>,
    ) -> Result<http::Response<Bytes>, Error> {
        let mut answer = http::Response::new(Bytes::from(outcome?.message().encode_to_vec()));
        answer.headers_mut().insert(CONTENT_TYPE, X_PROTOBUF);
        Ok(answer)
    }

    #[cfg(feature = "openapi")]
    fn describe_answer(&self, _: &mut schemars::SchemaGenerator) -> crate::Description {
        crate::Description::of("application/x-protobuf")
    }
}

impl<T: Message> EncodeRequest<T> for Protobuf {
    fn encode_request(&self, route: &Route, _: &Method, message: &T) -> Result<Outgoing, Error> {
        Ok(Outgoing::to(whole(route)?).with_body(X_PROTOBUF, message.encode_to_vec()).accepting(X_PROTOBUF))
    }
}

impl<T: Message + Default> DecodeResponse<T> for Protobuf {
    fn decode_response(&self, reply: &Reply) -> Result<T, Error> {
        T::decode(reply.body.clone()).map_err(|error| reply.undecodable().with_source(error))
    }
}
