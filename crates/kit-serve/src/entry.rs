//! Where hyper hands in requests: limits first, then the service.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;

use crate::answer::Answer;
use crate::error::BoxError;
use crate::link::{InFlight, Link};
use crate::request_body::RequestBody;
use crate::response_body::ResponseBody;
use crate::target;

/// The user's service as hyper calls it, for one connection.
#[derive(Debug)]
pub(crate) struct Entry<S> {
    service: S,
    link: Arc<Link>,
}

impl<S> Entry<S> {
    pub(crate) fn new(service: S, link: Arc<Link>) -> Self {
        Self { service, link }
    }

    /// The status for a request that the service shall not see.
    fn refusal(&self, request: &Request<Incoming>) -> Option<StatusCode> {
        let limits = &self.link.shared.limits;
        if request.headers().len() > limits.headers {
            // Over HTTP/1 hyper has refused it already.
            return Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        if let Some(status) = target::refusal(request) {
            return Some(status);
        }
        let limit = u64::try_from(limits.body_bytes?).unwrap_or(u64::MAX);
        (request.body().size_hint().lower() > limit).then_some(StatusCode::PAYLOAD_TOO_LARGE)
    }
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
        if let Some(status) = self.refusal(&request) {
            // Over HTTP/2 only the stream ends, and `connection` is not allowed there.
            return Answer::refused(status, request.version() < Version::HTTP_2, in_flight);
        }
        let limit = self.link.shared.limits.body_bytes;
        let mut request = request.map(|incoming| RequestBody::new(incoming, limit));
        target::settle_host(&mut request);
        request.extensions_mut().insert(self.link.peer.clone());
        Answer::new(self.service.clone(), request, in_flight)
    }
}
