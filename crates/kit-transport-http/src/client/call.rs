//! One call: child context, encoding, sending, reading, decoding, all within the deadline.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode};
use kit_base::wire::GRPC_TIMEOUT;
use kit_base::{Context, Deadline, Error, Origin, Request, Response, ResponseParts, Timeout};
use reqwest::Url;

use super::hooks::Finalizing;
use super::reply;
use super::unsent::giving_back;
use super::upload::Uploading;
use super::{Remote, Settings};
use crate::gathered::{Gathered, TooLong};
use crate::within::{by, now, within};
use crate::{DecodeResponse, EncodeRequest, Outgoing, Reply, Route};

impl Remote {
    pub(super) async fn call<C, Req, Res>(
        self: &Arc<Self>,
        codec: &C,
        request: Request<Req>,
    ) -> Result<Response<Res>, Error>
    where
        C: EncodeRequest<Req> + DecodeResponse<Res>,
        Req: Send + 'static,
    {
        let mut finalizing = self.begin(request.context().clone());
        let turn = self.enter(&mut finalizing).await;
        let prepared = turn.and_then(|turn| {
            let message = request.message();
            let encode = |route: &Route, verb: &Method| Ok((codec.encode_request(route, verb, message)?, None));
            self.prepare(&finalizing, turn, encode).map(|prepared| (prepared, turn))
        });
        let outcome = match prepared {
            Err(error) => Err(error),
            Ok((prepared, turn)) => {
                let deadline = finalizing.context.deadline();
                let outcome = until(deadline, self.exchange(codec, prepared, turn, None, &mut finalizing)).await;
                outcome.map_err(|error| giving_back(error, request))
            }
        };
        finalizing.finish(outcome.as_ref().err());
        outcome
    }

    /// The beginning of a call: what finishes it.
    pub(super) fn begin(self: &Arc<Self>, context: Context) -> Finalizing {
        Finalizing::new(self, context.with_operation(self.operation.clone()), now())
    }

    /// Waits for the call's turn, where calls are counted.
    pub(super) async fn enter(&self, call: &mut Finalizing) -> Result<Turn, Error> {
        let Settings { limit, head_timeout, .. } = &self.settings;
        let Some(limit) = limit else { return Ok(Turn { now: call.started, head_timeout: *head_timeout }) };
        let (place, head_timeout) = limit.enter(call.context.deadline(), *head_timeout).await?;
        call.place = Some(place);
        Ok(Turn { now: now(), head_timeout })
    }

    /// The request as it will be sent. A body that streams comes beside the encoding, with the headers of its form.
    pub(super) fn prepare(
        &self,
        call: &Finalizing,
        turn: Turn,
        encode: impl FnOnce(&Route, &Method) -> Result<(Outgoing, Option<(reqwest::Body, HeaderMap)>), Error>,
    ) -> Result<reqwest::Request, Error> {
        let (context, now) = (&call.context, turn.now);
        let not_sent = |error: Error| error.with_origin(Origin::NotSent);
        let route = self.route.as_ref().map_err(|error| {
            let message = format!("{} cannot be called", self.operation);
            not_sent(Error::internal(message).with_source(error.clone()))
        })?;
        if context.deadline().is_some_and(|deadline| deadline.has_passed(now)) {
            return Err(not_sent(passed()));
        }
        let verb = route.verb();
        let (outgoing, stream) = encode(route, &verb).map_err(not_sent)?;
        let Outgoing { target, content_type, accept, body } = outgoing;
        let mut headers = std::mem::take(context.child(&self.settings.pass_on).outbound_mut());
        // That of the URL; a hook may name another.
        headers.remove(HOST);
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        let stream = stream.map(|(body, form)| {
            headers.extend(form);
            body
        });
        if let Some(accept) = accept {
            headers.insert(ACCEPT, accept);
        }
        if let Some(timeout) = context.deadline().and_then(|deadline| timeout(deadline, now)) {
            headers.insert(GRPC_TIMEOUT, timeout);
        }
        for hook in &self.settings.hooks.before {
            hook(context, &mut headers);
        }
        // Left to the connection, which knows the body: another length would shift what follows.
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
        // Servers may ask for a length where a body is usual. Source: RFC 9110, section 8.6.
        let is_empty = stream.is_none() && body.is_empty();
        if is_empty && matches!(verb, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut request = reqwest::Request::new(verb, self.url(&target).map_err(not_sent)?);
        *request.headers_mut() = headers;
        if !is_empty {
            *request.body_mut() = Some(stream.unwrap_or_else(|| body.into()));
        }
        Ok(request)
    }

    /// The URL of a target, which is a path that begins with a slash, and perhaps a query.
    fn url(&self, target: &str) -> Result<Url, Error> {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        if !path.starts_with('/') {
            return Err(Error::internal(format!("the target {target:?} of a request must begin with a slash")));
        }
        // A URL cannot hold them: whoever parses it goes up the path instead, away from the route.
        let is_dots = |segment: &str| matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | "..");
        if let Some(dots) = path.split(['/', '\\']).find(|segment| is_dots(segment)) {
            return Err(Error::invalid_argument(format!(
                "the path {path:?} has the segment {dots:?}, which cannot be sent"
            )));
        }
        let mut url = self.base.clone();
        match &*self.settings.prefix {
            "" => url.set_path(path),
            prefix => url.set_path(&format!("{prefix}{path}")),
        }
        url.set_query(query);
        Ok(url)
    }

    pub(super) async fn exchange<C, Res>(
        &self,
        codec: &C,
        request: reqwest::Request,
        turn: Turn,
        uploading: Option<&Uploading>,
        finalizing: &mut Finalizing,
    ) -> Result<Response<Res>, Error>
    where
        C: DecodeResponse<Res>,
    {
        let response = self.head(request, turn, uploading, finalizing).await?;
        let status = response.status();
        let (headers, body) = self.read(response).await?;
        let reply = Reply { status, headers, body: body? };
        let message = codec.decode_response(&reply)?;
        Ok(received(message, status, reply.headers))
    }

    /// Sends the request and waits for the head of a success. Any other answer is read, and is an error.
    pub(super) async fn head(
        &self,
        request: reqwest::Request,
        turn: Turn,
        uploading: Option<&Uploading>,
        finalizing: &mut Finalizing,
    ) -> Result<reqwest::Response, Error> {
        let settings = &self.settings;
        let mut head = pin!(self.clients.get().execute(request));
        let mut left = Some(turn.head_timeout);
        let head = loop {
            let Some(limit) = left else { break None };
            if let Some(head) = within(limit, head.as_mut()).await {
                break Some(head);
            }
            // What is still being sent cannot be answered yet.
            let moved = uploading.and_then(Uploading::moved).map(|moved| now().saturating_duration_since(moved));
            left = moved.and_then(|idle| settings.head_timeout.checked_sub(idle)).filter(|left| !left.is_zero());
        };
        let head = head.ok_or_else(|| late("no answer", settings.head_timeout))?;
        let response = head.map_err(|error| reply::unanswered(error, &self.base))?;
        let status = response.status();
        finalizing.status = Some(status);
        for hook in &settings.hooks.after {
            hook(&finalizing.context, status, response.headers());
        }
        if status.is_success() {
            return Ok(response);
        }
        let (headers, body) = self.read(response).await?;
        let reply = Reply { status, headers, body: body.unwrap_or_default() };
        let decoded = settings.hooks.error_decoder.as_ref().and_then(|decode| decode(&reply));
        Err(decoded.unwrap_or_else(|| reply::error(&reply)))
    }

    /// The headers and the whole body, if it ends in time.
    async fn read(&self, response: reqwest::Response) -> Result<(HeaderMap, Result<Bytes, Error>), Error> {
        let Settings { body_timeout, response_limit, .. } = self.settings;
        let read = within(body_timeout, read(response, response_limit)).await;
        read.ok_or_else(|| late("the answer did not end", body_timeout))
    }
}

/// A call whose turn it is: since when, and how long its answer may take from then on.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    now: Instant,
    head_timeout: Duration,
}

/// What the call gives, unless the deadline passes first.
pub(super) async fn until<T>(
    deadline: Option<Deadline>,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match deadline {
        None => call.await,
        Some(deadline) => by(deadline, call).await.unwrap_or_else(|| Err(passed())),
    }
}

/// A response that came under this head.
pub(super) fn received<T>(message: T, status: StatusCode, headers: HeaderMap) -> Response<T> {
    let mut parts = ResponseParts::default();
    parts.headers = headers;
    parts.extensions.insert(status);
    parts.received = true;
    Response::from_parts(message, parts)
}

/// The headers and the whole body, within the limit.
async fn read(mut response: reqwest::Response, limit: usize) -> (HeaderMap, Result<Bytes, Error>) {
    let headers = std::mem::take(response.headers_mut());
    let too_large =
        || Error::internal(format!("the answer is longer than {limit} bytes")).with_reason("ANSWER_TOO_LARGE");
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return (headers, Err(too_large()));
    }
    let mut gathered = Gathered::within(limit);
    loop {
        match response.chunk().await {
            Err(error) => return (headers, Err(reply::broken(error))),
            Ok(None) => return (headers, Ok(gathered.whole())),
            Ok(Some(chunk)) => {
                if let Err(TooLong) = gathered.push(chunk) {
                    return (headers, Err(too_large()));
                }
            }
        }
    }
}

/// The time left, as it goes onto the wire; nothing once it is too short to be told.
fn timeout(deadline: Deadline, now: Instant) -> Option<HeaderValue> {
    HeaderValue::try_from(Timeout(deadline.left(now)).to_string()).ok()
}

pub(super) fn passed() -> Error {
    Error::deadline_exceeded("the deadline of the call has passed")
}

pub(super) fn late(what: &str, limit: Duration) -> Error {
    Error::deadline_exceeded(format!("{what} within {limit:?}"))
}
