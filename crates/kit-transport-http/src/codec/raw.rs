//! Bodies as they are.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use kit_base::{Error, Response, Streaming};

use super::{
    DecodeRequest, DecodeRequestStream, DecodeResponse, DecodeResponseStream, EncodeOutcome, EncodeRequest,
    EncodeRequestStream, EncodeResponseStream, Form, Outgoing, Received, Reply, whole,
};
use crate::{Pieces, Route};

/// Bodies as they are, [`Bytes`] in and out, under `application/octet-stream` unless the response says otherwise.
///
/// On a client its [`Response`] has the headers that came with the bytes. A route must have no parameters that a client
/// would fill; for those write an [`EncodeRequest`], which a closure is.
///
/// Streams of [`Bytes`] are the body piece by piece, as it comes and goes; nothing of it is gathered, and its pieces are
/// cut anew on the way. An error breaks the transfer off, so that nobody takes a part for the whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

impl DecodeRequest<Bytes> for Raw {
    fn decode_request(&self, request: &Received<'_>) -> Result<Bytes, Error> {
        Ok(request.body.clone())
    }

    #[cfg(feature = "openapi")]
    fn describe_request(&self, _: &mut schemars::SchemaGenerator) -> crate::Description {
        crate::Description::of("application/octet-stream").or("*/*").optional()
    }
}

impl EncodeOutcome<Bytes> for Raw {
    fn encode_outcome(
        &self,
        _: &Received<'_>,
        outcome: Result<Response<Bytes>, Error>,
    ) -> Result<http::Response<Bytes>, Error> {
        let mut answer = http::Response::new(outcome?.into_message());
        answer.headers_mut().insert(CONTENT_TYPE, OCTETS);
        Ok(answer)
    }

    #[cfg(feature = "openapi")]
    fn describe_answer(&self, _: &mut schemars::SchemaGenerator) -> crate::Description {
        crate::Description::of("application/octet-stream")
    }
}

impl EncodeRequest<Bytes> for Raw {
    fn encode_request(&self, route: &Route, _: &Method, message: &Bytes) -> Result<Outgoing, Error> {
        Ok(Outgoing::to(whole(route)?).with_body(OCTETS, message.clone()))
    }
}

impl DecodeResponse<Bytes> for Raw {
    fn decode_response(&self, reply: &Reply) -> Result<Bytes, Error> {
        Ok(reply.body.clone())
    }
}

impl DecodeRequestStream<Bytes> for Raw {
    fn decode_request_stream(&self, _: &Received<'_>, body: Pieces) -> Result<Streaming<Bytes>, Error> {
        Ok(body.into_stream())
    }

    #[cfg(feature = "openapi")]
    fn describe_request_stream(&self, schemas: &mut schemars::SchemaGenerator) -> crate::Description {
        DecodeRequest::describe_request(self, schemas)
    }
}

impl EncodeResponseStream<Bytes> for Raw {
    fn encode_response_stream(&self, _: &Received<'_>) -> Result<Form<Bytes>, Error> {
        Ok(Form::new(OCTETS, Ok))
    }

    #[cfg(feature = "openapi")]
    fn describe_answer_stream(&self, schemas: &mut schemars::SchemaGenerator) -> crate::Description {
        EncodeOutcome::describe_answer(self, schemas)
    }
}

impl EncodeRequestStream<Bytes> for Raw {
    fn encode_request_stream(&self, route: &Route, _: &Method) -> Result<(Outgoing, Form<Bytes>), Error> {
        Ok((Outgoing::to(whole(route)?), Form::new(OCTETS, Ok)))
    }
}

impl DecodeResponseStream<Bytes> for Raw {
    fn decode_response_stream(&self, _: &Reply, body: Pieces) -> Result<Streaming<Bytes>, Error> {
        Ok(body.into_stream())
    }
}
