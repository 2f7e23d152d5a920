//! The way of one request through the server: hooks, body, handler, and the answers to what goes wrong.

use std::convert::Infallible;
use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};

use http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use kit_base::wire::GRPC_TIMEOUT;
use kit_base::{Context, Deadline, Error, Event, Kind, Operation, Timeout, caught};

use super::body::{self, Body, TOO_SLOW};
use super::handler::{Call, Takes};
use super::hooks::Exchange;
use super::request_id::{RequestId, X_REQUEST_ID};
use super::routes::Found;
use super::{Routes, Settings};
use crate::RequestInfo;
use crate::codec::{MALFORMED, TOO_LARGE, UNSUPPORTED};
use crate::pieces::BoxError;
use crate::within::{Timer, now};

/// A request that the server refuses by itself, under a status that says more than the kind.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    error: Error,
    /// What would be taken instead.
    instead: Option<Box<(HeaderName, HeaderValue)>>,
}

impl Refused {
    pub(super) fn new(status: StatusCode, error: Error) -> Self {
        Self { status, error, instead: None }
    }

    pub(super) fn allowing(mut self, verbs: &str) -> Self {
        self.instead = HeaderValue::try_from(verbs).ok().map(|verbs| Box::new((ALLOW, verbs)));
        self
    }

    pub(super) fn into_error(self) -> Error {
        self.error
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let status = match (error.kind(), error.reason()) {
            (Kind::InvalidArgument, Some(UNSUPPORTED)) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            (Kind::InvalidArgument, Some(TOO_LARGE)) => StatusCode::PAYLOAD_TOO_LARGE,
            (Kind::DeadlineExceeded, Some(TOO_SLOW)) => StatusCode::REQUEST_TIMEOUT,
            (kind, _) => kind.http_status(),
        };
        Self::new(status, error)
    }
}

impl Routes {
    /// Not an `async fn`: a future holds what it is given beside what it makes of it, and the request is large.
    pub(super) fn answer<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send
    where
        B: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let (head, body) = request.into_parts();
        let http::request::Parts { method, uri, version, mut headers, mut extensions, .. } = head;
        if self.settings().request_id {
            let id = RequestId::of(&headers);
            headers.insert(X_REQUEST_ID, id.header());
            extensions.insert(id);
        }
        let info = RequestInfo { method, uri, version };
        let found = self.find(&info);
        let operation = found.as_ref().map_or(Operation::UNMATCHED, |found| found.bound.operation.clone());
        let context = Context::received(headers, extensions).with_operation(operation);
        let mut exchange = Exchange::new(self, info, context, found.is_ok());
        let mut body = Some(body);
        async move {
            let settings = self.settings();
            let answer = match found {
                Ok(mut found) => settings.serve(&mut found, &mut exchange, &mut body).await,
                Err(refused) => Err(refused),
            };
            let answer = answer.unwrap_or_else(|refused| settings.refuse(&exchange.context, refused));
            let mut answer = tidy(answer, &exchange.info.method);
            if let Some(id) = settings.request_id.then(|| exchange.context.extensions().get::<RequestId>()).flatten() {
                answer.headers_mut().insert(X_REQUEST_ID, id.header());
            }
            exchange.finish(&mut answer);
            Ok(answer)
        }
    }
}

impl Settings {
    async fn serve<B>(
        &self,
        found: &mut Found<'_>,
        exchange: &mut Exchange<'_>,
        body: &mut Option<B>,
    ) -> Result<Response<Body>, Refused>
    where
        B: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.begin(exchange)?;
        let Exchange { info, context, .. } = exchange;
        let deadline = context.deadline();
        if deadline.is_some_and(|deadline| deadline.has_passed(now())) {
            // What is late already is not begun.
            return Err(passed().into());
        }
        let Some(body) = body.take() else { return Err(Error::internal("the body is gone").into()) };
        let mut answering = match &found.bound.handler {
            Takes::Whole(handler) => {
                let body = pin!(body);
                let read = pin!(body::read(body, self.body_limit, self.body_timeout));
                let body = in_time(deadline, read).await??;
                handler.handle(Call {
                    info,
                    params: mem::take(&mut found.params),
                    body,
                    context: context.clone(),
                    settings: self,
                })
            }
            Takes::Stream(handler) => {
                let body = body::pieces(body, self)?;
                handler.handle(Call {
                    info,
                    params: mem::take(&mut found.params),
                    body,
                    context: context.clone(),
                    settings: self,
                })
            }
        };
        let mut answer = match in_time(deadline, answering.as_mut()).await {
            Ok(answer) => answer?,
            Err(late) => {
                // What is dropped may panic, and has nothing more to say.
                let _ = caught(|| drop(answering));
                return Err(late);
            }
        };
        if !self.hooks.after.is_empty() {
            caught(|| {
                for hook in &self.hooks.after {
                    hook(context, answer.headers_mut());
                }
            })?;
        }
        Ok(answer)
    }

    /// What comes before the body: the deadline, the before hooks, and whether the body can be read.
    fn begin(&self, exchange: &mut Exchange<'_>) -> Result<(), Refused> {
        let Exchange { info, context, .. } = exchange;
        let given = deadline(context);
        if let Ok(Some(deadline)) = given {
            *context = mem::take(context).with_deadline(deadline);
        }
        if !self.hooks.before.is_empty() {
            caught(|| {
                for hook in &self.hooks.before {
                    hook(context, info);
                }
            })?;
        }
        given?;
        is_plain(context.inbound())
    }

    /// The answer to an error. A hook that sees or encodes it may panic, and then again over that panic.
    fn refuse(&self, context: &Context, refused: Refused) -> Response<Body> {
        caught(|| self.refuse_by_hooks(context, refused)).unwrap_or_else(|panic| {
            let plain = panic.to_http_answer().map(Body::from);
            caught(|| self.refuse_by_hooks(context, panic.into())).unwrap_or(plain)
        })
    }

    /// The answer to an error, after the error handlers have seen it.
    fn refuse_by_hooks(&self, context: &Context, refused: Refused) -> Response<Body> {
        let Refused { status, error, instead } = refused;
        if is_panic(&error) {
            self.tell_panic(context);
        }
        for hook in &self.hooks.error_handlers {
            hook(context, &error);
        }
        let mut answer = match self.hooks.error_encoder.as_ref().and_then(|encode| encode(&error)) {
            Some(answer) => answer,
            None => error.to_http_answer_as(status),
        };
        if let Some((name, value)) = instead.map(|instead| *instead) {
            answer.headers_mut().insert(name, value);
        }
        answer.map(Body::from)
    }

    pub(super) fn tell_panic(&self, context: &Context) {
        let key = context.operation().to_string();
        // Whoever hears of a panic may panic as well: there is nobody left to tell.
        let _ = caught(|| self.observer.observe(&Event::new("http_server", "panicked", &key)));
    }
}

/// Whether the error is a panic of this process. One of a service behind this one brings the same reason, but not the
/// text of the panic.
pub(super) fn is_panic(error: &Error) -> bool {
    error.reason() == Some("PANIC") && error.message().starts_with("panicked: ")
}

/// The answer as it may be sent, whatever the encoders and hooks have made of it: no body where there must be none, and
/// its length and transfer left to whoever sends it. Source: RFC 9110, sections 6.4.1 and 8.6.
fn tidy(mut answer: Response<Body>, verb: &Method) -> Response<Body> {
    let status = answer.status();
    // The type alone is what most answers have, and a look at it costs less than a search.
    if answer.headers().keys().any(|name| *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING) {
        answer.headers_mut().remove(CONTENT_LENGTH);
        answer.headers_mut().remove(TRANSFER_ENCODING);
    }
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        answer.headers_mut().remove(CONTENT_TYPE);
        *answer.body_mut() = Body::default();
    } else if *verb == Method::HEAD {
        if !answer.body().streams() {
            let length = HeaderValue::from(answer.body().len());
            answer.headers_mut().insert(CONTENT_LENGTH, length);
        }
        *answer.body_mut() = Body::default();
    }
    answer
}

/// Whether the body is as it was encoded, or else the refusal. Source: RFC 9110, sections 8.4 and 12.5.3.
fn is_plain(headers: &HeaderMap) -> Result<(), Refused> {
    let plain = |coding: &[u8]| matches!(&*coding.trim_ascii().to_ascii_lowercase(), b"" | b"identity");
    let coded = |value: &&HeaderValue| !value.as_bytes().split(|byte| *byte == b',').all(plain);
    let Some(value) = headers.get_all(CONTENT_ENCODING).iter().find(coded) else { return Ok(()) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let error = Error::invalid_argument(format!("content encoding {text:?} is not supported, want identity"));
    let mut refused = Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error.with_reason("UNSUPPORTED_CODING"));
    refused.instead = Some(Box::new((ACCEPT_ENCODING, HeaderValue::from_static("identity"))));
    Err(refused)
}

/// The earlier one of the deadlines that whoever serves put into the extensions, and the caller into the header.
fn deadline(context: &Context) -> Result<Option<Deadline>, Error> {
    let given = context.extensions().get::<Deadline>().copied();
    if !context.inbound().contains_key(&GRPC_TIMEOUT) {
        return Ok(given);
    }
    // Several are as malformed as one that is garbage: nobody could say which one counts.
    let headers: Vec<_> = context.inbound().get_all(&GRPC_TIMEOUT).iter().map(HeaderValue::as_bytes).collect();
    let headers = headers.join(&b", "[..]);
    let text = String::from_utf8_lossy(&headers);
    let timeout: Timeout = text.parse().map_err(|error: Error| {
        Error::invalid_argument(format!("header {GRPC_TIMEOUT}: {}", error.message())).with_reason(MALFORMED)
    })?;
    let asked = Deadline::after(now(), timeout.0);
    Ok(Some(given.map_or(asked, |given| given.min(asked))))
}

/// What the work gives, unless the deadline passes first.
fn in_time<F: Future + ?Sized>(
    deadline: Option<Deadline>,
    mut work: Pin<&mut F>,
) -> impl Future<Output = Result<F::Output, Refused>> {
    let mut timer = deadline.map(Timer::At);
    poll_fn(move |cx| match &mut timer {
        None => work.as_mut().poll(cx).map(Ok),
        Some(timer) => {
            timer.poll_bound(cx, |cx| work.as_mut().poll(cx)).map(|done| done.ok_or_else(|| passed().into()))
        }
    })
}

pub(super) fn passed() -> Error {
    Error::deadline_exceeded("the deadline of the call has passed")
}
