//! A proxy on a free port, and backends from closures.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use kit_base::{Endpoint, Peer};
use kit_transport_http::{ProxyBody, ReverseProxy};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

/// A server on a free port; dropped, it ends with its connections.
pub(crate) struct Up {
    pub(crate) addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    open: watch::Sender<usize>,
    task: JoinHandle<()>,
}

impl Up {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// How many connections were opened.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many connections are open.
    pub(crate) async fn until_open(&self, count: usize) {
        let mut open = self.open.subscribe();
        let reached = open.wait_for(|open| *open == count);
        tokio::time::timeout(crate::support::HANGS, reached).await.expect("connections open and close").unwrap();
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves this function over both versions of HTTP.
pub(crate) async fn up<F, Fut, B>(answer: F) -> Up
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let opened = Arc::clone(&connections);
    let open = watch::Sender::new(0);
    let opening = open.clone();
    let task = tokio::spawn(async move {
        let mut tasks = JoinSet::new();
        loop {
            let Ok((stream, peer)) = listener.accept().await else { return };
            opened.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(Peer::from(peer));
                let answer = answer(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let open = opening.clone();
            tasks.spawn(async move {
                open.send_modify(|open| *open += 1);
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                open.send_modify(|open| *open -= 1);
            });
        }
    });
    Up { addr, connections, open, task }
}

/// Serves a proxy.
pub(crate) async fn proxied<E, B>(proxy: ReverseProxy<E>) -> Up
where
    ReverseProxy<E>: Endpoint<Request<Incoming>, Response = Response<ProxyBody>, Error = Infallible> + 'static,
    B: Send,
    E: Endpoint<Request<ProxyBody>, Response = Response<B>>,
{
    let proxy = Arc::new(proxy);
    up(move |request| {
        let proxy = Arc::clone(&proxy);
        async move {
            let Ok(answer) = proxy.call(request).await;
            answer
        }
    })
    .await
}

/// A body whose frames a test sends. Dropping the sender ends it.
pub(crate) struct Sent(mpsc::Receiver<Result<Frame<Bytes>, std::io::Error>>);

pub(crate) type Sender = mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>;

pub(crate) fn sent() -> (Sender, Sent) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Sent(receiver))
}

pub(crate) fn data(text: impl Into<Bytes>) -> Result<Frame<Bytes>, std::io::Error> {
    Ok(Frame::data(text.into()))
}

pub(crate) fn trailers(name: &'static str, value: &'static str) -> Result<Frame<Bytes>, std::io::Error> {
    let mut trailers = HeaderMap::new();
    trailers.insert(name, value.parse().unwrap());
    Ok(Frame::trailers(trailers))
}

impl Body for Sent {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(cx)
    }
}
