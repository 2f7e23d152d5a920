//! The body of a request on its way out.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::{Body as _, Frame};
use tokio::task::JoinSet;
use tonic::Status;
use tonic::body::Body;

/// A body that is being sent. Dropped, it is given up.
#[derive(Debug)]
pub(super) struct Uploading(#[expect(dead_code, reason = "it ends the task when it is dropped")] JoinSet<()>);

/// What a body gives.
pub(super) type Next = Option<Result<Frame<Bytes>, Status>>;

/// Sends a body as fast as the server takes it, beginning with what has come of it.
pub(super) fn upload(first: Poll<Next>, body: Body, stream: SendStream<Bytes>) -> Uploading {
    let mut task = JoinSet::new();
    let upload = Upload { body, stream, done: false };
    task.spawn(upload.run(first));
    Uploading(task)
}

struct Upload {
    body: Body,
    stream: SendStream<Bytes>,
    done: bool,
}

impl Upload {
    async fn run(mut self, first: Poll<Next>) {
        let mut next = match first {
            Poll::Ready(next) => next,
            Poll::Pending => match self.next().await {
                Some(next) => next,
                None => return,
            },
        };
        // Whoever reset the stream is told by the answer.
        while let Some(Ok(frame)) = next {
            let sent = match frame.into_data() {
                Ok(data) => self.send(data).await,
                Err(frame) => {
                    let sent = self.stream.send_trailers(frame.into_trailers().unwrap_or_default());
                    self.done = sent.is_ok();
                    return;
                }
            };
            if sent.is_none() || self.done {
                return;
            }
            match self.next().await {
                Some(frame) => next = frame,
                None => return,
            }
        }
        // A body that failed is not at its end, and the drop resets the stream.
        self.done = next.is_none() && self.stream.send_data(Bytes::new(), true).is_ok();
    }

    /// What the body gives next; nothing if the server wants no more of it.
    async fn next(&mut self) -> Option<Next> {
        let Self { body, stream, done } = self;
        let next = poll_fn(|cx| {
            if stream.poll_reset(cx).is_ready() {
                return Poll::Ready(None);
            }
            Pin::new(&mut *body).poll_frame(cx).map(Some)
        });
        let next = next.await;
        *done |= next.is_none();
        next
    }

    /// Sends these bytes as the windows of the server let them; nothing if the stream has ended.
    async fn send(&mut self, mut data: Bytes) -> Option<()> {
        let Self { body, stream, done } = self;
        let last = body.is_end_stream();
        if data.is_empty() && last {
            *done = stream.send_data(data, true).is_ok();
            return Some(());
        }
        while !data.is_empty() {
            stream.reserve_capacity(data.len());
            let room = poll_fn(|cx| {
                if stream.poll_reset(cx).is_ready() {
                    return Poll::Ready(None);
                }
                Poll::Ready(match ready!(stream.poll_capacity(cx)) {
                    Some(Ok(room)) => Some(room),
                    Some(Err(_)) | None => None,
                })
            });
            let Some(room) = room.await else {
                *done = true;
                return None;
            };
            if room == 0 {
                continue;
            }
            let part = data.split_to(room.min(data.len()));
            let end = last && data.is_empty();
            stream.send_data(part, end).ok()?;
            *done = end;
        }
        Some(())
    }
}

impl Drop for Upload {
    /// A clean end would be taken for the end of what the caller had to say.
    fn drop(&mut self) {
        if !self.done {
            self.stream.send_reset(Reason::CANCEL);
        }
    }
}
