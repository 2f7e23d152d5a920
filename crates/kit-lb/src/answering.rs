//! A balancer as a tower service on `http` types, for clients that know nothing of kit.

use bytes::Bytes;
use http_body::Body;
use kit_base::{Answered, AnsweredBody, Endpoint, IntoService, Refusal, ServiceError};

use crate::Balancer;

/// An endpoint over tower services whose refusals are answers; see [`Balancer::into_http_service`].
#[derive(Clone, Debug)]
pub struct Answering<E> {
    inner: E,
}

impl<C, Ch, K> Balancer<C, Ch, K> {
    /// The balancer as a tower service on `http` types, where the connections are tower services in a
    /// [`FromService`](kit_base::FromService): for a client that tonic has generated, for one. That there is no instance is an answer
    /// with status 503 or, for gRPC, with UNAVAILABLE.
    pub fn into_http_service(self) -> IntoService<Answering<Self>> {
        IntoService::new(Answering { inner: self })
    }
}

impl<E, B, B2, Err> Endpoint<http::Request<B>> for Answering<E>
where
    E: Endpoint<http::Request<B>, Response = http::Response<B2>, Error = ServiceError<Err>>,
    B: Send,
    B2: Body<Data = Bytes> + Send,
    Err: Send,
{
    type Response = http::Response<AnsweredBody<B2>>;
    type Error = Err;

    async fn call(&self, request: http::Request<B>) -> Result<Self::Response, Err> {
        let grpc = Refusal::<_, http::Response<B2>, Err>::is_grpc(&Answered, &request);
        Refusal::<http::Request<B>, _, _>::settle(&Answered, grpc, self.inner.call(request).await)
    }
}
