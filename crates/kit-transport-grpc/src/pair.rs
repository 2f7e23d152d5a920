//! Two codecs as one: the first for requests, the second for answers.

use kit_base::Error;

use crate::{DecodeRequest, DecodeResponse, EncodeOutcome, EncodeRequest};

impl<T, A: DecodeRequest<T>, B: Send + Sync + 'static> DecodeRequest<T> for (A, B) {
    type Message = A::Message;

    fn decode_request(&self, message: A::Message) -> Result<T, Error> {
        self.0.decode_request(message)
    }
}

impl<T, A: Send + Sync + 'static, B: EncodeOutcome<T>> EncodeOutcome<T> for (A, B) {
    type Message = B::Message;

    fn encode_outcome(&self, outcome: Result<T, Error>) -> Result<B::Message, Error> {
        self.1.encode_outcome(outcome)
    }
}

impl<T, A: EncodeRequest<T>, B: Send + Sync + 'static> EncodeRequest<T> for (A, B) {
    type Message = A::Message;

    fn encode_request(&self, request: T) -> Result<A::Message, Error> {
        self.0.encode_request(request)
    }
}

impl<T, A: Send + Sync + 'static, B: DecodeResponse<T>> DecodeResponse<T> for (A, B) {
    type Message = B::Message;

    fn decode_response(&self, message: B::Message) -> Result<T, Error> {
        self.1.decode_response(message)
    }
}
