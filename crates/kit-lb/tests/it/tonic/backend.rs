//! tonic's own servers of a service that tonic has generated: that of tonic-health.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use kit_base::Instance;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// Answers with its number as the status; a stream does so as often as it is told, and then waits.
struct Numbered {
    number: i32,
    calls: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl Health for Numbered {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        self.calls.fetch_add(1, SeqCst);
        match &*request.into_inner().service {
            "hang" => std::future::pending().await,
            "busy" => Err(Status::resource_exhausted("as told")),
            _ => Ok(Response::new(HealthCheckResponse { status: self.number })),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.calls.fetch_add(1, SeqCst);
        let (sender, receiver) = mpsc::channel(8);
        let answer = HealthCheckResponse { status: self.number };
        tokio::spawn(async move {
            let _ = sender.send(Ok(answer)).await;
            match &*request.into_inner().service {
                "fail" => drop(sender.send(Err(Status::internal("as told"))).await),
                "end" => {}
                _ => sender.closed().await,
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// A server in a runtime of its own, so that it can be killed with all its connections.
pub(crate) struct Backend {
    pub(crate) instance: Instance,
    pub(crate) calls: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

impl Backend {
    pub(crate) fn start(number: i32) -> Self {
        Self::start_at(number, "127.0.0.1:0")
    }

    pub(crate) fn start_at(number: i32, address: &str) -> Self {
        let listener = std::net::TcpListener::bind(address).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("its address").to_string();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let calls = Arc::new(AtomicUsize::new(0));
        let numbered = Numbered { number, calls: Arc::clone(&calls) };
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).expect("a listener"));
            Server::builder().add_service(HealthServer::new(numbered)).serve_with_incoming(incoming).await
        });
        Self { instance: Instance::new(number.to_string(), address), calls, runtime: Some(runtime) }
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
