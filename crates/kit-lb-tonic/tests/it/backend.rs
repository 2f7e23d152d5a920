//! tonic's own servers of a service that tonic has generated (that of tonic-health), and its generated client.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use kit_base::Instance;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
pub(crate) use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
pub(crate) use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// Whatever takes longer hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(20);

/// Answers with its number as the status.
struct Numbered(i32);

#[tonic::async_trait]
impl Health for Numbered {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse { status: self.0 }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

/// A server in a runtime of its own, so that it can be killed with all its connections.
pub(crate) struct Backend {
    pub(crate) instance: Instance,
    stop: Option<oneshot::Sender<()>>,
    runtime: Option<Runtime>,
}

impl Backend {
    pub(crate) async fn start(number: i32) -> Self {
        Self::start_at(number, "127.0.0.1:0").await
    }

    pub(crate) async fn start_at(number: i32, address: &str) -> Self {
        let listener = std::net::TcpListener::bind(address).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("its address").to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).expect("a listener"));
            let server = Server::builder().add_service(HealthServer::new(Numbered(number)));
            let stopped = async { drop(stopped.await) };
            server.serve_with_incoming_shutdown(incoming, stopped).await.expect("a server");
        });
        Self { instance: Instance::new(number.to_string(), address), stop: Some(stop), runtime: Some(runtime) }
    }

    /// As by a signal: what runs is finished, and clients are told.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
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

pub(crate) async fn check(channel: &Channel) -> Result<i32, Status> {
    let call = async { HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await };
    Ok(timeout(HANGS, call).await.expect("no hang")?.into_inner().status)
}

/// How many calls each backend got.
pub(crate) async fn served(channel: &Channel, calls: usize) -> BTreeMap<i32, usize> {
    let mut served = BTreeMap::new();
    for _ in 0..calls {
        *served.entry(check(channel).await.expect("an answer")).or_default() += 1;
    }
    served
}

/// Calls until these answer and no others, since the channel takes changes when it is called.
pub(crate) async fn until_served(channel: &Channel, by: &[i32]) {
    let settled = async {
        loop {
            let served = served(channel, 20 * by.len()).await;
            if served.keys().eq(by.iter()) {
                return;
            }
        }
    };
    timeout(HANGS, settled).await.expect("the set changes");
}
