//! The answer of a service that was added: it ends by the deadline, and a panic in it ends in a status.

use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use kit_base::{Context, Deadline, Error, caught};

use super::Routes;
use super::answer::passed;
use super::foreign::AnswerBody;
use crate::expiring::{Expire, Expiring};
use crate::within::now;

/// What goes wrong in the body becomes a status in its trailers.
pub(super) struct Kept {
    going: Option<Expiring<Going>>,
    deadline: Option<Deadline>,
}

/// A body that is not over.
struct Going {
    body: AnswerBody,
    routes: Routes,
    context: Context,
}

impl Kept {
    pub(super) fn new(routes: &Routes, context: Context, body: AnswerBody) -> Self {
        let (deadline, ended) = (context.deadline(), body.is_end_stream());
        let mut going = Expiring::new(Going { body, routes: routes.clone(), context });
        if let (Some(deadline), false) = (deadline, ended) {
            going.end_at(deadline);
        }
        Self { going: Some(going), deadline }
    }
}

impl Going {
    /// The next frame of the body, or why there will be none.
    fn poll_frame(
        &mut self,
        deadline: Option<Deadline>,
        cx: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            // A body that never has to wait is held to it too. The status is not, if it is there.
            Poll::Ready(Some(Ok(frame)))
                if frame.is_data() && deadline.is_some_and(|deadline| deadline.has_passed(now())) =>
            {
                Poll::Ready(Some(Err(passed())))
            }
            polled => polled,
        }
    }

    /// The trailers of this end.
    fn end(self, error: &Error) -> HeaderMap {
        let Self { body, routes, context } = self;
        close(body);
        let mut trailers = HeaderMap::new();
        routes.settings().write_error(&context, error, &mut trailers);
        trailers
    }
}

impl Expire for Going {
    /// The trailers.
    type End = HeaderMap;

    fn expire(self) -> HeaderMap {
        self.end(&passed())
    }
}

/// What is dropped may panic, and has nothing more to say.
fn close(body: AnswerBody) {
    let _ = caught(|| drop(body));
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let deadline = self.deadline;
        let Some(going) = &self.going else { return Poll::Ready(None) };
        let polled = going.poll(cx, |held, cx| {
            let Some(going) = held else { return Poll::Pending };
            let frame = match ready!(going.poll_frame(deadline, cx)).transpose() {
                Ok(Some(frame)) if frame.is_data() => return Poll::Ready(Some(frame)),
                Ok(end) => end,
                Err(error) => return Poll::Ready(held.take().map(|going| Frame::trailers(going.end(&error)))),
            };
            if let Some(going) = held.take() {
                close(going.body);
            }
            Poll::Ready(frame)
        });
        let frame = ready!(polled).unwrap_or_else(|trailers| Some(Frame::trailers(trailers)));
        if !frame.as_ref().is_some_and(Frame::is_data) {
            self.going = None;
        }
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        // Of one that the deadline has taken away, the status is still to come.
        self.going
            .as_ref()
            .is_none_or(|going| going.look(|going| going.is_some_and(|going| going.body.is_end_stream())))
    }

    fn size_hint(&self) -> SizeHint {
        // Trailers may come in place of the rest.
        SizeHint::default()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(going) = self.going.as_ref().and_then(Expiring::take) {
            close(going.body);
        }
    }
}
