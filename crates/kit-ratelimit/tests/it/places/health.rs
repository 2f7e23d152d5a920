//! tonic's own server of a service that tonic has generated: that of tonic-health. The name that is asked for says how the
//! call is to end.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::codegen::{Body, Bytes, Service, StdError};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// tonic's server behind this layer.
macro_rules! behind {
    ($layer:expr) => {{
        let layer = $layer;
        $crate::places::health::Backend::serve(Default::default(), |service, incoming| async move {
            let server = tonic::transport::Server::builder().layer(layer).add_service(service);
            let _ = server.serve_with_incoming(incoming).await;
        })
    }};
}
pub(super) use behind;

/// Ends as it is told, and counts.
#[derive(Clone, Debug, Default)]
pub(super) struct AsTold(pub(super) Arc<AtomicUsize>);

pub(super) fn word(word: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: word.into() }
}

/// The error that a word stands for: a code, or `busy`: a server whose own limit was reached.
fn error(word: &str) -> Status {
    if word == "busy" {
        let mut busy = Status::resource_exhausted("as told");
        busy.metadata_mut().insert("grpc-retry-pushback-ms", "7500".parse().unwrap());
        busy.metadata_mut().insert("ratelimit", r#""theirs";r=0;t=8"#.parse().unwrap());
        return busy;
    }
    Status::new(word.parse::<i32>().map_or(Code::Unimplemented, Code::from), "as told")
}

#[tonic::async_trait]
impl Health for AsTold {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        self.0.fetch_add(1, SeqCst);
        match &*request.into_inner().service {
            "ok" => {
                let mut response = Response::new(HealthCheckResponse { status: 1 });
                response.metadata_mut().insert("x-own", "1".parse().unwrap());
                Ok(response)
            }
            "hang" => std::future::pending().await,
            word => Err(error(word)),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    /// Three messages, and then the end that it is told.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.0.fetch_add(1, SeqCst);
        let first = tokio_stream::iter((0..3).map(|status| Ok(HealthCheckResponse { status })));
        let word = request.into_inner().service;
        Ok(Response::new(match &*word {
            "ok" => Box::pin(first),
            "hang" => Box::pin(first.chain(tokio_stream::pending())),
            word => Box::pin(first.chain(tokio_stream::once(Err(error(word))))),
        }))
    }
}

/// What generated clients ask of a service, under one name.
pub(crate) trait Over:
    Service<
        http::Request<tonic::body::Body>,
        Response = http::Response<Self::Body>,
        Error: Into<StdError> + Debug,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
    type Body: Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static;
}

impl<T, B> Over for T
where
    T: Service<http::Request<tonic::body::Body>, Response = http::Response<B>> + Clone + Send + 'static,
    T::Error: Into<StdError> + Debug,
    T::Future: Send,
    B: Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    type Body = B;
}

/// A server in a runtime of its own.
pub(super) struct Backend {
    pub(super) addr: SocketAddr,
    pub(super) calls: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

impl Backend {
    /// tonic's server without a layer.
    pub(super) fn start() -> Self {
        behind!(tower_layer::Identity::new())
    }

    pub(super) fn serve<F: Future<Output = ()> + Send + 'static>(
        service: AsTold,
        serve: impl FnOnce(HealthServer<AsTold>, TcpListenerStream) -> F + Send + 'static,
    ) -> Self {
        let calls = Arc::clone(&service.0);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
            serve(HealthServer::new(service), incoming).await;
        });
        Self { addr, calls, runtime: Some(runtime) }
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.addr)).unwrap()
    }

    pub(super) fn channel(&self) -> Channel {
        self.endpoint().connect_lazy()
    }

    pub(super) fn reached(&self) -> usize {
        self.calls.load(SeqCst)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
