//! The way of one request through a proxy.

use std::pin::pin;
use std::time::Instant;

use http::header::{CONTENT_LENGTH, HOST, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, request, response};
use http_body::Body as HttpBody;
use kit_base::wire::{GRPC_TIMEOUT, is_grpc};
use kit_base::{Context, Deadline, Endpoint, Error, Operation, Peer, RequestParts, Timeout, catch_panic};

use super::body::ProxyBody;
use super::download::Download;
use super::failure::{self, BAD_GATEWAY, BackendError, BoxError, GATEWAY_TIMEOUT, REQUEST_TIMEOUT, broken_upload};
use super::headers::{check_length, is_bodiless, join_cookies, strip_hop_by_hop};
use super::hooks::Finalizing;
use super::upload::{Upload, UploadBody};
use super::{ReverseProxy, Settings};
use crate::RequestInfo;
use crate::within::now;

/// The head of a request, as it came.
struct Arrived {
    headers: HeaderMap,
    operation: Option<Operation>,
    peer: Option<Peer>,
}

impl<E> ReverseProxy<E> {
    pub(super) async fn forward<B, B2>(&self, request: Request<B>) -> Response<ProxyBody>
    where
        B: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
        E: Endpoint<Request<ProxyBody>, Response = Response<B2>, Error: BackendError>,
        B2: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let started = now();
        let deadline = request.deadline(started);
        let (head, body) = request.into_parts();
        let request::Parts { method, uri, version, mut headers, extensions, .. } = head;
        let grpc = is_grpc(&headers);
        let arrived_headers = if self.hooks.is_empty() { HeaderMap::new() } else { headers.clone() };
        strip_hop_by_hop(&mut headers);
        join_cookies(&mut headers);
        let host = uri.authority().and_then(|host| HeaderValue::try_from(without_user(host.as_str())).ok());
        let host = host.or_else(|| headers.get(HOST).cloned());
        self.settings.forwarding.write(&mut headers, &extensions, host.as_ref(), version);
        headers.remove(HOST);
        if let (Some(host), true) = (host, self.settings.keep_host) {
            headers.insert(HOST, host);
        }
        let arrived = Arrived { headers, operation: extensions.get().cloned(), peer: extensions.get().cloned() };
        let mut context = match self.hooks.is_empty() {
            true => Context::new(),
            false => Context::received(arrived_headers, extensions),
        };
        if let Some(operation) = arrived.operation.clone() {
            context = context.with_operation(operation);
        }
        if let Some(deadline) = deadline {
            context = context.with_deadline(deadline);
        }
        let mut finalizing = Finalizing::new(&self.hooks, RequestInfo { method, uri, version }, context, started);
        let caught = catch_panic(async || self.exchange(arrived, body, &mut finalizing, started).await).await;
        match caught {
            Ok((head, body)) => {
                finalizing.status = Some(head.status);
                if body.is_end_stream() || is_bodiless(&finalizing.info().method, head.status) {
                    finalizing.finish(None);
                    return Response::from_parts(head, ProxyBody::default());
                }
                let deadline = finalizing.context.deadline();
                let body = ProxyBody::streamed(Download::new(body, deadline, finalizing, grpc));
                Response::from_parts(head, body)
            }
            Err(error) => answer(&error, grpc, finalizing),
        }
    }

    async fn exchange<B, B2>(
        &self,
        arrived: Arrived,
        body: B,
        finalizing: &mut Finalizing,
        started: Instant,
    ) -> Result<(response::Parts, B2), Error>
    where
        B: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
        E: Endpoint<Request<ProxyBody>, Response = Response<B2>, Error: BackendError>,
        B2: HttpBody,
    {
        let (mut head, ()) = Request::new(()).into_parts();
        head.uri = self.base.join(target(finalizing.info())?)?;
        head.method = finalizing.info().method.clone();
        head.headers = arrived.headers;
        if let Some(operation) = arrived.operation {
            head.extensions.insert(operation);
        }
        if let Some(peer) = arrived.peer {
            head.extensions.insert(peer);
        }
        check_length(&mut head.headers, &body.size_hint());
        for hook in &self.hooks.before {
            hook(&mut finalizing.context, &mut head);
        }
        let deadline = finalizing.context.deadline();
        if let Some(deadline) = deadline {
            let now = now();
            if deadline.has_passed(now) {
                return Err(passed());
            }
            head.extensions.insert(deadline);
            if let Ok(left) = HeaderValue::try_from(Timeout(deadline.left(now)).to_string()) {
                head.headers.insert(GRPC_TIMEOUT, left);
            }
        }
        let (upload, body) = match body.is_end_stream() {
            true => (None, ProxyBody::default()),
            false => {
                let upload = Upload::new(started);
                head.extensions.insert(upload.clone());
                (Some(upload.clone()), ProxyBody::streamed(UploadBody::new(body, Some(upload))))
            }
        };
        let call = self.endpoint.call(Request::from_parts(head, body));
        let (mut head, body) = self.settings.wait(call, upload, deadline, started).await?.into_parts();
        // What is switched to would have to be carried, and nobody has asked for it: `Upgrade` was not sent.
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::unavailable("the backend switches protocols unasked").with_reason(BAD_GATEWAY));
        }
        head.version = Version::HTTP_11;
        strip_hop_by_hop(&mut head.headers);
        if !is_bodiless(&finalizing.info().method, head.status) {
            check_length(&mut head.headers, &body.size_hint());
        }
        for hook in &self.hooks.after {
            hook(&finalizing.context, &mut head);
        }
        Ok((head, body))
    }
}

impl Settings {
    /// The head of the answer, as long as something moves.
    async fn wait<Res, Err: BackendError>(
        &self,
        call: impl Future<Output = Result<Res, Err>>,
        upload: Option<Upload>,
        deadline: Option<Deadline>,
        started: Instant,
    ) -> Result<Res, Error> {
        let mut call = pin!(call);
        let limit = || upload.as_ref().and_then(Upload::moved).unwrap_or(started).checked_add(self.head_timeout);
        loop {
            let until = limit().into_iter().chain(deadline.map(Deadline::instant)).min();
            let done = match until {
                None => Some(call.as_mut().await),
                Some(until) => tokio::time::timeout_at(until.into(), call.as_mut()).await.ok(),
            };
            if let Some(done) = done {
                return done.map_err(|error| match broken_upload(upload.as_ref()) {
                    // Nobody counts it any more: told as it is told below.
                    Some(slow) if slow.reason() == Some(REQUEST_TIMEOUT) => {
                        Error::deadline_exceeded(slow.message().to_owned()).with_reason(REQUEST_TIMEOUT)
                    }
                    Some(broken) => broken,
                    None => error.into_error(),
                });
            }
            let now = now();
            if deadline.is_some_and(|deadline| deadline.has_passed(now)) {
                return Err(passed());
            }
            if limit().is_some_and(|limit| limit <= now) {
                let timeout = self.head_timeout;
                return Err(match upload.is_some_and(|upload| upload.waits_for_client()) {
                    true => Error::deadline_exceeded(format!("nothing of the body came within {timeout:?}"))
                        .with_reason(REQUEST_TIMEOUT),
                    false => Error::deadline_exceeded(format!("the backend did not answer within {timeout:?}"))
                        .with_reason(GATEWAY_TIMEOUT),
                });
            }
        }
    }
}

/// The path and query that are asked for.
fn target(info: &RequestInfo) -> Result<&PathAndQuery, Error> {
    let target = info.uri.path_and_query().filter(|target| target.path().starts_with('/'));
    let unsupported = || Error::unimplemented(format!("{} {} cannot be passed on", info.method, info.uri));
    target.filter(|_| info.method != Method::CONNECT).ok_or_else(unsupported)
}

fn without_user(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// The proxy's own answer.
fn answer(error: &Error, grpc: bool, mut finalizing: Finalizing) -> Response<ProxyBody> {
    let mut answer = if grpc { error.to_grpc_answer() } else { error.to_http_answer_as(failure::status(error)) };
    if finalizing.info().method == Method::HEAD {
        let length = HeaderValue::from(answer.body().len());
        answer.headers_mut().insert(CONTENT_LENGTH, length);
        answer.body_mut().clear();
    }
    finalizing.status = Some(answer.status());
    finalizing.bytes = answer.body().len() as u64;
    finalizing.finish(Some(error));
    answer.map(ProxyBody::from)
}

pub(super) fn passed() -> Error {
    Error::deadline_exceeded("the deadline of the call has passed")
}
