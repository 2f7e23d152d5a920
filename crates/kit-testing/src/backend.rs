//! A scripted HTTP/1.1 backend on a free loopback port.

mod connection;
mod reply;
mod script;
mod shared;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use self::shared::Shared;

pub use self::reply::Reply;
pub use self::script::Script;

/// An HTTP/1.1 server that answers as it is told, and remembers what it was asked.
///
/// ```
/// use std::time::Duration;
///
/// use kit_testing::backend::{Backend, Reply};
/// use kit_testing::http::raw_response;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let backend = Backend::start([
///     Reply::status(503).header("retry-after", "1"),
///     Reply::ok().body("hello").after(Duration::from_millis(5)),
/// ])
/// .await?;
///
/// let request = b"GET /greeting HTTP/1.1\r\nhost: a\r\n\r\n";
/// assert_eq!(raw_response(backend.addr(), request).await?.status(), 503);
/// assert_eq!(raw_response(backend.addr(), request).await?.body(), "hello");
/// assert_eq!(backend.requests()[0].uri(), "/greeting");
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
///
/// Connections stay open from one request to the next, as HTTP/1.1 has it, and share one script. Requests are
/// recorded when their body has arrived, before the answer. The first 10,000 are kept, all are counted; a head over
/// 256 KiB or a body over 256 MiB ends the connection.
///
/// It runs on the runtime that called [`start`](Self::start), and on tokio's clock, so delays pass at once in a test
/// whose clock is paused. *Drop* ends it with its port and all connections, as soon as the runtime runs again;
/// [`stop`](Self::stop) waits for that.
#[derive(Debug)]
pub struct Backend {
    addr: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
}

impl Backend {
    /// Starts a backend on a free port of 127.0.0.1. The script is one [`Reply`] for everything, a list whose last one
    /// is repeated, or [`Script::by`] a function of the request.
    ///
    /// # Errors
    ///
    /// When the system has no port left.
    pub async fn start(script: impl Into<Script>) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0), script).await
    }

    /// Starts a backend at an address, for one that comes back where it was: [`stop`](Self::stop) it, and start another
    /// at its [`addr`](Self::addr).
    ///
    /// # Errors
    ///
    /// When the address is taken or does not exist.
    pub async fn start_at(addr: impl ToSocketAddrs, script: impl Into<Script>) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::new(script.into()));
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(listener, shared.clone(), stopped));
        Ok(Self { addr, shared, server, stop: Some(stop) })
    }

    /// Ends it: when this returns, the port refuses connections and those that were open are closed.
    ///
    /// *Cancellation:* as a drop.
    pub async fn stop(mut self) {
        self.stop = None;
        // An error is a panic in a script, which has been reported, or the end of the runtime.
        let _ = (&mut self.server).await;
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The requests so far, in order of arrival. Their URI is what stood in the request line.
    #[must_use]
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        self.shared.requests()
    }

    /// Waits until `n` requests have arrived since the start, and returns all so far.
    ///
    /// It waits for ever if they do not come. *Cancellation:* nothing is lost.
    pub async fn received(&self, n: usize) -> Vec<Request<Bytes>> {
        self.shared.until(|counts| counts.received >= n).await;
        self.requests()
    }

    /// How many requests were given up: the client closed its side before the answer, as scripted, was written.
    #[must_use]
    pub fn abandoned(&self) -> usize {
        self.shared.counts().abandoned
    }

    /// Waits until `n` requests have been given up since the start.
    ///
    /// It waits for ever if they are not. *Cancellation:* nothing is lost.
    pub async fn until_abandoned(&self, n: usize) {
        self.shared.until(|counts| counts.abandoned >= n).await;
    }

    /// How many connections were opened.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.counts().connections
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        // The task owns the listener and the set of connections.
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    tokio::select! {
        () = accept(&listener, &shared, &mut connections) => {}
        _ = stopped => {}
    }
    drop(listener);
    connections.shutdown().await;
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>, connections: &mut JoinSet<()>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                shared.connected();
                connections.spawn(connection::serve(stream, shared.clone()));
            }
            // One connection's error, or a lack of descriptors, which lasts: better not to spin.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}
