//! The way of one call through the server: deadline, hooks, message, handler, and the answers to what goes wrong.

use std::convert::Infallible;
use std::mem;
use std::pin::pin;

use http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use kit_base::wire::{GRPC_TIMEOUT, is_grpc};
use kit_base::{Context, Deadline, Error, Streaming, Timeout, caught};

use super::handler::{Answer, Call, Takes};
use super::hooks::Exchange;
use super::incoming::Incoming;
use super::message::{self, BoxError};
use super::routes::Entry;
use super::{Body, Routes, Settings};
use crate::coding::{ACCEPTED, Coding, GRPC_ACCEPT_ENCODING, GRPC_ENCODING};
use crate::frame::{Deframer, Framer};
use crate::metadata::{APPLICATION_GRPC, check, put_over};
use crate::within::{by, in_time, now};

pub(super) use crate::within::passed;

impl Routes {
    /// Not an `async fn`: a future holds what it is given beside what it makes of it, and the request is large.
    pub(super) fn answer<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send
    where
        B: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let found = if is_call(&request) { self.find(request.uri().path()) } else { None };
        let way = match found {
            None => Err(self.elsewhere(request)),
            Some(entry) => {
                let (head, body) = request.into_parts();
                let context = Context::received(head.headers, head.extensions).with_operation(entry.operation.clone());
                Ok((entry, Exchange::new(self, context), body))
            }
        };
        async move {
            Ok(match way {
                Ok((entry, exchange, body)) => answer(entry, exchange, body).await,
                Err(elsewhere) => elsewhere.await,
            })
        }
    }
}

/// The answer to a call of a method that is bound.
async fn answer<B>(entry: &Entry, mut exchange: Exchange, body: B) -> Response<Body>
where
    B: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let mut answer = bare();
    match serve(entry, &mut exchange, body, answer.headers_mut()).await {
        Ok(body) => {
            exchange.bytes = body.len();
            *answer.body_mut() = body;
            match answer.body_mut().streamed_mut() {
                None => exchange.finish(None),
                Some(streamed) => streamed.ride(exchange),
            }
        }
        Err(error) => {
            // What was meant for a success is not sent with an error.
            *answer.headers_mut() = bare().into_parts().0.headers;
            // Also where there is only one, if another was asked for.
            answer.headers_mut().insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static(Coding::KNOWN));
            exchange.write_error(&error, answer.headers_mut());
            exchange.finish(Some(&error));
        }
    }
    answer
}

async fn serve<B>(entry: &Entry, exchange: &mut Exchange, body: B, head: &mut HeaderMap) -> Result<Body, Error>
where
    B: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    begin(exchange)?;
    let (settings, context) = (exchange.settings(), &exchange.context);
    let deadline = context.deadline();
    if deadline.is_some_and(|deadline| deadline.has_passed(now())) {
        // What is late already is not begun.
        return Err(passed());
    }
    let frames = Deframer::new(Coding::of(context.inbound())?, settings.max_decoding);
    let framer = Framer { coding: settings.coding(context.inbound()), limit: settings.max_encoding };
    let answering = match &entry.handler {
        Takes::One(handler) => {
            let message = {
                let body = pin!(body);
                let read = pin!(message::read(body, frames));
                read_in_time(settings, deadline, read).await?
            };
            handler.handle(Call { context: context.clone(), message, framer })
        }
        Takes::Stream(handler) => {
            let message = Streaming::new(Incoming::new(body, frames));
            handler.handle(Call { context: context.clone(), message, framer })
        }
    };
    let Answer { mut body, mut headers } = in_time(deadline, answering).await?;
    if let Some(coding) = framer.coding.header() {
        head.insert(GRPC_ENCODING, coding);
    }
    if !settings.hooks.after.is_empty()
        && let Some(trailers) = body.trailers_mut()
    {
        let headers = headers.get_or_insert_default();
        caught(|| {
            for hook in &settings.hooks.after {
                hook(context, headers, trailers);
            }
        })?;
    }
    if let Some(trailers) = body.trailers() {
        check(trailers)?;
    }
    if let Some(headers) = headers {
        check(&headers)?;
        put_over(head, &headers);
    }
    Ok(body)
}

/// What comes before the message: the deadline and the before hooks.
fn begin(exchange: &mut Exchange) -> Result<(), Error> {
    let given = deadline(exchange.context.inbound(), exchange.context.extensions());
    if let Ok(Some(deadline)) = given {
        exchange.context = mem::take(&mut exchange.context).with_deadline(deadline);
    }
    if !exchange.settings().hooks.before.is_empty() {
        let mut context = mem::take(&mut exchange.context);
        let ran = caught(|| {
            for hook in &exchange.settings().hooks.before {
                hook(&mut context);
            }
        });
        exchange.context = context;
        ran?;
    }
    given.map(|_| ())
}

/// The message, unless the deadline passes first, or the time that the server gives for it.
async fn read_in_time<F: Future<Output = Result<bytes::Bytes, Error>>>(
    settings: &Settings,
    deadline: Option<Deadline>,
    read: std::pin::Pin<&mut F>,
) -> Result<bytes::Bytes, Error> {
    let mut read = read;
    // Most messages are here already, and need no look at the clock.
    let first = std::future::poll_fn(|cx| std::task::Poll::Ready(read.as_mut().poll(cx))).await;
    if let std::task::Poll::Ready(message) = first {
        return message;
    }
    let limit = Deadline::after(now(), settings.message_timeout);
    let until = deadline.map_or(limit, |deadline| deadline.min(limit));
    by(Some(until), read).await.unwrap_or_else(|| {
        if Some(until) == deadline {
            return Err(passed());
        }
        let message = format!("the message did not come within {:?}", settings.message_timeout);
        Err(Error::deadline_exceeded(message).with_reason("MESSAGE_TIMEOUT"))
    })
}

impl Settings {
    /// How the answers of this call are compressed.
    #[cfg_attr(not(feature = "gzip"), expect(clippy::unused_self, reason = "there is nothing to choose"))]
    fn coding(&self, request: &HeaderMap) -> Coding {
        #[cfg(feature = "gzip")]
        if self.gzip {
            return Coding::for_peer(request);
        }
        let _ = request;
        Coding::Identity
    }
}

/// The head of every answer of gRPC.
pub(super) fn bare() -> Response<Body> {
    let mut answer = Response::new(Body::default());
    answer.headers_mut().insert(CONTENT_TYPE, APPLICATION_GRPC);
    if let Some(accepted) = ACCEPTED {
        answer.headers_mut().insert(GRPC_ACCEPT_ENCODING, accepted);
    }
    answer
}

/// Whether a request is a call of gRPC.
fn is_call<B>(request: &Request<B>) -> bool {
    *request.method() == Method::POST && is_grpc(request.headers())
}

/// The answer to what is no call of gRPC.
pub(super) fn not_grpc(method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
    let (status, name, value, text) = match () {
        () if !is_grpc(headers) => {
            let text = "this is a server of gRPC: want the content type application/grpc";
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, ACCEPT, APPLICATION_GRPC, text)
        }
        () if *method != Method::POST => {
            let text = "calls of gRPC are made by POST";
            (StatusCode::METHOD_NOT_ALLOWED, ALLOW, HeaderValue::from_static("POST"), text)
        }
        () => return None,
    };
    let problem = Error::invalid_argument(text).to_http_answer_as(status);
    let mut answer = problem.map(Body::text);
    answer.headers_mut().insert(name, value);
    Some(answer)
}

/// The earlier one of the deadlines that whoever serves put into the extensions, and the caller into the header.
pub(super) fn deadline(headers: &HeaderMap, extensions: &Extensions) -> Result<Option<Deadline>, Error> {
    let given = extensions.get::<Deadline>().copied();
    let mut values = headers.get_all(&GRPC_TIMEOUT).iter().map(HeaderValue::as_bytes);
    let Some(first) = values.next() else { return Ok(given) };
    let mut text = String::from_utf8_lossy(first);
    for more in values {
        // Several are as malformed as one that is garbage: nobody could say which one counts.
        text = format!("{text}, {}", String::from_utf8_lossy(more)).into();
    }
    let timeout: Timeout = text.parse().map_err(|error: Error| {
        Error::invalid_argument(format!("{GRPC_TIMEOUT}: {}", error.message())).with_reason("MALFORMED")
    })?;
    let asked = Deadline::after(now(), timeout.0);
    Ok(Some(given.map_or(asked, |given| given.min(asked))))
}
