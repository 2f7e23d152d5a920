//! A body as lines.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_core::Stream;
use kit_base::{Error, Streaming};

use crate::Pieces;

/// A line of a body: its number, counted from 1, and its text without what ends it.
pub(super) type Line = (u64, Bytes);

/// The lines of a body, each within the limit. LF and CRLF end a line; the last one needs no end.
pub(super) struct Lines {
    pieces: Option<Streaming<Bytes>>,
    limit: usize,
    /// What has come of the next line, and perhaps more lines after it.
    rest: BytesMut,
    /// As much of the rest is known to hold no end of a line.
    seen: usize,
    number: u64,
    /// Whether a CR alone ends a line too, as in server-sent events.
    bare_cr: bool,
    /// Whether the last line ended with a CR, so that a LF that follows belongs to it.
    after_cr: bool,
    too_long: fn(u64, usize) -> Error,
}

impl Lines {
    pub(super) fn new(body: Pieces, too_long: fn(u64, usize) -> Error) -> Self {
        let limit = body.item_limit();
        let pieces = Some(body.into_stream());
        Self { pieces, limit, rest: BytesMut::new(), seen: 0, number: 0, bare_cr: false, after_cr: false, too_long }
    }

    /// The same, with a CR alone as an end too.
    pub(super) const fn or_bare_cr(mut self) -> Self {
        self.bare_cr = true;
        self
    }

    /// The next line, if all of it is here.
    fn take(&mut self) -> Option<Bytes> {
        if self.after_cr && !self.rest.is_empty() {
            self.after_cr = false;
            if self.rest[0] == b'\n' {
                self.rest.advance(1);
            }
        }
        let bare_cr = self.bare_cr;
        let ends = |byte: &u8| *byte == b'\n' || (bare_cr && *byte == b'\r');
        let Some(end) = self.rest[self.seen..].iter().position(ends).map(|at| self.seen + at) else {
            self.seen = self.rest.len();
            return None;
        };
        self.seen = 0;
        let mut line = self.rest.split_to(end + 1).freeze();
        self.after_cr = line.ends_with(b"\r");
        line.truncate(end);
        if !bare_cr && line.ends_with(b"\r") {
            line.truncate(end - 1);
        }
        Some(line)
    }

    /// Hands a line out, unless it is too long.
    fn number(&mut self, line: Bytes) -> Result<Line, Error> {
        self.number += 1;
        if line.len() <= self.limit {
            return Ok((self.number, line));
        }
        self.close();
        Err((self.too_long)(self.number, self.limit))
    }

    /// Nothing is read any more. Gives what has come of a line.
    fn close(&mut self) -> Bytes {
        self.pieces = None;
        self.seen = 0;
        std::mem::take(&mut self.rest).freeze()
    }
}

impl Stream for Lines {
    type Item = Result<Line, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(line) = self.take() {
                return Poll::Ready(Some(self.number(line)));
            }
            // One more for a CR whose LF has not come yet.
            if self.rest.len() > self.limit.saturating_add(1) {
                let line = self.close();
                return Poll::Ready(Some(self.number(line)));
            }
            let Some(pieces) = &mut self.pieces else { return Poll::Ready(None) };
            match ready!(Pin::new(pieces).poll_next(cx)) {
                Some(Ok(piece)) => self.rest.extend_from_slice(&piece),
                Some(Err(error)) => {
                    self.close();
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    let last = self.close();
                    if !last.is_empty() {
                        return Poll::Ready(Some(self.number(last)));
                    }
                }
            }
        }
    }
}

/// What a closure makes of lines: an item, nothing yet, or the error that ends the stream.
pub(super) struct Items<R> {
    lines: Option<Lines>,
    read: R,
}

impl<R> Items<R> {
    pub(super) const fn new(lines: Lines, read: R) -> Self {
        Self { lines: Some(lines), read }
    }
}

// The closure is only ever called, never pinned.
impl<R> Unpin for Items<R> {}

impl<T, R: FnMut(Line) -> Result<Option<T>, Error>> Stream for Items<R> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let Some(lines) = &mut this.lines else { return Poll::Ready(None) };
            let Some(line) = ready!(Pin::new(lines).poll_next(cx)) else {
                this.lines = None;
                return Poll::Ready(None);
            };
            match line.and_then(&mut this.read) {
                Ok(None) => {}
                Ok(Some(item)) => return Poll::Ready(Some(Ok(item))),
                Err(error) => {
                    this.lines = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}
