//! Calls that stream: requests that are sent as they come, and answers that are read as they come.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::Response as HttpResponse;
use http::response::Parts;
use http_body::Body as HttpBody;
use kit_base::{
    Bidi, ClientStream, Connect, Endpoint, Error, Operation, Origin, Request, Response, ResponseParts, ServerStream,
    ServiceError, Streaming,
};
use tonic::body::Body;

use super::call::{passed, post};
use super::hooks::Finalizing;
use super::opening::Opening;
use super::streamed::{Going, Streamed};
use super::upload::{Uploading, upload};
use super::{BoxError, Connected, GrpcClient, Remote, failure};
use crate::messages::Messages;
use crate::metadata::of_peer;
use crate::within::by;
use crate::{DecodeResponse, EncodeRequest};

/// A request that is ready, and the stream in it where it has one.
type Ready = (http::Request<Body>, Option<Uploading>);

impl<S> Remote<S> {
    /// The request of a stream of messages.
    fn prepare_stream<C, Req>(&self, codec: &Arc<C>, items: Streaming<Req>, call: &Finalizing) -> Result<Ready, Error>
    where
        C: EncodeRequest<Req>,
        Req: 'static,
    {
        let (uri, headers) = self.head(&call.context)?;
        let (body, uploading) = upload(items, codec, self.settings.framer());
        Ok((post(uri, headers, body), Some(uploading)))
    }

    /// Sends the request, and gives the answer as it comes.
    async fn open<B, E, C, Res>(
        &self,
        codec: &Arc<C>,
        prepared: Result<Ready, Error>,
        call: Finalizing,
    ) -> Result<Response<Streaming<Res>>, Error>
    where
        S: Endpoint<http::Request<Body>, Response = HttpResponse<B>, Error = ServiceError<E>>,
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
        E: Into<BoxError>,
        C: DecodeResponse<Res>,
        Res: 'static,
    {
        let opened = self.go(prepared, &call, async |request| self.answer(request, &call).await).await;
        match opened {
            Ok(((head, opening, messages), uploading)) => {
                let mut parts = ResponseParts::default();
                // A head without messages is their trailers.
                let metadata = if messages.is_some() { &mut parts.headers } else { &mut parts.trailers };
                *metadata = of_peer(head.headers.clone());
                parts.received = true;
                let going = Going { head, opening, call, uploading };
                let items = Streaming::new(Streamed::new(messages, Arc::clone(codec), going));
                Ok(Response::from_parts(items, parts))
            }
            Err(error) => {
                call.finish(Some(&error));
                Err(error)
            }
        }
    }

    /// What the exchange gives within the deadline, unless the stream of the request fails.
    async fn go<T>(
        &self,
        prepared: Result<Ready, Error>,
        call: &Finalizing,
        exchange: impl AsyncFnOnce(http::Request<Body>) -> Result<T, Error>,
    ) -> Result<(T, Option<Uploading>), Error> {
        let (request, mut uploading) = prepared.map_err(|error| error.with_origin(Origin::NotSent))?;
        let outcome = {
            let mut exchange = pin!(exchange(request));
            let going = pin!(poll_fn(|cx| Uploading::poll_with(&mut uploading, cx, |cx| exchange.as_mut().poll(cx))));
            by(call.context.deadline(), going).await.unwrap_or_else(|| Err(passed()))
        };
        let outcome = outcome.map_err(|error| failure::settled(error, call.context.deadline()))?;
        Ok((outcome, uploading))
    }

    /// The head of an answer, and its messages where there are any.
    async fn answer<B, E>(
        &self,
        request: http::Request<Body>,
        call: &Finalizing,
    ) -> Result<(Parts, Opening, Option<Messages<B>>), Error>
    where
        S: Endpoint<http::Request<Body>, Response = HttpResponse<B>, Error = ServiceError<E>>,
        B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
        E: Into<BoxError>,
    {
        let answer = self.service.call(request).await.map_err(failure::unanswered)?;
        let (head, body) = answer.into_parts();
        let opening = Opening::of(&head, body.is_end_stream(), |headers, trailers| call.show(headers, trailers))?;
        let frames = opening.frames(self.settings.max_decoding);
        let messages = (!opening.over).then(|| Messages::new(body, frames));
        Ok((head, opening, messages))
    }
}

impl<S, B, E, C, Req, Res> Endpoint<Request<Req, ServerStream>> for Connected<S, C, Req, Streaming<Res>>
where
    S: Endpoint<http::Request<Body>, Response = HttpResponse<B>, Error = ServiceError<E>> + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    E: Into<BoxError> + Send,
    C: EncodeRequest<Req> + DecodeResponse<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    type Response = Response<Streaming<Res>>;
    type Error = Error;

    async fn call(&self, request: Request<Req, ServerStream>) -> Result<Response<Streaming<Res>>, Error> {
        let Self { remote, codec, .. } = self;
        let (given, message) = request.into_parts();
        let call = remote.begin(given.clone());
        let (prepared, message) = match remote.prepare(&**codec, message, &call.context) {
            Ok((request, message)) => (Ok((request, None)), Some(message)),
            Err(error) => (Err(error), None),
        };
        remote.open(codec, prepared, call).await.map_err(|error| {
            let again = |message| Some(Request::<Req, ServerStream>::from_parts(given, codec.give_back(message)?));
            failure::giving_back(error, || message.and_then(again))
        })
    }
}

impl<S, B, E, C, Req, Res> Endpoint<Request<Streaming<Req>, ClientStream>> for Connected<S, C, Streaming<Req>, Res>
where
    S: Endpoint<http::Request<Body>, Response = HttpResponse<B>, Error = ServiceError<E>> + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    E: Into<BoxError> + Send,
    C: EncodeRequest<Req> + DecodeResponse<Res>,
    Req: Send + 'static,
    Res: Send,
{
    type Response = Response<Res>;
    type Error = Error;

    async fn call(&self, request: Request<Streaming<Req>, ClientStream>) -> Result<Response<Res>, Error> {
        let Self { remote, codec, .. } = self;
        let (context, items) = request.into_parts();
        let call = remote.begin(context);
        let prepared = remote.prepare_stream(codec, items, &call);
        let exchange = async |request| remote.exchange(&**codec, request, &call).await;
        let outcome = remote.go(prepared, &call, exchange).await.map(|(answer, _over)| answer);
        call.finish(outcome.as_ref().err());
        outcome
    }
}

impl<S, B, E, C, Req, Res> Endpoint<Request<Streaming<Req>, Bidi>> for Connected<S, C, Streaming<Req>, Streaming<Res>>
where
    S: Endpoint<http::Request<Body>, Response = HttpResponse<B>, Error = ServiceError<E>> + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    E: Into<BoxError> + Send,
    C: EncodeRequest<Req> + DecodeResponse<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    type Response = Response<Streaming<Res>>;
    type Error = Error;

    async fn call(&self, request: Request<Streaming<Req>, Bidi>) -> Result<Response<Streaming<Res>>, Error> {
        let Self { remote, codec, .. } = self;
        let (context, items) = request.into_parts();
        let call = remote.begin(context);
        let prepared = remote.prepare_stream(codec, items, &call);
        remote.open(codec, prepared, call).await
    }
}

macro_rules! connects {
    ($($shape:ident $req:ty => $res:ty),*) => {$(
        impl<S, B, E, C, Req, Res> Connect<$shape, $req, $res> for GrpcClient<S, C>
        where
            S: Endpoint<http::Request<Body>, Response = HttpResponse<B>, Error = ServiceError<E>> + 'static,
            B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
            E: Into<BoxError> + Send,
            C: EncodeRequest<Req> + DecodeResponse<Res>,
            Req: Send + 'static,
            Res: Send + 'static,
        {
            type Endpoint = Connected<S, C, $req, $res>;

            fn connect(&self, operation: Operation) -> Self::Endpoint {
                self.endpoint(operation)
            }
        }
    )*};
}

connects! {
    ServerStream Req => Streaming<Res>,
    ClientStream Streaming<Req> => Res,
    Bidi Streaming<Req> => Streaming<Res>
}
