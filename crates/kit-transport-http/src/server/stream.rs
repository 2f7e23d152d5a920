//! Bound endpoints that stream, with their codecs, their types erased.

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use http::Response as HttpResponse;
use kit_base::{
    Bidi, Bind, ClientStream, Context, Endpoint, Error, Operation, Request, Response, ResponseParts, ServerStream,
    Streaming, catch_panic,
};

use super::HttpServer;
use super::body::{Body, timely};
use super::handler::{Answering, Call, Handler, Takes, put_over};
use super::streamed::Streamed;
use crate::within::within;
use crate::{DecodeRequest, DecodeRequestStream, EncodeOutcome, EncodeResponseStream, Params, Pieces, Received};

/// An endpoint of a shape that streams, with its decoder and encoder.
pub(super) struct Streams<S, E, D: ?Sized, N: ?Sized, Req, Res> {
    endpoint: E,
    decode: Arc<D>,
    encode: Arc<N>,
    _call: PhantomData<fn(S, Req) -> Res>,
}

impl<S, E, D, N, Req, Res> Streams<S, E, D, N, Req, Res> {
    pub(super) fn new(endpoint: E, decode: Arc<D>, encode: Arc<N>) -> Self {
        Self { endpoint, decode, encode, _call: PhantomData }
    }
}

impl<E, D, N, Req, Res> Handler for Streams<ServerStream, E, D, N, Req, Res>
where
    E: Endpoint<Request<Req, ServerStream>, Response = Response<Streaming<Res>>, Error: Into<Error>>,
    D: DecodeRequest<Req>,
    N: EncodeResponseStream<Res>,
    Req: Send,
    Res: Send + 'static,
{
    fn handle<'a>(&'a self, call: Call<'a>) -> Answering<'a> {
        Box::pin(catch_panic(async move || {
            let Call { info, params, body, context, settings } = call;
            let received = Received::new(info, &context, &params, &body);
            let message = self.decode.decode_request(&received)?;
            let form = self.encode.encode_response_stream(&received)?;
            let answer = self.endpoint.call(Request::from_parts(context, message)).await.map_err(Into::into)?;
            let (items, parts) = answer.into_parts();
            let (mut streamed, headers) = Streamed::new(items, form, settings.keep_alive);
            // A head that never comes would be taken for a service that hangs.
            within(settings.keep_alive, streamed.wait_for_first()).await.unwrap_or(Ok(()))?;
            Ok(answered(streamed, headers, parts))
        }))
    }

    #[cfg(feature = "openapi")]
    fn describe(&self, schemas: &mut crate::openapi::Schemas) -> (crate::Description, crate::Description) {
        (self.decode.describe_request(&mut schemas.read), self.encode.describe_answer_stream(&mut schemas.written))
    }
}

impl<E, D, N, Req, Res> Handler<Pieces> for Streams<ClientStream, E, D, N, Req, Res>
where
    E: Endpoint<Request<Streaming<Req>, ClientStream>, Response = Response<Res>, Error: Into<Error>>,
    D: DecodeRequestStream<Req>,
    N: EncodeOutcome<Res>,
    Req: Send + 'static,
    Res: Send,
{
    fn handle<'a>(&'a self, call: Call<'a, Pieces>) -> Answering<'a> {
        Box::pin(catch_panic(async move || {
            let Call { info, params, body, context, settings } = call;
            let nothing = Bytes::new();
            let received = Received::new(info, &context, &params, &nothing);
            let items = timely(self.decode.decode_request_stream(&received, body)?, settings.body_timeout);
            let request = Request::from_parts(with_params(context.clone(), &params), items);
            let outcome = self.endpoint.call(request).await.map_err(Into::into);
            let parts = outcome.as_ref().ok().and_then(Response::parts).cloned();
            let answer = self.encode.encode_outcome(&Received::new(info, &context, &params, &nothing), outcome)?;
            Ok(put_over(answer.map(Body::from), parts))
        }))
    }

    #[cfg(feature = "openapi")]
    fn describe(&self, schemas: &mut crate::openapi::Schemas) -> (crate::Description, crate::Description) {
        (self.decode.describe_request_stream(&mut schemas.read), self.encode.describe_answer(&mut schemas.written))
    }
}

impl<E, D, N, Req, Res> Handler<Pieces> for Streams<Bidi, E, D, N, Req, Res>
where
    E: Endpoint<Request<Streaming<Req>, Bidi>, Response = Response<Streaming<Res>>, Error: Into<Error>>,
    D: DecodeRequestStream<Req>,
    N: EncodeResponseStream<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    fn handle<'a>(&'a self, call: Call<'a, Pieces>) -> Answering<'a> {
        Box::pin(catch_panic(async move || {
            let Call { info, params, body, context, settings } = call;
            let nothing = Bytes::new();
            let received = Received::new(info, &context, &params, &nothing);
            let form = self.encode.encode_response_stream(&received)?;
            let items = timely(self.decode.decode_request_stream(&received, body)?, settings.body_timeout);
            let request = Request::from_parts(with_params(context, &params), items);
            let answer = self.endpoint.call(request).await.map_err(Into::into)?;
            let (items, parts) = answer.into_parts();
            // The head does not wait for an item: the caller may wait for the head before it sends what that item needs.
            let (streamed, headers) = Streamed::new(items, form, settings.keep_alive);
            Ok(answered(streamed, headers, parts))
        }))
    }

    #[cfg(feature = "openapi")]
    fn describe(&self, schemas: &mut crate::openapi::Schemas) -> (crate::Description, crate::Description) {
        (
            self.decode.describe_request_stream(&mut schemas.read),
            self.encode.describe_answer_stream(&mut schemas.written),
        )
    }
}

/// The parameters have no place in a stream of messages.
fn with_params(context: Context, params: &Params) -> Context {
    if params.is_empty() { context } else { context.with_extension(params.clone()) }
}

fn answered(streamed: Streamed, headers: http::HeaderMap, parts: ResponseParts) -> HttpResponse<Body> {
    let mut answer = HttpResponse::new(Body::stream(streamed));
    *answer.headers_mut() = headers;
    put_over(answer, Some(parts))
}

impl<C, Req, Res> Bind<ServerStream, Req, Streaming<Res>> for HttpServer<C>
where
    C: DecodeRequest<Req> + EncodeResponseStream<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    fn bind<E>(&mut self, operation: Operation, endpoint: E)
    where
        E: Endpoint<Request<Req, ServerStream>, Response = Response<Streaming<Res>>, Error: Into<Error>> + 'static,
    {
        let codec = Arc::clone(&self.codec);
        let streams = Streams::<ServerStream, _, _, _, Req, Res>::new(endpoint, Arc::clone(&codec), codec);
        self.push(operation, Takes::Whole(Arc::new(streams)));
    }
}

impl<C, Req, Res> Bind<ClientStream, Streaming<Req>, Res> for HttpServer<C>
where
    C: DecodeRequestStream<Req> + EncodeOutcome<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    fn bind<E>(&mut self, operation: Operation, endpoint: E)
    where
        E: Endpoint<Request<Streaming<Req>, ClientStream>, Response = Response<Res>, Error: Into<Error>> + 'static,
    {
        let codec = Arc::clone(&self.codec);
        let streams = Streams::<ClientStream, _, _, _, Req, Res>::new(endpoint, Arc::clone(&codec), codec);
        self.push(operation, Takes::Stream(Arc::new(streams)));
    }
}

impl<C, Req, Res> Bind<Bidi, Streaming<Req>, Streaming<Res>> for HttpServer<C>
where
    C: DecodeRequestStream<Req> + EncodeResponseStream<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    fn bind<E>(&mut self, operation: Operation, endpoint: E)
    where
        E: Endpoint<Request<Streaming<Req>, Bidi>, Response = Response<Streaming<Res>>, Error: Into<Error>> + 'static,
    {
        let codec = Arc::clone(&self.codec);
        let streams = Streams::<Bidi, _, _, _, Req, Res>::new(endpoint, Arc::clone(&codec), codec);
        self.push(operation, Takes::Stream(Arc::new(streams)));
    }
}
