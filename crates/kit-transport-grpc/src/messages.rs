//! The messages of a body, as they come: of a request on a server, of an answer on a client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Body;
use kit_base::{Error, caught};
use pin_project_lite::pin_project;

use crate::frame::Deframer;

pin_project! {
    /// A body that is read message by message. Nothing is read ahead: whoever does not read on holds the sender up.
    pub(crate) struct Messages<B> {
        #[pin]
        body: B,
        frames: Deframer,
    }
}

/// What comes next in a body.
pub(crate) enum Next<E> {
    Message(Bytes),
    /// The end, with the trailers where there were some.
    End(Option<HeaderMap>),
    /// The body broke off.
    Broken(E),
}

impl<B: Body> Messages<B> {
    pub(crate) fn new(body: B, frames: Deframer) -> Self {
        Self { body, frames }
    }

    /// What comes next. Not to be asked after an end or an error.
    ///
    /// # Errors
    /// What has come is no message, or one that is too long; or the body panicked.
    pub(crate) fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Next<B::Error>, Error>> {
        let mut this = self.project();
        loop {
            if let Some(message) = this.frames.next()? {
                return Poll::Ready(Ok(Next::Message(message)));
            }
            match ready!(caught(|| this.body.as_mut().poll_frame(cx))?) {
                None => return Poll::Ready(Ok(Next::End(None))),
                Some(Err(error)) => return Poll::Ready(Ok(Next::Broken(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(mut data) => this.frames.push(data.copy_to_bytes(data.remaining())),
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            return Poll::Ready(Ok(Next::End(Some(trailers))));
                        }
                    }
                },
            }
        }
    }

    /// Whether the body says that it is at its end.
    #[cfg(feature = "server")]
    pub(crate) fn says_end(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Whether the end came between two messages.
    ///
    /// # Errors
    /// It came within one.
    pub(crate) fn is_whole(&self) -> Result<(), Error> {
        self.frames.end()
    }
}
