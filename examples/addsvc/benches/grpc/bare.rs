//! The service on bare tonic: what tonic's generator writes for it, server and client, by hand.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::server::{NamedService, UnaryService};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::Service;

use crate::service::{SumReply, SumRequest, sum};

type Boxed<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// The generated trait's implementation.
#[derive(Debug, Default)]
struct Adder;

impl Adder {
    async fn sum(&self, request: Request<SumRequest>) -> Result<Response<SumReply>, Status> {
        Ok(Response::new(sum(request.into_inner())))
    }
}

/// The generated server.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddServer(Arc<Adder>);

impl NamedService for AddServer {
    const NAME: &'static str = "pb.Add";
}

struct SumSvc(Arc<Adder>);

impl UnaryService<SumRequest> for SumSvc {
    type Response = SumReply;
    type Future = Boxed<Response<SumReply>, Status>;

    fn call(&mut self, request: Request<SumRequest>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        // As the generator does for a trait of async functions: one box for the trait's, one for the service's.
        let method: Boxed<_, _> = Box::pin(async move { inner.sum(request).await });
        Box::pin(method)
    }
}

impl<B> Service<http::Request<B>> for AddServer
where
    B: http_body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        match request.uri().path() {
            "/pb.Add/Sum" => {
                let inner = Arc::clone(&self.0);
                Box::pin(async move {
                    let mut grpc = tonic::server::Grpc::new(ProstCodec::default());
                    Ok(grpc.unary(SumSvc(inner), request).await)
                })
            }
            _ => {
                let missing: Ready<_> = ready(Ok(Status::unimplemented("").into_http()));
                Box::pin(missing)
            }
        }
    }
}

/// The generated client's method.
pub(crate) async fn call(channel: &Channel, request: SumRequest) -> Result<SumReply, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Status::unknown(format!("Service was not ready: {error}")))?;
    let codec = ProstCodec::<SumRequest, SumReply>::default();
    let path = PathAndQuery::from_static("/pb.Add/Sum");
    Ok(grpc.unary(Request::new(request), path, codec).await?.into_inner())
}
