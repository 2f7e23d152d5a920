//! Bound endpoints that stream, with their codecs, their types erased.

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use kit_base::{
    Bidi, Bind, ClientStream, Endpoint, Error, Operation, Request, Response, ResponseParts, ServerStream, Streaming,
    catch_panic,
};

#[cfg(feature = "describe")]
use super::describe::Signature;
use super::handler::{Answer, Answering, Call, Handler, Takes, answered};
use super::incoming::Decoded;
use super::outgoing::Encoded;
use super::streamed::Streamed;
use super::{Body, GrpcServer};
use crate::frame::{Framer, decode};
use crate::{DecodeRequest, EncodeOutcome};

/// An endpoint of a shape that streams, with its codec.
struct Streams<S, E, C, Req, Res> {
    endpoint: E,
    codec: Arc<C>,
    _call: PhantomData<fn(S, Req) -> Res>,
}

impl<S, E, C, Req, Res> Streams<S, E, C, Req, Res> {
    fn new(endpoint: E, codec: &Arc<C>) -> Self {
        Self { endpoint, codec: Arc::clone(codec), _call: PhantomData }
    }

    /// The answer, and what else comes with its head.
    fn streamed(&self, answer: Response<Streaming<Res>>, framer: Framer) -> (Streamed, Option<http::HeaderMap>)
    where
        C: EncodeOutcome<Res>,
        Res: Send + 'static,
    {
        let (items, parts) = answer.into_parts();
        let parts = if parts.received { ResponseParts::default() } else { parts };
        let trailers = (!parts.trailers.is_empty()).then_some(parts.trailers);
        (Streamed::new(Encoded::new(items, Arc::clone(&self.codec), framer), trailers), Some(parts.headers))
    }
}

impl<E, C, Req, Res> Handler for Streams<ServerStream, E, C, Req, Res>
where
    E: Endpoint<Request<Req, ServerStream>, Response = Response<Streaming<Res>>, Error: Into<Error>>,
    C: DecodeRequest<Req> + EncodeOutcome<Res>,
    Req: Send,
    Res: Send + 'static,
{
    fn handle<'a>(&'a self, call: Call) -> Answering<'a> {
        Box::pin(catch_panic(async move || {
            let Call { context, message, framer } = call;
            let message = self.codec.decode_request(decode(message)?)?;
            let answer = self.endpoint.call(Request::from_parts(context, message)).await.map_err(Into::into);
            let answer = match answer {
                Ok(answer) => answer,
                // A codec that puts errors into messages puts this one there too.
                Err(error) => return answered(&*self.codec, framer, Err(error)),
            };
            let (mut streamed, headers) = self.streamed(answer, framer);
            streamed.wait_for_first().await?;
            Ok(Answer { body: Body::stream(streamed), headers })
        }))
    }

    #[cfg(feature = "describe")]
    fn signature(&self) -> Signature {
        Signature::of(&*self.codec, false, true)
    }
}

impl<E, C, Req, Res> Handler<Streaming<Bytes>> for Streams<ClientStream, E, C, Req, Res>
where
    E: Endpoint<Request<Streaming<Req>, ClientStream>, Response = Response<Res>, Error: Into<Error>>,
    C: DecodeRequest<Req> + EncodeOutcome<Res>,
    Req: Send + 'static,
    Res: Send,
{
    fn handle<'a>(&'a self, call: Call<Streaming<Bytes>>) -> Answering<'a> {
        Box::pin(catch_panic(async move || {
            let Call { context, message, framer } = call;
            let items = Streaming::new(Decoded::new(message, Arc::clone(&self.codec)));
            let outcome = self.endpoint.call(Request::from_parts(context, items)).await;
            answered(&*self.codec, framer, outcome.map_err(Into::into))
        }))
    }

    #[cfg(feature = "describe")]
    fn signature(&self) -> Signature {
        Signature::of(&*self.codec, true, false)
    }
}

impl<E, C, Req, Res> Handler<Streaming<Bytes>> for Streams<Bidi, E, C, Req, Res>
where
    E: Endpoint<Request<Streaming<Req>, Bidi>, Response = Response<Streaming<Res>>, Error: Into<Error>>,
    C: DecodeRequest<Req> + EncodeOutcome<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    fn handle<'a>(&'a self, call: Call<Streaming<Bytes>>) -> Answering<'a> {
        Box::pin(catch_panic(async move || {
            let Call { context, message, framer } = call;
            let items = Streaming::new(Decoded::new(message, Arc::clone(&self.codec)));
            let answer = self.endpoint.call(Request::from_parts(context, items)).await.map_err(Into::into);
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => return answered(&*self.codec, framer, Err(error)),
            };
            // The head does not wait for a message: the caller may wait for the head before it sends what that needs.
            let (streamed, headers) = self.streamed(answer, framer);
            Ok(Answer { body: Body::stream(streamed), headers })
        }))
    }

    #[cfg(feature = "describe")]
    fn signature(&self) -> Signature {
        Signature::of(&*self.codec, true, true)
    }
}

impl<C, Req, Res> Bind<ServerStream, Req, Streaming<Res>> for GrpcServer<C>
where
    C: DecodeRequest<Req> + EncodeOutcome<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    fn bind<E>(&mut self, operation: Operation, endpoint: E)
    where
        E: Endpoint<Request<Req, ServerStream>, Response = Response<Streaming<Res>>, Error: Into<Error>> + 'static,
    {
        let streams = Streams::<ServerStream, _, _, Req, Res>::new(endpoint, &self.codec);
        self.push(operation, Takes::One(Arc::new(streams)));
    }
}

impl<C, Req, Res> Bind<ClientStream, Streaming<Req>, Res> for GrpcServer<C>
where
    C: DecodeRequest<Req> + EncodeOutcome<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    fn bind<E>(&mut self, operation: Operation, endpoint: E)
    where
        E: Endpoint<Request<Streaming<Req>, ClientStream>, Response = Response<Res>, Error: Into<Error>> + 'static,
    {
        let streams = Streams::<ClientStream, _, _, Req, Res>::new(endpoint, &self.codec);
        self.push(operation, Takes::Stream(Arc::new(streams)));
    }
}

impl<C, Req, Res> Bind<Bidi, Streaming<Req>, Streaming<Res>> for GrpcServer<C>
where
    C: DecodeRequest<Req> + EncodeOutcome<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    fn bind<E>(&mut self, operation: Operation, endpoint: E)
    where
        E: Endpoint<Request<Streaming<Req>, Bidi>, Response = Response<Streaming<Res>>, Error: Into<Error>> + 'static,
    {
        let streams = Streams::<Bidi, _, _, Req, Res>::new(endpoint, &self.codec);
        self.push(operation, Takes::Stream(Arc::new(streams)));
    }
}
