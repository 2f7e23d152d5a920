//! What rides in a body or a stream until its end: the owned stack of permits.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::panic::on_panic;
use crate::{Judgement, Kind, StreamEnd};

/// Something that is kept until an answer is over. Dropped before [`end`](Self::end), it takes it that the reader left.
pub trait Hold: Send + 'static {
    /// The answer is over.
    fn end(self, end: &StreamEnd<'_>);
}

pin_project! {
    /// A body that holds permits until its last frame, its failure, or its drop.
    ///
    /// The frames pass through unchanged. A body dropped before its end means that the reader left.
    #[derive(Debug)]
    pub struct HeldBody<B, H> {
        #[pin]
        body: B,
        hold: Option<H>,
    }
}

impl<B, H> HeldBody<B, H> {
    /// A body with a hold, or with none where it has ended already.
    pub fn new(body: B, hold: Option<H>) -> Self {
        Self { body, hold }
    }
}

impl<B: Default, H> Default for HeldBody<B, H> {
    fn default() -> Self {
        Self::new(B::default(), None)
    }
}

impl<D: Buf, B: Body<Data = D>, H: Hold> Body for HeldBody<B, H> {
    type Data = D;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<D>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(on_panic(|| this.body.as_mut().poll_frame(cx), || drop(this.hold.take())));
        let end = match &frame {
            None => Some(StreamEnd::Complete(None)),
            Some(Err(_)) => Some(StreamEnd::Failed(Judgement::of_kind(Kind::Unavailable))),
            Some(Ok(frame)) => match frame.trailers_ref() {
                Some(trailers) => Some(StreamEnd::Complete(Some(trailers))),
                // A body of known length ends with its last frame; nobody is bound to ask once more.
                None => this.body.is_end_stream().then_some(StreamEnd::Complete(None)),
            },
        };
        if let Some(end) = end {
            if let Some(hold) = this.hold.take() {
                hold.end(&end);
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
