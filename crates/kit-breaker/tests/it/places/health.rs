//! tonic's own server of a service that tonic has generated: that of tonic-health. The name that is asked for says how the
//! call is to end.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// Ends as it is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct AsTold(pub(crate) Arc<AtomicUsize>);

pub(crate) fn word(word: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: word.into() }
}

/// The error that a word stands for: a code, or `busy`, with a push-back of 7.5 s.
fn error(word: &str) -> Status {
    if word == "busy" {
        let mut busy = Status::unavailable("as told");
        busy.metadata_mut().insert("grpc-retry-pushback-ms", "7500".parse().unwrap());
        return busy;
    }
    Status::new(word.parse::<i32>().map_or(Code::Unimplemented, Code::from), "as told")
}

#[tonic::async_trait]
impl Health for AsTold {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        self.0.fetch_add(1, SeqCst);
        match &*request.into_inner().service {
            "ok" => Ok(Response::new(HealthCheckResponse { status: 1 })),
            "hang" => std::future::pending().await,
            "panic" => panic!("as told"),
            word => Err(error(word)),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    /// One message, and then the end that it is told.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.0.fetch_add(1, SeqCst);
        let first = tokio_stream::once(Ok(HealthCheckResponse { status: 1 }));
        let word = request.into_inner().service;
        Ok(Response::new(match &*word {
            "ok" => Box::pin(first),
            "hang" => Box::pin(first.chain(tokio_stream::pending())),
            "panic" => Box::pin(first.map(|_| panic!("as told"))),
            word => Box::pin(first.chain(tokio_stream::once(Err(error(word))))),
        }))
    }
}

/// A server in a runtime of its own, so that it can be killed with all its connections.
pub(crate) struct Backend {
    pub(crate) addr: SocketAddr,
    pub(crate) calls: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

impl Backend {
    pub(crate) fn start() -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into())
    }

    pub(crate) fn start_at(addr: SocketAddr) -> Self {
        let service = AsTold::default();
        let calls = Arc::clone(&service.0);
        Self::serve(addr, calls, |listener| async move {
            let incoming = TcpListenerStream::new(listener);
            let _ = Server::builder().add_service(HealthServer::new(service)).serve_with_incoming(incoming).await;
        })
    }

    pub(crate) fn serve<F: Future<Output = ()> + Send + 'static>(
        addr: SocketAddr,
        calls: Arc<AtomicUsize>,
        serve: impl FnOnce(TcpListener) -> F + Send + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind(addr).unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move { serve(TcpListener::from_std(listener).unwrap()).await });
        Self { addr, calls, runtime: Some(runtime) }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.addr)).unwrap()
    }

    pub(crate) fn channel(&self) -> Channel {
        self.endpoint().connect_lazy()
    }

    /// As by `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.kill();
    }
}
