//! A request that streams, on its way out.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use h2::Reason;
use http_body::{Body, Frame};
use kit_base::{Error, Streaming, caught};
use tokio::sync::oneshot;

use crate::EncodeRequest;
use crate::frame::Framer;

/// The body of the request. It belongs to the connection, and ends when the call does. An end that is not that of the stream
/// resets it: a clean one would be taken for the end of what the caller had to say.
struct Upload<C, Req> {
    items: Option<Streaming<Req>>,
    codec: Arc<C>,
    framer: Framer,
    /// Resolves when the call is over.
    over: oneshot::Receiver<Infallible>,
    failed: Option<oneshot::Sender<Error>>,
}

/// The side of the call: dropped, it ends the request.
pub(super) struct Uploading {
    _going_on: oneshot::Sender<Infallible>,
    failed: Option<oneshot::Receiver<Error>>,
}

/// The stream as the body of a request.
pub(super) fn upload<C, Req>(items: Streaming<Req>, codec: &Arc<C>, framer: Framer) -> (tonic::body::Body, Uploading)
where
    C: EncodeRequest<Req>,
    Req: 'static,
{
    let (going_on, over) = oneshot::channel();
    let (fail, failed) = oneshot::channel();
    let body = Upload { items: Some(items), codec: Arc::clone(codec), framer, over, failed: Some(fail) };
    (tonic::body::Body::new(body), Uploading { _going_on: going_on, failed: Some(failed) })
}

impl Uploading {
    /// What `poll` gives, or the error of the request's own stream where it was this that broke the call off.
    pub(super) fn poll_with<T>(
        uploading: &mut Option<Self>,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<Result<T, Error>>,
    ) -> Poll<Result<T, Error>> {
        let Some(uploading) = uploading else { return poll(cx) };
        if let Poll::Ready(own) = uploading.poll_failure(cx) {
            return Poll::Ready(Err(own));
        }
        match poll(cx) {
            // The stream may have failed meanwhile, and this may come of it.
            Poll::Ready(Err(error)) => Poll::Ready(Err(match uploading.poll_failure(cx) {
                Poll::Ready(own) => own,
                Poll::Pending => error,
            })),
            polled => polled,
        }
    }

    /// Why the request broke off, once it has done so by itself. Told once.
    fn poll_failure(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let Some(failed) = &mut self.failed else { return Poll::Pending };
        let Poll::Ready(failure) = Pin::new(failed).poll(cx) else { return Poll::Pending };
        self.failed = None;
        // All was sent, or the answer has ended the request; then the answer tells.
        failure.map_or(Poll::Pending, Poll::Ready)
    }
}

impl<C, Req> Upload<C, Req> {
    fn reset(&mut self) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        self.close();
        Poll::Ready(Some(Err(Reason::CANCEL.into())))
    }

    /// Drops the stream, which may panic; a panic here would end the connection, which may serve others.
    fn close(&mut self) {
        let items = self.items.take();
        // It has been told by the panic hook.
        let _ = caught(|| drop(items));
    }
}

impl<C: EncodeRequest<Req>, Req> Body for Upload<C, Req> {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let this = &mut *self;
        let Some(items) = &mut this.items else { return Poll::Ready(None) };
        if Pin::new(&mut this.over).poll(cx).is_ready() {
            return this.reset();
        }
        let (codec, framer) = (&*this.codec, this.framer);
        let frame = caught(|| {
            let item = Pin::new(items).poll_next(cx);
            item.map(|item| item.map(|item| framer.frame(&codec.encode_request(item?)?)))
        });
        match frame {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Some(Ok(frame)))) => Poll::Ready(Some(Ok(Frame::data(frame)))),
            Ok(Poll::Ready(None)) => {
                this.close();
                Poll::Ready(None)
            }
            Ok(Poll::Ready(Some(Err(error)))) | Err(error) => {
                if let Some(failed) = this.failed.take() {
                    // The call may be over; then nobody wants to know.
                    let _ = failed.send(error);
                }
                this.reset()
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.items.is_none()
    }
}

impl<C, Req> Drop for Upload<C, Req> {
    fn drop(&mut self) {
        self.close();
    }
}
