//! Messages, endpoints from closures, and a server on a free port.

use std::error::Error as StdError;
use std::future::Future;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use kit_base::{Endpoint, Error, Operation, Request, Response, Shape, Unary};
use kit_transport_grpc::{Connected, Connections, GrpcClient, GrpcServer, Prost};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tower_service::Service;

/// No step of a test takes longer, unless something hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(20);

/// A text and some bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Note {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn note(text: impl Into<String>) -> Note {
    Note { text: text.into(), payload: Vec::new() }
}

/// An async closure as an endpoint of this shape.
pub(crate) struct By<F, S = Unary>(F, PhantomData<S>);

pub(crate) fn by<F>(call: F) -> By<F> {
    By(call, PhantomData)
}

/// The same of any shape.
pub(crate) fn shaped<S, F>(call: F) -> By<F, S> {
    By(call, PhantomData)
}

impl<S, F, Fut, Req, Res, E> Endpoint<Request<Req, S>> for By<F, S>
where
    S: Shape,
    F: Fn(Request<Req, S>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Response<Res>, E>> + Send,
    Req: Send,
    Res: Send,
    E: Send,
{
    type Response = Response<Res>;
    type Error = E;

    fn call(&self, request: Request<Req, S>) -> impl Future<Output = Result<Response<Res>, E>> + Send {
        (self.0)(request)
    }
}

/// The operation that most tests call.
pub(crate) fn echo() -> Operation {
    Operation::new("test.Notes", "Echo")
}

/// A server that answers `Echo` by this closure.
pub(crate) fn echoing<F, Fut>(call: F) -> GrpcServer
where
    F: Fn(Request<Note>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response<Note>, Error>> + Send + 'static,
{
    GrpcServer::new().endpoint(echo(), by(call))
}

/// A server on a free port. Dropped, it is gone, and so are its connections.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    accepting: JoinHandle<()>,
    accepted: Arc<AtomicUsize>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Running {
    /// Serves each connection like this.
    pub(crate) async fn accepting<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("its address");
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.set_nodelay(true);
                connections.spawn(serve(stream));
            }
        });
        Self { addr, accepting, accepted }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn client(&self) -> GrpcClient {
        GrpcClient::new(self.url()).expect("a client")
    }

    /// The endpoint that calls `Echo` there.
    pub(crate) fn echo(&self) -> Connected<Connections, Prost, Note, Note> {
        self.client().endpoint(echo())
    }
}

pub(crate) async fn serve(server: GrpcServer) -> Running {
    serve_service(server.build().expect("a service")).await
}

pub(crate) async fn serve_service<S, B>(service: S) -> Running
where
    S: Service<http::Request<Incoming>, Response = http::Response<B>, Future: Send> + Clone + Send + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    B: Body<Data: Send, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static,
{
    Running::accepting(move |stream| {
        let service = TowerToHyperService::new(service.clone());
        async move {
            let builder = Builder::new(TokioExecutor::new());
            // How it ended is seen by whoever called.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await
}
