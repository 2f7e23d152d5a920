//! Two codecs as one: the first for requests, the second for answers.

use bytes::Bytes;
use http::{HeaderValue, Method};
use kit_base::{Error, Response, Streaming};

use super::{
    DecodeRequest, DecodeRequestStream, DecodeResponse, DecodeResponseStream, EncodeOutcome, EncodeRequest,
    EncodeRequestStream, EncodeResponseStream, Form, Outgoing, Received, Reply,
};
use crate::{Pieces, Route};

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

impl<T, A: DecodeRequestStream<T>, B: Send + Sync + 'static> DecodeRequestStream<T> for (A, B) {
    fn decode_request_stream(&self, request: &Received<'_>, body: Pieces) -> Result<Streaming<T>, Error> {
        self.0.decode_request_stream(request, body)
    }

    #[cfg(feature = "openapi")]
    fn describe_request_stream(&self, schemas: &mut schemars::SchemaGenerator) -> crate::Description {
        self.0.describe_request_stream(schemas)
    }
}

impl<T, A: Send + Sync + 'static, B: EncodeResponseStream<T>> EncodeResponseStream<T> for (A, B) {
    fn encode_response_stream(&self, request: &Received<'_>) -> Result<Form<T>, Error> {
        self.1.encode_response_stream(request)
    }

    #[cfg(feature = "openapi")]
    fn describe_answer_stream(&self, schemas: &mut schemars::SchemaGenerator) -> crate::Description {
        self.1.describe_answer_stream(schemas)
    }
}

impl<T, A: EncodeRequestStream<T>, B: Send + Sync + 'static> EncodeRequestStream<T> for (A, B) {
    fn encode_request_stream(&self, route: &Route, verb: &Method) -> Result<(Outgoing, Form<T>), Error> {
        self.0.encode_request_stream(route, verb)
    }
}

impl<T, A: Send + Sync + 'static, B: DecodeResponseStream<T>> DecodeResponseStream<T> for (A, B) {
    fn decode_response_stream(&self, reply: &Reply, body: Pieces) -> Result<Streaming<T>, Error> {
        self.1.decode_response_stream(reply, body)
    }

    fn accept(&self) -> Option<HeaderValue> {
        self.1.accept()
    }
}
