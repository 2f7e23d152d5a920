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
    /// with status 503 or, for gRPC, with UNAVAILABLE; that nothing is known yet when the call's deadline passes, with 504 or
    /// DEADLINE_EXCEEDED. An answer that streams counts as in flight until its end.
    ///
    /// ```
    /// use kit_base::Instance;
    /// use kit_lb::Endpointer;
    /// use tonic::transport::{Endpoint, Error};
    /// use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?.to_string();
    /// # let (_reporter, health) = tonic_health::server::health_reporter();
    /// # let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    /// # tokio::spawn(tonic::transport::Server::builder().add_service(health).serve_with_incoming(incoming));
    /// # let instancer = kit_lb::Fixed::at([address]);
    /// let set = Endpointer::services(instancer, |instance: &Instance| {
    ///     Ok::<_, Error>(Endpoint::from_shared(format!("http://{}", instance.address))?.connect_lazy())
    /// });
    /// let mut client = HealthClient::new(set.balancer().into_http_service());
    ///
    /// let answer = client.check(HealthCheckRequest::default()).await?;
    /// assert_eq!(answer.into_inner().status, 1);
    /// # Ok(())
    /// # }
    /// ```
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
