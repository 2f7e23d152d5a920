//! The body of an answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::uri::Authority;
use http_body::{Body, Frame};

use super::ConnectionError;
use super::life::Open;
use super::upload::Uploading;

/// The body of an answer over [`Connections`](crate::Connections). Dropped before its end, it resets the stream.
#[derive(Debug)]
pub struct ResponseBody {
    stream: RecvStream,
    /// Whether the data have ended, and only trailers may come.
    drained: bool,
    authority: Authority,
    open: Open,
    _uploading: Option<Uploading>,
}

impl ResponseBody {
    pub(super) fn new(stream: RecvStream, authority: Authority, open: Open, uploading: Option<Uploading>) -> Self {
        Self { stream, drained: false, authority, open, _uploading: uploading }
    }

    fn broken(&self, error: h2::Error) -> ConnectionError {
        ConnectionError::broken(&self.authority, error, &self.open.life)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ConnectionError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ConnectionError>>> {
        let this = &mut *self;
        if !this.drained {
            match ready!(this.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    this.open.life.note_answer();
                    // What was taken may be followed by as much.
                    let released = this.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(released.map(|()| Frame::data(data)).map_err(|error| this.broken(error))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(this.broken(error)))),
                None => this.drained = true,
            }
        }
        let trailers = ready!(this.stream.poll_trailers(cx)).map_err(|error| this.broken(error));
        Poll::Ready(trailers.transpose().map(|trailers| trailers.map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}
