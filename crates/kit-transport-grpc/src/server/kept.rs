//! The answer of a service that was added: it ends by the deadline, and a panic in it ends in a status.

use std::pin::Pin;
use std::task::{Context as Task, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use kit_base::{Context, Error, caught};
use tokio::time::Sleep;

use super::Routes;
use super::answer::passed;
use super::foreign::AnswerBody;
use crate::expiring::Expiring;
use crate::within::{asleep, now};

/// What goes wrong in the body becomes a status in its trailers.
pub(super) struct Kept {
    routes: Routes,
    context: Context,
    /// Until its end.
    body: Option<Expiring<AnswerBody>>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Kept {
    pub(super) fn new(routes: &Routes, context: Context, body: AnswerBody) -> Self {
        let ended = body.is_end_stream();
        let mut body = Expiring::new(body);
        if let (Some(deadline), false) = (context.deadline(), ended) {
            body.end_at(deadline);
        }
        Self { routes: routes.clone(), context, body: Some(body), timer: None }
    }

    /// The next frame of the body, or why there will be none.
    fn next(&mut self, cx: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(body) = &self.body else { return Poll::Ready(None) };
        let polled = caught(|| {
            body.look(|body| match body {
                Some(body) => Pin::new(body).poll_frame(cx),
                None => Poll::Ready(Some(Err(passed()))),
            })
        });
        let polled = polled.unwrap_or_else(|panic| Poll::Ready(Some(Err(panic))));
        let Some(deadline) = self.context.deadline() else { return polled };
        let late = match &polled {
            Poll::Pending => self.timer.get_or_insert_with(|| asleep(deadline)).as_mut().poll(cx).is_ready(),
            // A body that never has to wait is held to it too. The status is not, if it is there.
            Poll::Ready(Some(Ok(frame))) => frame.is_data() && deadline.has_passed(now()),
            Poll::Ready(_) => false,
        };
        if late { Poll::Ready(Some(Err(passed()))) } else { polled }
    }

    fn close(&mut self) {
        let body = self.body.take();
        // What is dropped may panic, and has nothing more to say.
        let _ = caught(|| drop(body));
    }
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let error = match this.next(cx) {
            Poll::Ready(Some(Err(error))) => error,
            polled => {
                if matches!(&polled, Poll::Ready(frame) if !matches!(frame, Some(Ok(frame)) if frame.is_data())) {
                    this.close();
                }
                return polled;
            }
        };
        this.close();
        let mut trailers = HeaderMap::new();
        this.routes.settings().write_error(&this.context, &error, &mut trailers);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        // Of one that the deadline has taken away, the status is still to come.
        self.body.as_ref().is_none_or(|body| body.look(|body| body.is_some_and(|body| body.is_end_stream())))
    }

    fn size_hint(&self) -> SizeHint {
        // Trailers may come in place of the rest.
        SizeHint::default()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.close();
    }
}
