//! Two services to call, one over HTTP and one over gRPC, that fail while they are told so.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;

/// Both services, on free ports of 127.0.0.1. Dropping it ends them.
#[derive(Debug)]
pub struct Services {
    /// Where the quotes service is.
    pub quotes: String,
    /// Where the health service is.
    pub health: String,
    /// Whether they fail.
    pub ill: Arc<AtomicBool>,
    /// How many calls have reached them, both together.
    pub calls: Arc<AtomicUsize>,
    _running: JoinSet<()>,
}

impl Services {
    /// Starts them.
    ///
    /// # Errors
    /// The system has no port left.
    pub async fn start() -> io::Result<Self> {
        let (ill, calls, mut running) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default(), JoinSet::new());
        let fails = {
            let (ill, calls) = (Arc::clone(&ill), Arc::clone(&calls));
            move || {
                calls.fetch_add(1, SeqCst);
                ill.load(SeqCst)
            }
        };

        let (listener, quotes) = listen().await?;
        let answers = fails.clone();
        let app = Router::new().route(
            "/",
            get(async move || match answers() {
                true => (StatusCode::SERVICE_UNAVAILABLE, "out for lunch\n"),
                false => (StatusCode::OK, "simplicity is prerequisite for reliability\n"),
            }),
        );
        running.spawn(async {
            // It ends with the task.
            let _ = axum::serve(listener, app).await;
        });

        let (listener, health) = listen().await?;
        let (_reporter, server) = tonic_health::server::health_reporter();
        let server = InterceptedService::new(server, move |request| match fails() {
            true => Err(Status::unavailable("out for lunch")),
            false => Ok(request),
        });
        let serving = Server::builder().add_service(server).serve_with_incoming(TcpListenerStream::new(listener));
        running.spawn(async {
            let _ = serving.await;
        });
        Ok(Self { quotes, health, ill, calls, _running: running })
    }
}

pub(crate) async fn listen() -> io::Result<(TcpListener, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}
