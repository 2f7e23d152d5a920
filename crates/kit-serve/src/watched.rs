//! The stream of a connection, noting when bytes pass.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::door::Agreed;
use crate::link::Link;
use crate::stream::Stream;

/// What an HTTP/2 client sends first (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The preface and the head of the frame that must follow it: with so many bytes, a client has begun to speak HTTP/2.
const HTTP2_BEGUN: usize = PREFACE.len() + 9;

/// How a frame PING begins (RFC 9113, 6.7), and its length.
const PING: &[u8] = b"\0\0\x08\x06";
const PING_LENGTH: usize = 17;

/// A stream that notes its activity, and goes back to its connection instead of being closed when hyper drops it.
#[derive(Debug)]
pub(crate) struct Watched {
    stream: Option<Stream>,
    link: Arc<Link>,
    agreed: Agreed,
    speaks: Speaks,
    /// Whether the last write, and the last flush, have to wait for the client to make room.
    write_waits: bool,
    flush_waits: bool,
}

/// The protocol, as far as the bytes so far tell.
#[derive(Clone, Copy, Debug)]
enum Speaks {
    /// So many bytes, all as HTTP/2 begins.
    MaybeHttp2(usize),
    Http2,
    Http1,
}

impl Watched {
    pub(crate) fn new(stream: Stream, link: Arc<Link>, agreed: Agreed) -> Self {
        Self {
            stream: Some(stream),
            link,
            agreed,
            speaks: Speaks::MaybeHttp2(0),
            write_waits: false,
            flush_waits: false,
        }
    }

    fn stream(&mut self) -> Pin<&mut Stream> {
        Pin::new(self.stream.as_mut().expect("the stream leaves only when this is dropped"))
    }

    /// Before anything is written: an upgrade is never granted (by the head of a 101) without a way to cut it.
    fn before_write(&self) -> io::Result<()> {
        match (&self.stream, self.speaks) {
            (Some(stream), Speaks::Http1) if self.link.activity.is_upgraded() => self.link.keep_handle(stream),
            _ => Ok(()),
        }
    }

    fn note_read(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Speaks::MaybeHttp2(seen) = self.speaks {
            let all = seen + bytes.len();
            let expected = PREFACE.get(seen..all.min(PREFACE.len())).unwrap_or_default();
            self.speaks = if !bytes.starts_with(expected) {
                Speaks::Http1
            } else if all < HTTP2_BEGUN {
                Speaks::MaybeHttp2(all)
            } else {
                self.link.activity.http2_began();
                Speaks::Http2
            };
            if !matches!(self.speaks, Speaks::MaybeHttp2(_)) {
                self.link.activity.set_spoken();
            }
            self.keeps_word(all)?;
        }
        self.note_passed(bytes.len(), || bytes);
        self.hear();
        self.link.activity.read(matches!(self.speaks, Speaks::Http1));
        Ok(())
    }

    /// So many bytes were read or written, beginning with these.
    fn note_passed<'a>(&self, count: usize, first: impl FnOnce() -> &'a [u8]) {
        // Asked in this order, because most connections are no tunnels.
        if self.link.activity.is_upgraded() {
            let is_ping = self.is_http2() && count == PING_LENGTH && first().starts_with(PING);
            if !is_ping {
                self.link.activity.bytes_passed();
            }
        }
    }

    fn hear(&self) {
        if self.is_http2() && self.link.shared.limits.keepalive_interval.is_some() {
            self.link.activity.hear();
        }
    }

    fn is_http2(&self) -> bool {
        matches!(self.speaks, Speaks::Http2)
    }

    /// Notes a write, or a flush: one that goes through after it had to wait is a sign of life, because the client has
    /// taken what came before it. One that need not wait says nothing: the operating system took it.
    fn note_sent<T>(&mut self, waits: impl FnOnce(&mut Self) -> &mut bool, polled: &Poll<io::Result<T>>) {
        if !self.is_http2() {
            return;
        }
        let had_to_wait = std::mem::replace(waits(self), polled.is_pending());
        if had_to_wait && matches!(polled, Poll::Ready(Ok(_))) {
            self.hear();
        }
    }

    /// An error if a client speaks another protocol than the one that TLS has agreed on, after so many bytes.
    fn keeps_word(&self, bytes: usize) -> io::Result<()> {
        let is_http2 = !matches!(self.speaks, Speaks::Http1);
        match self.agreed {
            #[cfg(feature = "tls")]
            Agreed::Http1 if is_http2 && bytes >= PREFACE.len() => Err(io::ErrorKind::InvalidData.into()),
            #[cfg(feature = "tls")]
            Agreed::Http2 if !is_http2 => Err(io::ErrorKind::InvalidData.into()),
            _ => {
                let _ = (is_http2, bytes);
                Ok(())
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.link.leave(stream);
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let room = buf.remaining();
        let read =
            if self.link.is_probing() { self.stream().poll_probe(cx, buf) } else { self.stream().poll_read(cx, buf) };
        if read.is_pending() {
            self.link.activity.read_all();
        }
        ready!(read)?;
        let bytes = &buf.filled()[before..];
        if !bytes.is_empty() {
            self.note_read(bytes)?;
        } else if room > 0 {
            self.link.activity.ended();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.before_write()?;
        let polled = self.stream().poll_write(cx, buf);
        self.note_sent(|this| &mut this.write_waits, &polled);
        let written = ready!(polled)?;
        self.note_passed(written, || buf);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.before_write()?;
        let polled = self.stream().poll_write_vectored(cx, bufs);
        self.note_sent(|this| &mut this.write_waits, &polled);
        let written = ready!(polled)?;
        self.note_passed(written, || bufs.iter().find(|buf| !buf.is_empty()).map_or(&[], |buf| buf));
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.stream().poll_flush(cx);
        self.note_sent(|this| &mut this.flush_waits, &polled);
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}
