//! One call: child context, encoding, sending, reading, decoding, all within the deadline.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method};
use kit_base::wire::GRPC_TIMEOUT;
use kit_base::{Context, Deadline, Error, Origin, Request, Response, ResponseParts, Timeout};
use reqwest::Url;

use super::Remote;
use super::hooks::Finalizing;
use super::reply;
use crate::foreign::Foreign;
use crate::gathered::{Gathered, TooLong};
use crate::within::{by, now, within};
use crate::{DecodeResponse, EncodeRequest, Outgoing, Reply};

impl Remote {
    pub(super) async fn call<C, Req, Res>(&self, codec: &C, request: Request<Req>) -> Result<Response<Res>, Error>
    where
        C: EncodeRequest<Req> + DecodeResponse<Res>,
    {
        let started = now();
        let (context, message) = request.into_parts();
        let context = context.with_operation(self.operation.clone());
        let mut finalizing = Finalizing::new(&self.settings.hooks, &context, started);
        let prepared = self.prepare(codec, &context, &message, started);
        // Dropped before the wait, so that it need not be `Sync`.
        drop(message);
        let outcome = match prepared {
            Err(error) => Err(error),
            Ok(request) => {
                let exchange = self.exchange(codec, &context, request, &mut finalizing);
                match context.deadline() {
                    None => exchange.await,
                    Some(deadline) => by(deadline, exchange).await.unwrap_or_else(|| Err(passed())),
                }
            }
        };
        finalizing.finish(outcome.as_ref().err());
        outcome
    }

    /// The request as it will be sent.
    fn prepare<C, Req>(
        &self,
        codec: &C,
        context: &Context,
        message: &Req,
        now: Instant,
    ) -> Result<reqwest::Request, Error>
    where
        C: EncodeRequest<Req>,
    {
        let not_sent = |error: Error| error.with_origin(Origin::NotSent);
        let route = self.route.as_ref().map_err(|error| {
            let message = format!("{} cannot be called", self.operation);
            not_sent(Error::internal(message).with_source(error.clone()))
        })?;
        if context.deadline().is_some_and(|deadline| deadline.has_passed(now)) {
            return Err(not_sent(passed()));
        }
        let verb = route.verb();
        let Outgoing { target, content_type, accept, body } =
            codec.encode_request(route, &verb, message).map_err(not_sent)?;
        let mut headers = std::mem::take(context.child(&self.settings.pass_on).outbound_mut());
        // That of the URL; a hook may name another.
        headers.remove(HOST);
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
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
        if body.is_empty() && matches!(verb, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut request = reqwest::Request::new(verb, self.url(&target).map_err(not_sent)?);
        *request.headers_mut() = headers;
        if !body.is_empty() {
            *request.body_mut() = Some(body.into());
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

    async fn exchange<C, Res>(
        &self,
        codec: &C,
        context: &Context,
        request: reqwest::Request,
        finalizing: &mut Finalizing<'_>,
    ) -> Result<Response<Res>, Error>
    where
        C: DecodeResponse<Res>,
    {
        let settings = &self.settings;
        // The place is given back when the answer has been read.
        let (_place, head_timeout) = match &settings.limit {
            None => (None, settings.head_timeout),
            Some(limit) => {
                let (place, left) = limit.enter(context.deadline(), settings.head_timeout).await?;
                (Some(place), left)
            }
        };
        let head = self.clients.get().execute(request);
        let head = within(head_timeout, head).await;
        let head = head.ok_or_else(|| late("no answer", settings.head_timeout))?;
        let response = head.map_err(|error| reply::unsent(error, &self.base))?;
        let status = response.status();
        finalizing.status = Some(status);
        for hook in &settings.hooks.after {
            hook(context, status, response.headers());
        }
        let reading = read(response, settings.response_limit);
        let read = within(settings.body_timeout, reading).await;
        let (headers, body) = read.ok_or_else(|| late("the answer did not end", settings.body_timeout))?;
        if !status.is_success() {
            let reply = Reply { status, headers, body: body.unwrap_or_default() };
            let decoded = settings.hooks.error_decoder.as_ref().and_then(|decode| decode(&reply));
            return Err(decoded.unwrap_or_else(|| reply::error(&reply)));
        }
        let reply = Reply { status, headers, body: body? };
        let message = codec.decode_response(&reply)?;
        let mut parts = ResponseParts::default();
        parts.headers = reply.headers;
        parts.extensions.insert(status);
        parts.extensions.insert(Foreign);
        Ok(Response::from_parts(message, parts))
    }
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

fn passed() -> Error {
    Error::deadline_exceeded("the deadline of the call has passed")
}

fn late(what: &str, limit: Duration) -> Error {
    Error::deadline_exceeded(format!("{what} within {limit:?}"))
}
