//! What streams out of the inner service: an HTTP body, or a stream of messages.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body, Frame};
use kit_base::Error;
use kit_base::wire::GRPC_STATUS;

use super::fault::Fault;
use super::inner::Running;
use super::world::{Life, Part, Reply, ReplyEnd};

pub(crate) const UNAVAILABLE: &str = "14";
const GRPC: &str = "application/grpc";

fn grpc_status(end: ReplyEnd) -> HeaderValue {
    HeaderValue::from_static(match end {
        ReplyEnd::Ok => "0",
        ReplyEnd::Fail | ReplyEnd::Panic => UNAVAILABLE,
    })
}

/// The body of an HTTP answer of an [`Inner`](super::Inner).
#[derive(Debug)]
pub struct InnerBody {
    running: Running,
    grpc: bool,
}

impl InnerBody {
    /// The answer: a failure without parts is one by status, or by trailers only; after parts it ends the body.
    pub(crate) fn answer(running: Running, reply: Reply, grpc: bool) -> Response<Self> {
        let mut response = Response::new(Self { running: running.rest(), grpc });
        if grpc {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(GRPC));
            if reply.parts == 0 {
                response.headers_mut().insert(GRPC_STATUS, grpc_status(reply.end));
            }
        } else if reply == Reply::FAIL {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    }
}

impl Body for InnerBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.running.world.poll_part(self.running.number, cx)) {
            Part::Data => Some(Ok(Frame::data(Bytes::from_static(b"part")))),
            Part::End(end) if self.grpc => {
                Some(Ok(Frame::trailers(HeaderMap::from_iter([(GRPC_STATUS, grpc_status(end))]))))
            }
            Part::End(ReplyEnd::Ok) => None,
            Part::End(ReplyEnd::Fail | ReplyEnd::Panic) => Some(Err(Fault::of_call(self.running.number))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.running.world.lock().arrived[self.running.number].life == Life::Ended
    }
}

/// The messages of a streamed answer.
#[derive(Debug)]
pub(crate) struct InnerStream {
    running: Running,
    over: bool,
}

impl InnerStream {
    pub(crate) fn new(running: Running) -> Self {
        Self { running, over: false }
    }
}

impl Stream for InnerStream {
    type Item = Result<u64, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let number = self.running.number;
        let part = ready!(self.running.world.poll_part(number, cx));
        self.over = part != Part::Data;
        Poll::Ready(match part {
            Part::Data => Some(Ok(number as u64)),
            Part::End(ReplyEnd::Ok) => None,
            Part::End(ReplyEnd::Fail | ReplyEnd::Panic) => {
                Some(Err(Error::unavailable("the stream failed").with_source(Fault::of_call(number))))
            }
        })
    }
}
