//! The body of an answer on its way to the client: it tells the finalizers when it is over, and ends at the deadline.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use kit_base::{Deadline, Error, caught};
use tokio::time::{Sleep, sleep_until};

use super::failure::BoxError;
use super::forward::passed;
use super::hooks::Finalizing;
use crate::expiring::Expiring;

pub(super) struct Download<B> {
    /// None when it is over, so that the backend's request ends at once.
    body: Option<Expiring<Pin<Box<B>>>>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// None when the finalizers have run.
    finalizing: Option<Finalizing>,
    grpc: bool,
}

impl<B: HttpBody + Send + 'static> Download<B> {
    pub(super) fn new(body: B, deadline: Option<Deadline>, finalizing: Finalizing, grpc: bool) -> Self {
        let mut body = Expiring::new(Box::pin(body));
        let timer = deadline.map(|deadline| {
            body.end_at(deadline);
            Box::pin(sleep_until(deadline.instant().into()))
        });
        Self { body: Some(body), deadline: timer, finalizing: Some(finalizing), grpc }
    }
}

impl<B: HttpBody<Error: Into<BoxError>>> Download<B> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Ended>>> {
        let Some(body) = &self.body else { return Poll::Ready(None) };
        if self.deadline.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Some(Err(Ended::Here(passed()))));
        }
        let polled = caught(|| {
            body.look(|body| match body {
                None => Poll::Ready(Some(Err(Ended::Here(passed())))),
                Some(body) => body.as_mut().poll_frame(cx).map_err(|error| Ended::There(error.into())),
            })
        });
        let frame = ready!(polled.unwrap_or_else(|panic| Poll::Ready(Some(Err(Ended::Here(panic))))));
        Poll::Ready(
            frame.map(|frame| frame.map(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))),
        )
    }

    /// Nothing more is asked of the backend.
    fn close(&mut self, error: Option<&Error>) {
        let body = self.body.take();
        // A panic in it has been told by the panic hook.
        let _ = caught(|| drop(body));
        self.finish(error);
    }

    fn finish(&mut self, error: Option<&Error>) {
        if let Some(finalizing) = self.finalizing.take() {
            finalizing.finish(error);
        }
    }
}

/// Why an answer ends before its end.
enum Ended {
    /// By the deadline, or by a panic in this process.
    Here(Error),
    /// At the backend.
    There(BoxError),
}

impl<B: HttpBody<Error: Into<BoxError>>> HttpBody for Download<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match ready!(self.poll(cx)) {
            Some(Ok(frame)) => frame,
            None => {
                self.close(None);
                return Poll::Ready(None);
            }
            Some(Err(Ended::There(error))) => {
                self.close(Some(&Error::unavailable(BROKEN).with_source(error.to_string())));
                return Poll::Ready(Some(Err(error)));
            }
            Some(Err(Ended::Here(error))) => {
                self.close(Some(&error));
                // Callers of gRPC look for the status in trailers; all others must not take what came for the whole.
                if !self.grpc {
                    return Poll::Ready(Some(Err(error.into())));
                }
                let mut trailers = HeaderMap::new();
                error.write_grpc_status(&mut trailers);
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
        };
        if let (Some(finalizing), Some(data)) = (self.finalizing.as_mut(), frame.data_ref()) {
            finalizing.bytes += data.len() as u64;
        }
        // Nobody is bound to ask once more.
        if frame.is_trailers() || self.is_end_stream() {
            self.finish(None);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        let ends = |body: Option<&mut Pin<Box<B>>>| body.is_some_and(|body| body.is_end_stream());
        self.body.as_ref().is_none_or(|body| body.look(ends))
    }

    fn size_hint(&self) -> SizeHint {
        let hint = |body: Option<&mut Pin<Box<B>>>| body.map_or_else(SizeHint::default, |body| body.size_hint());
        self.body.as_ref().map_or(SizeHint::with_exact(0), |body| body.look(hint))
    }
}

const BROKEN: &str = "the backend's answer broke off";
