//! A request that streams, on its way out.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures_core::Stream;
use http::HeaderMap;
use http_body::{Body, Frame};
use kit_base::{Error, Streaming, caught};
use tokio::sync::oneshot;

use crate::Form;
use crate::codec::Encoded;
use crate::exclusive::Exclusive;
use crate::pieces::BoxError;
use crate::within::{Moves, now};

type Items = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// The body of the request. It belongs to the connection, and ends when the call does.
struct Upload {
    items: Option<Exclusive<Items>>,
    /// Resolves when the call is over.
    over: oneshot::Receiver<Infallible>,
    failed: Option<oneshot::Sender<Error>>,
    moves: Arc<Moves>,
}

/// The side of the call: dropped, it ends the request.
pub(super) struct Uploading {
    _going_on: oneshot::Sender<Infallible>,
    failed: oneshot::Receiver<Error>,
    moves: Arc<Moves>,
}

/// The stream as the body of a request, and the headers of its form.
pub(super) fn upload<T: 'static>(items: Streaming<T>, form: Form<T>) -> (reqwest::Body, HeaderMap, Uploading) {
    let (going_on, over) = oneshot::channel();
    let (fail, failed) = oneshot::channel();
    let items: Items = Box::pin(Encoded::new(items, form.encode));
    let moves = Arc::new(Moves::since(now()));
    let body = Upload { items: Some(Exclusive::new(items)), over, failed: Some(fail), moves: Arc::clone(&moves) };
    (reqwest::Body::wrap(body), form.headers, Uploading { _going_on: going_on, failed, moves })
}

impl Uploading {
    /// Why the request broke off, if it did by itself: the error of its stream. Told once.
    pub(super) fn failure(&mut self) -> Option<Error> {
        self.failed.try_recv().ok()
    }

    /// When an item was last sent, if one was.
    pub(super) fn moved(&self) -> Option<Instant> {
        self.moves.last()
    }
}

impl Upload {
    /// Breaks the transfer off: its end would be taken for that of the stream.
    fn break_off(&mut self, why: &'static str) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.close();
        Poll::Ready(Some(Err(why.into())))
    }

    /// Drops the stream, which may panic; a panic here would end the connection, which may serve others.
    fn close(&mut self) {
        let items = self.items.take();
        // It has been told by the panic hook.
        let _ = caught(|| drop(items));
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(items) = &mut this.items else { return Poll::Ready(None) };
        if Pin::new(&mut this.over).poll(cx).is_ready() {
            return this.break_off("the call is over");
        }
        let items = items.get_mut().as_mut();
        match caught(|| items.poll_next(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Some(Ok(bytes)))) => {
                this.moves.note();
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Ok(Poll::Ready(None)) => {
                this.moves.note();
                this.close();
                Poll::Ready(None)
            }
            Ok(Poll::Ready(Some(Err(error)))) | Err(error) => {
                if let Some(failed) = this.failed.take() {
                    // The call may be over; then nobody wants to know.
                    let _ = failed.send(error);
                }
                this.break_off("the stream of the request failed")
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.items.is_none()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.close();
    }
}
