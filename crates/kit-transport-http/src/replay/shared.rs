//! What the readers of one body share: the original, and what came of it.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::{BoxError, ReplayError};

/// What a frame costs beside its bytes, so that many small ones are bounded too.
const FRAME: usize = mem::size_of::<Bytes>();

pub(super) struct Shared<B> {
    original: Original<B>,
    kept: Vec<Bytes>,
    cost: usize,
    cap: usize,
    /// Once the body is longer than the cap: the reader that may go on.
    alone: Option<u64>,
    /// The original wakes only who polled it last; that one wakes the others.
    waiting: Vec<(u64, Waker)>,
    next: u64,
}

enum Original<B> {
    Open(Pin<Box<B>>),
    Ended(Option<HeaderMap>),
    Failed,
}

/// How far a reader is.
#[derive(Debug)]
pub(super) struct Reader {
    id: u64,
    /// The next of the kept frames.
    at: usize,
    /// It has read the end.
    done: bool,
}

type Polled = Poll<Option<Result<Frame<Bytes>, ReplayError>>>;

impl<B: HttpBody> Shared<B> {
    pub(super) fn new(body: B, cap: usize) -> (Self, Reader) {
        let too_long = body.size_hint().lower() > cap as u64;
        let shared = Self {
            original: Original::Open(Box::pin(body)),
            kept: Vec::new(),
            cost: 0,
            cap,
            alone: too_long.then_some(0),
            waiting: Vec::new(),
            next: 1,
        };
        (shared, Reader { id: 0, at: 0, done: false })
    }

    /// The next frame for this reader, and who else is to be woken.
    pub(super) fn poll(&mut self, reader: &mut Reader, cx: &mut Context<'_>) -> (Polled, Vec<Waker>)
    where
        B: HttpBody<Error: Into<BoxError>>,
    {
        let now = |polled| (Poll::Ready(polled), Vec::new());
        if reader.done {
            return now(None);
        }
        if self.alone.is_some_and(|alone| alone != reader.id) {
            reader.done = true;
            return now(Some(Err(ReplayError::OverCap(self.cap))));
        }
        if let Some(data) = self.kept.get(reader.at) {
            reader.at += 1;
            return now(Some(Ok(Frame::data(data.clone()))));
        }
        let polled = match &mut self.original {
            Original::Open(body) => body.as_mut().poll_frame(cx),
            Original::Ended(trailers) => {
                reader.done = true;
                return now(trailers.clone().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            Original::Failed => {
                reader.done = true;
                return now(Some(Err(ReplayError::Failed)));
            }
        };
        self.waiting.retain(|(id, _)| *id != reader.id);
        let Poll::Ready(frame) = polled else {
            self.waiting.push((reader.id, cx.waker().clone()));
            return (Poll::Pending, Vec::new());
        };
        let frame = frame.map(|frame| match frame {
            Ok(frame) => Ok(self.keep(frame.map_data(|mut data| data.copy_to_bytes(data.remaining())), reader)),
            Err(error) => {
                self.original = Original::Failed;
                Err(ReplayError::Body(error.into()))
            }
        });
        if frame.is_none() {
            self.original = Original::Ended(None);
        }
        reader.done = !matches!(&frame, Some(Ok(frame)) if frame.is_data());
        (Poll::Ready(frame), self.wake_all())
    }

    fn keep(&mut self, frame: Frame<Bytes>, reader: &mut Reader) -> Frame<Bytes> {
        if let Some(trailers) = frame.trailers_ref() {
            self.original = Original::Ended(Some(trailers.clone()));
        }
        let Some(data) = frame.data_ref().filter(|data| !data.is_empty() && self.alone.is_none()) else { return frame };
        self.cost = self.cost.saturating_add(data.len()).saturating_add(FRAME);
        if self.cost > self.cap {
            self.alone = Some(reader.id);
            self.kept = Vec::new();
        } else {
            self.kept.push(data.clone());
            reader.at += 1;
        }
        frame
    }

    pub(super) fn is_over(&self, reader: &Reader) -> bool {
        let at_front = reader.at >= self.kept.len();
        reader.done
            || match &self.original {
                Original::Open(body) => at_front && self.alone.is_none_or(|id| id == reader.id) && body.is_end_stream(),
                Original::Ended(trailers) => at_front && trailers.is_none(),
                Original::Failed => false,
            }
    }

    pub(super) fn size_hint(&self, reader: &Reader) -> SizeHint {
        let kept: u64 = self.kept.iter().skip(reader.at).map(|data| data.len() as u64).sum();
        let rest = match &self.original {
            Original::Open(body) => body.size_hint(),
            Original::Ended(_) => SizeHint::with_exact(0),
            Original::Failed => SizeHint::default(),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(kept));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(kept)) {
            hint.set_upper(upper);
        }
        hint
    }
}

impl<B> Shared<B> {
    pub(super) fn is_replayable(&self) -> bool {
        self.alone.is_none() && !matches!(self.original, Original::Failed)
    }

    /// One more reader, at the beginning.
    pub(super) fn join(&mut self) -> Option<Reader> {
        if !self.is_replayable() {
            return None;
        }
        let id = self.next;
        self.next += 1;
        Some(Reader { id, at: 0, done: false })
    }

    /// A reader has gone: what is left to nobody, and who must look after the original now.
    pub(super) fn leave(&mut self, reader: &Reader) -> (Option<Pin<Box<B>>>, Vec<Waker>) {
        self.waiting.retain(|(id, _)| *id != reader.id);
        if self.alone == Some(reader.id) {
            if let Original::Open(body) = mem::replace(&mut self.original, Original::Failed) {
                return (Some(body), self.wake_all());
            }
        }
        (None, self.wake_all())
    }

    fn wake_all(&mut self) -> Vec<Waker> {
        mem::take(&mut self.waiting).into_iter().map(|(_, waker)| waker).collect()
    }
}
