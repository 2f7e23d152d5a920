//! Two codecs as one: the first for requests, the second for answers.

use bytes::Bytes;
use http::Method;
use kit_base::{Error, Response};

use super::{DecodeRequest, DecodeResponse, EncodeOutcome, EncodeRequest, Outgoing, Received, Reply};
use crate::Route;

impl<T, A: DecodeRequest<T>, B: Send + Sync + 'static> DecodeRequest<T> for (A, B) {
    fn decode_request(&self, request: &Received<'_>) -> Result<T, Error> {
        self.0.decode_request(request)
    }

    #[cfg(feature = "openapi")]
    fn describe_request(&self, schemas: &mut schemars::SchemaGenerator) -> crate::Description {
        self.0.describe_request(schemas)
    }
}

impl<T, A: Send + Sync + 'static, B: EncodeOutcome<T>> EncodeOutcome<T> for (A, B) {
    fn encode_outcome(
        &self,
        request: &Received<'_>,
        outcome: Result<Response<T>, Error>,
    ) -> Result<http::Response<Bytes>, Error> {
        self.1.encode_outcome(request, outcome)
    }

    #[cfg(feature = "openapi")]
    fn describe_answer(&self, schemas: &mut schemars::SchemaGenerator) -> crate::Description {
        self.1.describe_answer(schemas)
    }
}

impl<T, A: EncodeRequest<T>, B: Send + Sync + 'static> EncodeRequest<T> for (A, B) {
    fn encode_request(&self, route: &Route, verb: &Method, message: &T) -> Result<Outgoing, Error> {
        self.0.encode_request(route, verb, message)
    }
}

impl<T, A: Send + Sync + 'static, B: DecodeResponse<T>> DecodeResponse<T> for (A, B) {
    fn decode_response(&self, reply: &Reply) -> Result<T, Error> {
        self.1.decode_response(reply)
    }
}
