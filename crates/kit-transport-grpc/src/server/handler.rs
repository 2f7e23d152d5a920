//! One bound endpoint with its codec, its types erased.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use kit_base::{Context, Endpoint, Error, Request, Response, Streaming, catch_panic};

use super::Body;
#[cfg(feature = "describe")]
use super::describe::Signature;
use crate::frame::{Framer, decode};
use crate::{DecodeRequest, EncodeOutcome};

/// A call on its way to an endpoint.
pub(super) struct Call<B = Bytes> {
    pub(super) context: Context,
    pub(super) message: B,
    pub(super) framer: Framer,
}

/// What an endpoint answers, with the metadata that it brings.
pub(super) struct Answer {
    pub(super) body: Body,
    pub(super) headers: Option<HeaderMap>,
}

pub(super) type Answering<'a> = Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send + 'a>>;

/// Whatever answers the calls of one method: with its one message, or with a stream of them.
pub(super) trait Handler<B = Bytes>: Send + Sync {
    fn handle<'a>(&'a self, call: Call<B>) -> Answering<'a>;

    /// What it takes and what it gives.
    #[cfg(feature = "describe")]
    fn signature(&self) -> Signature;
}

/// A handler, by what it takes.
#[derive(Debug)]
pub(super) enum Takes {
    One(Arc<dyn Handler>),
    Stream(Arc<dyn Handler<Streaming<Bytes>>>),
}

#[cfg(feature = "describe")]
impl Takes {
    pub(super) fn signature(&self) -> Signature {
        match self {
            Self::One(handler) => handler.signature(),
            Self::Stream(handler) => handler.signature(),
        }
    }
}

/// An endpoint of the unary shape, with its codec.
pub(super) struct Unit<E, C: ?Sized, Req, Res> {
    endpoint: E,
    codec: Arc<C>,
    _messages: PhantomData<fn(Req) -> Res>,
}

impl<E, C, Req, Res> Unit<E, C, Req, Res> {
    pub(super) fn new(endpoint: E, codec: Arc<C>) -> Self {
        Self { endpoint, codec, _messages: PhantomData }
    }
}

impl<E, C, Req, Res> Handler for Unit<E, C, Req, Res>
where
    E: Endpoint<Request<Req>, Response = Response<Res>, Error: Into<Error>>,
    C: DecodeRequest<Req> + EncodeOutcome<Res>,
    Req: Send,
    Res: Send,
{
    fn handle<'a>(&'a self, call: Call) -> Answering<'a> {
        Box::pin(catch_panic(async move || {
            let Call { context, message, framer } = call;
            let message = self.codec.decode_request(decode(message)?)?;
            let outcome = self.endpoint.call(Request::from_parts(context, message)).await;
            answered(&*self.codec, framer, outcome.map_err(Into::into))
        }))
    }

    #[cfg(feature = "describe")]
    fn signature(&self) -> Signature {
        Signature::of(&*self.codec, false, false)
    }
}

/// The answer of one message.
///
/// # Errors
/// The error that the call is to end with.
pub(super) fn answered<C, Res>(
    codec: &C,
    framer: Framer,
    outcome: Result<Response<Res>, Error>,
) -> Result<Answer, Error>
where
    C: EncodeOutcome<Res>,
{
    let (outcome, parts) = match outcome {
        Ok(response) if response.parts().is_none() => (Ok(response.into_message()), None),
        Ok(response) => {
            let (message, parts) = response.into_parts();
            // What another server sent is not sent on: see `ResponseParts::received`.
            (Ok(message), Some(parts).filter(|parts| !parts.received))
        }
        Err(error) => (Err(error), None),
    };
    let message = framer.frame(&codec.encode_outcome(outcome)?)?;
    let (headers, trailers) = parts.map(|parts| (parts.headers, parts.trailers)).unzip();
    Ok(Answer { body: Body::message(message, trailers), headers })
}

impl<B> fmt::Debug for dyn Handler<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}
