//! The two gRPC places, with stock tonic at the other end: a server, and a channel.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use kit_base::{Guard, Tower};
use outside::Trip;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::transport::{Channel, Server, server::TcpIncoming};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;
use tower_layer::Layer;

/// `test.Echo`: `Unary` fails with the code in the message, or echoes 0; `Stream` sends one message, then the code.
#[derive(Clone, Default)]
struct Echo(Arc<AtomicU32>);

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl UnaryService<i32> for Echo {
    type Response = i32;
    type Future = Ready<Result<Response<i32>, Status>>;

    fn call(&mut self, request: Request<i32>) -> Self::Future {
        self.0.fetch_add(1, SeqCst);
        ready(match request.into_inner() {
            0 => Ok(Response::new(0)),
            code => Err(Status::new(code.into(), "no")),
        })
    }
}

impl ServerStreamingService<i32> for Echo {
    type Response = i32;
    type ResponseStream = tokio_stream::Iter<std::vec::IntoIter<Result<i32, Status>>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<i32>) -> Self::Future {
        self.0.fetch_add(1, SeqCst);
        let mut items = vec![Ok(1)];
        match request.into_inner() {
            0 => {}
            code => items.push(Err(Status::new(code.into(), "no"))),
        }
        ready(Ok(Response::new(tokio_stream::iter(items))))
    }
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<i32, i32>::new());
            Ok(match request.uri().path() {
                "/test.Echo/Unary" => grpc.unary(echo, request).await,
                _ => grpc.server_streaming(echo, request).await,
            })
        })
    }
}

async fn unary<S>(service: S, code: Code) -> Result<i32, Status>
where
    S: tonic::client::GrpcService<Body>,
    S::ResponseBody: tonic::codegen::Body<Data = bytes::Bytes> + Send + 'static,
    <S::ResponseBody as tonic::codegen::Body>::Error: Into<tonic::codegen::StdError>,
{
    let mut client = tonic::client::Grpc::new(service);
    client.ready().await.map_err(|_| Status::unknown("not ready"))?;
    let path = PathAndQuery::from_static("/test.Echo/Unary");
    client.unary(Request::new(code as i32), path, ProstCodec::new()).await.map(Response::into_inner)
}

/// Calls the stream and reads it to its end.
async fn stream<S>(service: S, code: Code) -> Result<(), Status>
where
    S: tonic::client::GrpcService<Body>,
    S::ResponseBody: tonic::codegen::Body<Data = bytes::Bytes> + Send + 'static,
    <S::ResponseBody as tonic::codegen::Body>::Error: Into<tonic::codegen::StdError>,
{
    let mut client = tonic::client::Grpc::new(service);
    client.ready().await.map_err(|_| Status::unknown("not ready"))?;
    let path = PathAndQuery::from_static("/test.Echo/Stream");
    let codec = ProstCodec::<i32, i32>::new();
    let mut items = client.server_streaming(Request::new(code as i32), path, codec).await?.into_inner();
    while items.message().await?.is_some() {}
    Ok(())
}

const CASES: [(Code, u32); 4] = [(Code::Unavailable, 3), (Code::Internal, 3), (Code::NotFound, 5), (Code::Ok, 5)];

fn check(n: u32, reached: u32, code: Code, outcome: Result<(), Status>) {
    match outcome {
        Ok(()) => assert!(code == Code::Ok && n < reached, "call {n}"),
        Err(status) if n < reached => assert_eq!((status.code(), status.message()), (code, "no")),
        Err(status) => {
            assert_eq!((status.code(), status.message()), (Code::Unavailable, "tripped"));
            assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "7000");
            let retry_info = status.details().windows(8).any(|window| window == b"RetryInf");
            assert!(retry_info, "no RetryInfo in {:?}", status.details());
        }
    }
}

async fn connect(incoming: &TcpIncoming) -> Channel {
    let addr = incoming.local_addr().unwrap();
    Channel::from_shared(format!("http://{addr}")).unwrap().connect_lazy()
}

fn listen() -> TcpIncoming {
    TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap()
}

#[tokio::test]
async fn a_tonic_server() {
    for streaming in [false, true] {
        for (code, reached) in CASES {
            let (echo, incoming) = (Echo::default(), listen());
            let (calls, channel) = (echo.0.clone(), connect(&incoming).await);
            let layer = Tower::new(Guard::new(Trip::default())).answered();
            let server = Server::builder().layer(layer).add_service(echo).serve_with_incoming(incoming);
            tokio::spawn(server);
            for n in 0..5 {
                let outcome = match streaming {
                    false => unary(channel.clone(), code).await.map(drop),
                    true => stream(channel.clone(), code).await,
                };
                check(n, reached, code, outcome);
            }
            assert_eq!(calls.load(SeqCst), reached);
        }
    }
}

#[tokio::test]
async fn a_tonic_channel() {
    for streaming in [false, true] {
        for (code, reached) in CASES {
            let (echo, incoming) = (Echo::default(), listen());
            let (calls, channel) = (echo.0.clone(), connect(&incoming).await);
            tokio::spawn(Server::builder().add_service(echo).serve_with_incoming(incoming));
            let channel = Tower::new(Guard::new(Trip::default())).answered().layer(channel);
            for n in 0..5 {
                let outcome = match streaming {
                    false => unary(channel.clone(), code).await.map(drop),
                    true => stream(channel.clone(), code).await,
                };
                check(n, reached, code, outcome);
            }
            assert_eq!(calls.load(SeqCst), reached);
        }
    }
}
