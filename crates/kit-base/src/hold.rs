//! What rides in a body or a stream until its end: the owned stack of permits.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{Cause, Judgement, Kind, StreamEnd};

/// Something that is kept until an answer is over. Dropped before [`end`](Self::end), it is over for the cause that was
/// told last; at first [`Cause::Answered`]: an answer that nobody reads is what its head says.
pub trait Hold: Send + 'static {
    /// From now on, a drop has this cause.
    fn on_drop(&mut self, cause: Cause);

    /// The answer is over.
    fn end(self, end: &StreamEnd<'_>);
}

/// Tells what is held, if it still is.
pub(crate) fn on_drop<H: Hold>(hold: &mut Option<H>, cause: Cause) {
    if let Some(hold) = hold {
        hold.on_drop(cause);
    }
}

/// Ends what is held, if it still is.
pub(crate) fn end<H: Hold>(hold: &mut Option<H>, end: &StreamEnd<'_>) {
    if let Some(hold) = hold.take() {
        hold.end(end);
    }
}

pin_project! {
    /// A body that holds permits until its last frame, its failure, or its drop.
    ///
    /// The frames pass through unchanged. A body dropped before its end means that the reader left; one that was never
    /// read is what its head says.
    #[derive(Debug)]
    pub struct HeldBody<B, H> {
        #[pin]
        body: B,
        hold: Option<H>,
        // What is to come of a length that was announced; a server need not ask for more than that.
        left: Option<u64>,
    }
}

impl<B, H> HeldBody<B, H> {
    /// A body with a hold, or with none where it has ended already, and its length where that was announced.
    pub fn new(body: B, hold: Option<H>, length: Option<u64>) -> Self {
        Self { body, hold, left: length }
    }
}

impl<B: Default, H> Default for HeldBody<B, H> {
    fn default() -> Self {
        Self::new(B::default(), None, None)
    }
}

impl<D: Buf, B: Body<Data = D>, H: Hold> Body for HeldBody<B, H> {
    type Data = D;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<D>, B::Error>>> {
        let mut this = self.project();
        on_drop(this.hold, Cause::Panicked);
        let frame = this.body.as_mut().poll_frame(cx);
        on_drop(this.hold, Cause::Left);
        let frame = ready!(frame);
        if let (Some(left), Some(Ok(frame))) = (&mut *this.left, &frame) {
            *left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.remaining() as u64));
        }
        match &frame {
            None => end(this.hold, &StreamEnd::Complete(None)),
            Some(Err(_)) => end(this.hold, &StreamEnd::Failed(Judgement::of_kind(Kind::Unavailable))),
            Some(Ok(frame)) => {
                let trailers = frame.trailers_ref();
                // A body of known length ends with its last frame; nobody is bound to ask once more.
                if trailers.is_some() || this.body.is_end_stream() || *this.left == Some(0) {
                    end(this.hold, &StreamEnd::Complete(trailers));
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
