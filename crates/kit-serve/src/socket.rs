//! The raw stream of a connection: TCP or Unix.

use std::future::poll_fn;
use std::io::{self, IoSlice, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// A connected socket, with what was read of it before the protocol was known.
#[derive(Debug)]
pub(crate) struct Socket {
    io: Io,
    ahead: Vec<u8>,
    /// Whether a read asks the operating system itself for bytes of which the runtime does not know yet.
    probing: bool,
}

#[derive(Debug)]
enum Io {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// Evaluates an expression for whatever the socket is.
macro_rules! each {
    ($socket:expr, $io:ident => $expression:expr) => {
        match $socket {
            Io::Tcp($io) => $expression,
            #[cfg(unix)]
            Io::Unix($io) => $expression,
        }
    };
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        // Answers are written in one piece, so waiting for more (Nagle) only delays them. A socket that refuses works
        // too.
        let _ = stream.set_nodelay(true);
        Self { io: Io::Tcp(stream), ahead: Vec::new(), probing: false }
    }
}

#[cfg(unix)]
impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self { io: Io::Unix(stream), ahead: Vec::new(), probing: false }
    }
}

impl Socket {
    /// What was read ahead; the next reads give it out again.
    pub(crate) fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Reads some more ahead, at most up to a total of `limit`; says whether there was anything before the end.
    pub(crate) async fn read_ahead(&mut self, limit: usize) -> io::Result<bool> {
        poll_fn(|cx| {
            let mut space = [0; 1024];
            let room = limit.saturating_sub(self.ahead.len()).min(space.len());
            let mut buf = ReadBuf::new(&mut space[..room]);
            ready!(each!(&mut self.io, io => Pin::new(io).poll_read(cx, &mut buf)))?;
            self.ahead.extend_from_slice(buf.filled());
            Poll::Ready(Ok(!buf.filled().is_empty()))
        })
        .await
    }

    /// Throws away the first bytes of what was read ahead.
    pub(crate) fn forget_ahead(&mut self, count: usize) {
        self.ahead.drain(..count);
    }

    pub(crate) fn set_probing(&mut self, probing: bool) {
        self.probing = probing;
    }

    /// Reads what the runtime has not been told of; whether there was anything.
    fn probe(&self, buf: &mut ReadBuf<'_>) -> bool {
        // The socket does not block, and the runtime's waker stays in place for what comes later.
        match each!(&self.io, io => (&*SockRef::from(io)).read(buf.initialize_unfilled())) {
            Ok(read @ 1..) => {
                buf.advance(read);
                true
            }
            // The end, and errors, are left for the runtime to find.
            Ok(0) | Err(_) => false,
        }
    }

    /// A second handle on the socket.
    pub(crate) fn try_clone(&self) -> io::Result<socket2::Socket> {
        each!(&self.io, io => SockRef::from(io).try_clone())
    }

    /// Makes the close of this socket a reset, which also frees what the operating system still holds to send. The
    /// client must not take what it got for a whole answer.
    pub(crate) fn reset_on_close(&self) {
        let _ = each!(&self.io, io => SockRef::from(io).set_linger(Some(Duration::ZERO)));
    }

    /// Reads and throws away until the client ends its side.
    pub(crate) async fn discard(&self) {
        while each!(&self.io, io => io.readable().await).is_ok() {
            if !self.discard_some() {
                return;
            }
            // A client that sends faster than we read would otherwise keep this thread, and outlast the timeout.
            tokio::task::coop::consume_budget().await;
        }
    }

    /// Whether there may be more to read. Not `async`, so that no connection carries the buffer in its future.
    fn discard_some(&self) -> bool {
        let mut waste = [0; 16 * 1024];
        match each!(&self.io, io => io.try_read(&mut waste)) {
            Ok(read) => read > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..count]);
            self.ahead.drain(..count);
            if self.ahead.is_empty() {
                self.ahead = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        match each!(&mut self.io, io => Pin::new(io).poll_read(cx, buf)) {
            Poll::Pending if self.probing && self.probe(buf) => Poll::Ready(Ok(())),
            polled => polled,
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(&mut self.io, io => Pin::new(io).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(&mut self.io, io => Pin::new(io).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.io, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.io, io => Pin::new(io).poll_shutdown(cx))
    }
}
