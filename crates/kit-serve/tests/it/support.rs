//! A running server and plain clients.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kit_serve::{RequestBody, Server, Stats, Stopped};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// No step of a test takes longer, unless something hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(20);

pub(crate) type Body = Full<Bytes>;

/// A server on a free port.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) stats: Stats,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Stopped>,
}

impl Running {
    pub(crate) async fn stop(self) -> Stopped {
        self.begin_stop().await.unwrap()
    }

    pub(crate) fn begin_stop(self) -> JoinHandle<Stopped> {
        self.stop.send(()).unwrap();
        self.task
    }
}

pub(crate) async fn bind() -> Server {
    Server::bind("127.0.0.1:0").await.unwrap()
}

/// Starts serving on a task.
macro_rules! start {
    ($server:expr, $service:expr) => {{
        let server = $server;
        let (addr, stats) = (server.local_addr(), server.stats());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(server.serve($service, async move {
            let _ = stopped.await;
        }));
        $crate::support::Running::new(addr, stats, stop, task)
    }};
}
pub(crate) use start;

impl Running {
    pub(crate) fn new(addr: SocketAddr, stats: Stats, stop: oneshot::Sender<()>, task: JoinHandle<Stopped>) -> Self {
        Self { addr, stats, stop, task }
    }
}

pub(crate) fn text(text: impl Into<Bytes>) -> Response<Body> {
    Response::new(Full::new(text.into()))
}

/// Answers with the request's body, or 413 when it cannot be read.
pub(crate) async fn echo(request: Request<RequestBody>) -> Result<Response<Body>, Infallible> {
    Ok(match request.into_body().collect().await {
        Ok(body) => text(body.to_bytes()),
        Err(error) => {
            let mut response = text(error.to_string());
            *response.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
            response
        }
    })
}

pub(crate) async fn hello(_: Request<RequestBody>) -> Result<Response<Body>, Infallible> {
    Ok(text("hello"))
}

/// A client that writes bytes as they are.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        Self(TcpStream::connect(addr).await.unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// All until the server ends the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        timeout(HANGS, self.0.read_to_end(&mut rest)).await.expect("the connection stays open").unwrap();
        String::from_utf8(rest).unwrap()
    }

    /// As [`rest`](Self::rest), whatever the bytes are, also if the server resets the connection.
    pub(crate) async fn rest_bytes(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = timeout(HANGS, self.0.read_to_end(&mut rest)).await.expect("the connection stays open");
        rest
    }

    /// All up to these bytes.
    pub(crate) async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            let mut byte = [0];
            timeout(HANGS, self.0.read_exact(&mut byte)).await.expect("no answer").unwrap();
            bytes.push(byte[0]);
        }
        bytes
    }

    /// One response that has a content-length.
    pub(crate) async fn response(&mut self) -> String {
        let head = String::from_utf8(self.until(b"\r\n\r\n").await).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        timeout(HANGS, self.0.read_exact(&mut body)).await.expect("no body").unwrap();
        head + std::str::from_utf8(&body).unwrap()
    }
}

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nhost: test\r\n\r\n";

/// A client that speaks HTTP/2 from the first byte on.
pub(crate) async fn http2<B>(addr: SocketAddr) -> hyper::client::conn::http2::SendRequest<B>
where
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(addr).await.unwrap();
    let (client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) fn get(addr: SocketAddr) -> Request<Body> {
    Request::get(format!("http://{addr}/")).body(Body::default()).unwrap()
}

/// Waits for what other tasks bring about, without saying how long that takes.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    timeout(HANGS, async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("never came true");
}

/// Asserts that a client that says no more than this is closed, neither too early nor much too late, whatever it is told.
pub(crate) async fn is_closed_after(addr: SocketAddr, begun: &[u8], limit: Duration) {
    let since = Instant::now();
    let mut raw = Raw::connect(addr).await;
    raw.send(begun).await;
    let mut sink = Vec::new();
    let _ = timeout(HANGS, raw.0.read_to_end(&mut sink)).await.expect("stays open");
    let took = since.elapsed();
    assert!(took >= limit - Duration::from_millis(20) && took < limit + Duration::from_secs(5), "{took:?}");
}
