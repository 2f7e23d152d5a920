//! Two codecs as one: the first for requests, the second for answers.

use kit_base::Error;

#[cfg(feature = "describe")]
use crate::describe::TypeRef;
use crate::{DecodeRequest, DecodeResponse, EncodeOutcome, EncodeRequest};

impl<T, A: DecodeRequest<T>, B: Send + Sync + 'static> DecodeRequest<T> for (A, B) {
    type Message = A::Message;

    fn decode_request(&self, message: A::Message) -> Result<T, Error> {
        self.0.decode_request(message)
    }

    #[cfg(feature = "describe")]
    fn describe_request(&self) -> Option<TypeRef> {
        self.0.describe_request()
    }
}

impl<T, A: Send + Sync + 'static, B: EncodeOutcome<T>> EncodeOutcome<T> for (A, B) {
    type Message = B::Message;

    fn encode_outcome(&self, outcome: Result<T, Error>) -> Result<B::Message, Error> {
        self.1.encode_outcome(outcome)
    }

    #[cfg(feature = "describe")]
    fn describe_response(&self) -> Option<TypeRef> {
        self.1.describe_response()
    }
}

impl<T, A: EncodeRequest<T>, B: Send + Sync + 'static> EncodeRequest<T> for (A, B) {
    type Message = A::Message;

    fn encode_request(&self, request: T) -> Result<A::Message, Error> {
        self.0.encode_request(request)
    }

    fn give_back(&self, message: A::Message) -> Option<T> {
        self.0.give_back(message)
    }
}

impl<T, A: Send + Sync + 'static, B: DecodeResponse<T>> DecodeResponse<T> for (A, B) {
    type Message = B::Message;

    fn decode_response(&self, message: B::Message) -> Result<T, Error> {
        self.1.decode_response(message)
    }
}
