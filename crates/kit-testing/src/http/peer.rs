//! A client that sends exact bytes.

use std::future::{Future, pending};
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;

use crate::wire::Wire;

/// How long each step may take, so that a test fails instead of hanging.
const LIMIT: Duration = Duration::from_secs(10);

/// Sends exact bytes to an HTTP/1.1 server and returns the exact bytes of its answer: up to the end of the first
/// response (by its length, chunks or the end of the connection), or whatever came before the end of the connection,
/// be it HTTP or not, be it nothing. Sending goes on while the answer is awaited, and stops with it.
///
/// ```
/// use kit_testing::backend::{Backend, Reply};
/// use kit_testing::http::raw;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let backend = Backend::start(Reply::status(418)).await?;
/// let answer = raw(backend.addr(), b"GET / HTTP/1.0\r\n\r\n").await?;
/// assert!(answer.starts_with(b"HTTP/1.1 418 "));
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
///
/// # Errors
///
/// When the server cannot be reached, or has neither answered nor closed after 10 s on tokio's clock.
pub async fn raw(addr: impl ToSocketAddrs, bytes: impl AsRef<[u8]>) -> io::Result<Vec<u8>> {
    let mut peer = Peer::connect(addr).await?;
    match peer.exchange(bytes.as_ref()).await {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(error),
        Ok(_) | Err(_) => Ok(peer.wire.transcript()),
    }
}

/// As [`raw`], and returns the answer as a response. Interim answers (1xx) are passed over, chunks are put together.
///
/// # Errors
///
/// When the server cannot be reached, or has not sent a whole response after 10 s on tokio's clock, or what it sends
/// is none.
pub async fn raw_response(addr: impl ToSocketAddrs, bytes: impl AsRef<[u8]>) -> io::Result<Response<Bytes>> {
    Peer::connect(addr).await?.exchange(bytes.as_ref()).await
}

/// A connection on which a test does one step after the other: half a request, a wait, the other half.
///
/// Each step gives up after 10 s on tokio's clock. *Drop* closes the connection.
#[derive(Debug)]
pub struct Peer {
    wire: Wire<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Peer {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When nobody listens there.
    pub async fn connect(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = limited("to connect", TcpStream::connect(addr)).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Self { wire: Wire::recording(reader), writer })
    }

    /// Sends these bytes.
    ///
    /// # Errors
    ///
    /// When the server has closed the connection, or does not read.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        limited("to send", self.writer.write_all(bytes.as_ref())).await
    }

    /// Ends the sending side; answers can still be read.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.writer.shutdown().await
    }

    /// Reads the next response.
    ///
    /// # Errors
    ///
    /// When the connection ends first, or what comes is no HTTP/1.1 response.
    pub async fn response(&mut self) -> io::Result<Response<Bytes>> {
        limited("for a response", self.wire.response(false)).await
    }

    /// Reads the response to a HEAD request, which has no body.
    ///
    /// # Errors
    ///
    /// As [`response`](Self::response).
    pub async fn head_response(&mut self) -> io::Result<Response<Bytes>> {
        limited("for a response", self.wire.response(true)).await
    }

    /// Waits until the server closes the connection, and passes over what it still sends.
    ///
    /// # Errors
    ///
    /// When it keeps it open.
    pub async fn closed(&mut self) -> io::Result<()> {
        // A reset is an end too.
        limited("for the end", async {
            while self.wire.fill().await.unwrap_or(false) {}
            Ok(())
        })
        .await
    }

    /// Sends and reads at the same time: a server may answer before it has read everything, and then stop reading.
    async fn exchange(&mut self, bytes: &[u8]) -> io::Result<Response<Bytes>> {
        let bodiless = bytes.starts_with(b"HEAD ");
        let Self { wire, writer } = self;
        let send = async {
            // A server that hangs up early may have answered before.
            let _ = writer.write_all(bytes).await;
            pending::<()>().await;
        };
        let answer = async {
            tokio::select! {
                answer = wire.response(bodiless) => answer,
                () = send => unreachable!("sending never ends before the answer"),
            }
        };
        limited("for a response", answer).await
    }
}

async fn limited<T>(what: &str, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout(LIMIT, step).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("waited {LIMIT:?} in vain {what}"))),
    }
}
