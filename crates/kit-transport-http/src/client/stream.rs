//! Calls that stream: requests that are sent as they come, and answers that are read as they come.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http::HeaderValue;
use kit_base::{
    Bidi, ClientStream, Connect, Deadline, Endpoint, Error, Operation, Request, Response, ServerStream, Streaming,
};
use tokio::time::Sleep;

use super::call::{Turn, late, passed, received, until};
use super::hooks::Finalizing;
use super::unsent::giving_back;
use super::upload::{Uploading, upload};
use super::{Connected, HttpClient, Remote, reply};
use crate::pieces::{Reading, Timely};
use crate::within::{asleep, now};
use crate::{DecodeResponse, DecodeResponseStream, EncodeRequest, EncodeRequestStream, Outgoing, Pieces, Reply};

/// A request that is ready, its turn, and its stream where it has one.
type Ready = (reqwest::Request, Turn, Option<Uploading>);

impl Remote {
    /// The request of a stream of messages, when it is its turn.
    async fn prepare_stream<C, Req>(
        &self,
        codec: &C,
        call: &mut Finalizing,
        items: Streaming<Req>,
        accept: Option<HeaderValue>,
    ) -> Result<Ready, Error>
    where
        C: EncodeRequestStream<Req>,
        Req: 'static,
    {
        let turn = self.enter(call).await?;
        let mut uploading = None;
        let request = self.prepare(call, turn, |route, verb| {
            let (outgoing, form) = codec.encode_request_stream(route, verb)?;
            let outgoing = accepting(outgoing, accept);
            let (body, headers, handle) = upload(items, form);
            uploading = Some(handle);
            Ok((outgoing, Some((body, headers))))
        });
        request.map(|request| (request, turn, uploading))
    }

    /// Sends the request, and gives the answer as it comes; or this of the error, if there is none.
    async fn open<C, Res>(
        self: &Arc<Self>,
        codec: &C,
        prepared: Result<Ready, Error>,
        mut call: Finalizing,
        failed: impl FnOnce(Error) -> Error,
    ) -> Result<Response<Streaming<Res>>, Error>
    where
        C: DecodeResponseStream<Res>,
        Res: Send + 'static,
    {
        let deadline = call.context.deadline();
        let opened = match prepared {
            Err(error) => Err(error),
            Ok((request, turn, mut uploading)) => {
                let opening = async {
                    let response = self.head(request, turn, uploading.as_ref(), &mut call).await?;
                    self.begin_to_read(codec, response)
                };
                let opened = until(deadline, opening).await;
                let opened = opened.map_err(|error| failed(own(&mut uploading, error)));
                opened.map(|(items, reply)| (items, reply, uploading))
            }
        };
        match opened {
            Err(error) => {
                call.finish(Some(&error));
                Err(error)
            }
            Ok((items, reply, uploading)) => {
                let timer = deadline.map(|deadline| (deadline, asleep(deadline.left(now()))));
                let going = Some(Going { items, call, uploading });
                Ok(received(Streaming::new(Answer { going, timer }), reply.status, reply.headers))
            }
        }
    }

    /// The items of an answer, each in time, and its head.
    fn begin_to_read<C, Res>(
        &self,
        codec: &C,
        mut response: reqwest::Response,
    ) -> Result<(Streaming<Res>, Reply), Error>
    where
        C: DecodeResponseStream<Res>,
    {
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let reading = Reading::new(reqwest::Body::from(response), reply::broken_stream);
        let late = |limit| late("nothing more of the answer came", limit);
        let timely = Timely::new(Streaming::new(reading), self.settings.body_timeout, late);
        let reply = Reply { status, headers, body: Bytes::new() };
        let pieces = Pieces::new(Streaming::new(timely), self.settings.response_limit);
        Ok((codec.decode_response_stream(&reply, pieces)?, reply))
    }
}

/// The same, wanting what the decoder reads.
fn accepting(outgoing: Outgoing, accept: Option<HeaderValue>) -> Outgoing {
    match accept {
        Some(accept) => outgoing.accepting(accept),
        None => outgoing,
    }
}

/// The error, or that of the request's own stream where it was this that broke the call off.
fn own(uploading: &mut Option<Uploading>, error: Error) -> Error {
    uploading.as_mut().and_then(Uploading::failure).unwrap_or(error)
}

/// An answer that streams. It is over with its last item, its error, the deadline, or when it is dropped.
struct Answer<T> {
    going: Option<Going<T>>,
    timer: Option<(Deadline, Pin<Box<Sleep>>)>,
}

/// What is dropped when it is over.
struct Going<T> {
    items: Streaming<T>,
    call: Finalizing,
    uploading: Option<Uploading>,
}

impl<T> Stream for Answer<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { going, timer } = &mut *self;
        let Some(Going { items, uploading, .. }) = going else { return Poll::Ready(None) };
        let late = timer.as_ref().is_some_and(|(deadline, _)| deadline.has_passed(now()));
        let end = match if late { Poll::Ready(Some(Err(passed()))) } else { Pin::new(items).poll_next(cx) } {
            Poll::Ready(Some(Ok(item))) => return Poll::Ready(Some(Ok(item))),
            Poll::Ready(None) => None,
            Poll::Ready(Some(Err(error))) => Some(own(uploading, error)),
            Poll::Pending => {
                if timer.as_mut().is_none_or(|(_, timer)| timer.as_mut().poll(cx).is_pending()) {
                    return Poll::Pending;
                }
                Some(passed())
            }
        };
        if let Some(Going { items, call, uploading }) = going.take() {
            drop((items, uploading));
            call.finish(end.as_ref());
        }
        Poll::Ready(end.map(Err))
    }
}

impl<C, Req, Res> Endpoint<Request<Req, ServerStream>> for Connected<C, Req, Streaming<Res>>
where
    C: EncodeRequest<Req> + DecodeResponseStream<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    type Response = Response<Streaming<Res>>;
    type Error = Error;

    async fn call(&self, request: Request<Req, ServerStream>) -> Result<Response<Streaming<Res>>, Error> {
        let mut call = self.remote.begin(request.context().clone());
        let turn = self.remote.enter(&mut call).await;
        let prepared = turn.and_then(|turn| {
            let message = request.message();
            let prepared = self.remote.prepare(&call, turn, |route, verb| {
                let outgoing = self.codec.encode_request(route, verb, message)?;
                Ok((accepting(outgoing, self.codec.accept()), None))
            });
            prepared.map(|prepared| (prepared, turn, None))
        });
        self.remote.open(&*self.codec, prepared, call, |error| giving_back(error, request)).await
    }
}

impl<C, Req, Res> Endpoint<Request<Streaming<Req>, ClientStream>> for Connected<C, Streaming<Req>, Res>
where
    C: EncodeRequestStream<Req> + DecodeResponse<Res>,
    Req: Send + 'static,
    Res: Send,
{
    type Response = Response<Res>;
    type Error = Error;

    async fn call(&self, request: Request<Streaming<Req>, ClientStream>) -> Result<Response<Res>, Error> {
        let Self { remote, codec, .. } = self;
        let (context, items) = request.into_parts();
        let mut call = remote.begin(context);
        let outcome = match remote.prepare_stream(&**codec, &mut call, items, None).await {
            Err(error) => Err(error),
            Ok((request, turn, mut uploading)) => {
                let deadline = call.context.deadline();
                let exchange = remote.exchange(&**codec, request, turn, uploading.as_ref(), &mut call);
                let outcome = until(deadline, exchange).await;
                outcome.map_err(|error| own(&mut uploading, error))
            }
        };
        call.finish(outcome.as_ref().err());
        outcome
    }
}

impl<C, Req, Res> Endpoint<Request<Streaming<Req>, Bidi>> for Connected<C, Streaming<Req>, Streaming<Res>>
where
    C: EncodeRequestStream<Req> + DecodeResponseStream<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    type Response = Response<Streaming<Res>>;
    type Error = Error;

    async fn call(&self, request: Request<Streaming<Req>, Bidi>) -> Result<Response<Streaming<Res>>, Error> {
        let Self { remote, codec, .. } = self;
        let (context, items) = request.into_parts();
        let mut call = remote.begin(context);
        let prepared = remote.prepare_stream(&**codec, &mut call, items, codec.accept()).await;
        remote.open(&**codec, prepared, call, |error| error).await
    }
}

impl<C, Req, Res> Connect<ServerStream, Req, Streaming<Res>> for HttpClient<C>
where
    C: EncodeRequest<Req> + DecodeResponseStream<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    type Endpoint = Connected<C, Req, Streaming<Res>>;

    fn connect(&self, operation: Operation) -> Self::Endpoint {
        self.endpoint(operation)
    }
}

impl<C, Req, Res> Connect<ClientStream, Streaming<Req>, Res> for HttpClient<C>
where
    C: EncodeRequestStream<Req> + DecodeResponse<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    type Endpoint = Connected<C, Streaming<Req>, Res>;

    fn connect(&self, operation: Operation) -> Self::Endpoint {
        self.endpoint(operation)
    }
}

impl<C, Req, Res> Connect<Bidi, Streaming<Req>, Streaming<Res>> for HttpClient<C>
where
    C: EncodeRequestStream<Req> + DecodeResponseStream<Res>,
    Req: Send + 'static,
    Res: Send + 'static,
{
    type Endpoint = Connected<C, Streaming<Req>, Streaming<Res>>;

    fn connect(&self, operation: Operation) -> Self::Endpoint {
        self.endpoint(operation)
    }
}
