//! A TCP proxy before the agent that counts requests and open connections, and can be slow.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use kit_testing::ports;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::double::SOON;

/// What stands in each request that is counted.
const REQUEST: &[u8] = b"GET /v1/health/service/";

#[derive(Debug)]
pub(crate) struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    requests: AtomicUsize,
    open: AtomicUsize,
    /// Bytes of an answer that pass in 10 ms; 0 for all.
    rate: AtomicU64,
}

impl Proxy {
    pub(crate) fn start(agent: &str) -> Self {
        Self::start_on(ports::listener().unwrap(), agent)
    }

    /// On a listener that may belong to another network.
    pub(crate) fn start_on(listener: std::net::TcpListener, agent: &str) -> Self {
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(serve(listener, agent.to_owned(), shared.clone()));
        Self { addr, shared, task }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Relaxed)
    }

    /// Lets this many bytes of answers pass in 10 ms, on each connection.
    pub(crate) fn slow_down(&self, bytes: u64) {
        self.shared.rate.store(bytes, Relaxed);
    }

    /// Waits until no connection is left.
    pub(crate) async fn until_closed(&self) {
        timeout(SOON, async {
            while self.shared.open.load(Relaxed) > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("connections are closed");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, agent: String, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (agent, shared) = (agent.clone(), shared.clone());
        connections.spawn(async move {
            shared.open.fetch_add(1, Relaxed);
            // Where either side ends, both do.
            let _ = pass(client, &agent, &shared).await;
            shared.open.fetch_sub(1, Relaxed);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn pass(client: TcpStream, agent: &str, shared: &Shared) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_agent, mut to_agent) = TcpStream::connect(agent).await?.into_split();
    let up = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return Ok(());
            }
            let requests = buffer[..read].windows(REQUEST.len()).filter(|window| *window == REQUEST).count();
            shared.requests.fetch_add(requests, Relaxed);
            to_agent.write_all(&buffer[..read]).await?;
        }
    };
    let down = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let rate = usize::try_from(shared.rate.load(Relaxed)).unwrap();
            let size = if rate == 0 { buffer.len() } else { rate.min(buffer.len()) };
            let read = from_agent.read(&mut buffer[..size]).await?;
            if read == 0 {
                return Ok(());
            }
            if rate > 0 {
                sleep(Duration::from_millis(10)).await;
            }
            to_client.write_all(&buffer[..read]).await?;
        }
    };
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}
