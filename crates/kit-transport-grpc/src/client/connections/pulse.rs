//! What is known of the life of a connection, shared by those who use it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::later;
use crate::within::now;

/// The life of one connection.
#[derive(Debug)]
pub(super) struct Pulse {
    begin: Instant,
    /// When bytes came last, in microseconds from the beginning.
    heard: AtomicU64,
    /// Whether the server has sent something of an answer since this was last taken.
    answered: AtomicBool,
    /// How often something was written.
    writes: AtomicUsize,
    open: AtomicUsize,
    /// How many of the open calls have a stream.
    streams: AtomicUsize,
    closed: AtomicBool,
    lost: AtomicBool,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            begin: now(),
            heard: AtomicU64::new(0),
            answered: AtomicBool::new(false),
            writes: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        }
    }

    pub(super) fn heard_at(&self) -> Instant {
        later(self.begin, Duration::from_micros(self.heard.load(Ordering::Relaxed)))
    }

    fn hear(&self) {
        let passed = now().saturating_duration_since(self.begin).as_micros();
        self.heard.store(u64::try_from(passed).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How often something was written. What was handed in since is still here if this is the same.
    pub(super) fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    /// Counts what was written. The task of the connection alone does so.
    fn note_write(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.writes.store(self.writes().wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// A head, or bytes of a body, have come.
    pub(super) fn note_answer(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    pub(super) fn forget_answers(&self) {
        self.answered.store(false, Ordering::Relaxed);
    }

    /// Takes no more calls.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The server did not answer a PING.
    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Release);
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    pub(super) fn has_calls(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }

    pub(super) fn open(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one more stream: how many there were.
    pub(super) fn take_stream(&self) -> usize {
        self.streams.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn end(&self, had_stream: bool) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        if had_stream {
            self.streams.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A stream that is listened to.
pub(super) struct Heard<T> {
    inner: T,
    pulse: Arc<Pulse>,
}

impl<T> Heard<T> {
    pub(super) fn new(inner: T, pulse: &Arc<Pulse>) -> Self {
        Self { inner, pulse: Arc::clone(pulse) }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Heard<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.pulse.hear();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Heard<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.pulse.note_write(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.pulse.note_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
