//! Where hyper hands in requests: limits first, then the service.

use std::convert::Infallible;
use std::sync::Arc;

use http::uri::Scheme;
use http::{HeaderMap, Request, Response, header};
use http_body::Body;
use hyper::body::Incoming;

use crate::answer::Answer;
use crate::error::BoxError;
use crate::link::{InFlight, Link};
use crate::own::{Asked, Own};
use crate::request_body::RequestBody;
use crate::response_body::ResponseBody;
use crate::target;
use crate::waiting::{Patience, Wait};

/// The user's service as hyper calls it, for one connection.
#[derive(Debug)]
pub(crate) struct Entry<S> {
    service: S,
    link: Arc<Link>,
    spare: Arc<Wait>,
}

impl<S> Entry<S> {
    pub(crate) fn new(service: S, link: Arc<Link>) -> Self {
        let spare = Wait::new(&link.shared);
        Self { service, link, spare }
    }

    /// Why the service shall not see a request.
    fn refusal(&self, request: &Request<Incoming>) -> Option<Own> {
        let limits = &self.link.shared.limits;
        if request.headers().len() > limits.headers && lines(request.headers()) > limits.headers {
            // Over HTTP/1 hyper has refused it already.
            return Some(Own::TooManyHeaders);
        }
        if let Some(own) = target::refusal(request) {
            return Some(own);
        }
        let limit = u64::try_from(limits.body_bytes?).unwrap_or(u64::MAX);
        (request.body().size_hint().lower() > limit).then_some(Own::TooLarge)
    }

    /// Who measures how long the service waits for a body, if anybody wants to know.
    fn wait(&self, asked: Asked) -> Option<Arc<Wait>> {
        let limits = &self.link.shared.limits;
        let measured = limits.body_rate.is_some() || limits.request_timeout.is_some();
        (asked.has_body && measured).then(|| Wait::take(&self.spare))
    }
}

/// The number of header lines. Over HTTP/2 each cookie may have a line of its own, as browsers do it, and all count as the
/// one that they are (RFC 9113, 8.2.3).
fn lines(headers: &HeaderMap) -> usize {
    headers.len() - headers.get_all(header::COOKIE).iter().count().saturating_sub(1)
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Entry<S>
where
    S: tower_service::Service<Request<RequestBody>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
    B: Body,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = Infallible;
    type Future = Answer<S>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_flight = InFlight::begin(&self.link);
        let asked = Asked::by(&request);
        if let Some(own) = self.refusal(&request) {
            return Answer::refused(own, in_flight, asked);
        }
        if asked.is_grpc() {
            self.link.activity.set_grpc();
        }
        let limits = &self.link.shared.limits;
        let wait = self.wait(asked);
        let mut request = request.map(|incoming| {
            RequestBody::new(
                incoming,
                limits.body_bytes,
                wait.clone().map(|wait| Patience::new(wait, asked.must_hurry())),
            )
        });
        target::settle_host(&mut request);
        let peer = self.link.peer_of(request.headers());
        request.extensions_mut().insert(peer);
        if self.link.is_secure {
            request.extensions_mut().insert(Scheme::HTTPS);
        }
        Answer::new(self.service.clone(), request, in_flight, asked, wait)
    }
}
