//! The body of an answer on its way to the client: it tells the finalizers when it is over, and ends at the deadline.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use kit_base::Error;
use pin_project_lite::pin_project;
use tokio::time::Sleep;

use super::failure::BoxError;
use super::forward::passed;
use super::hooks::Finalizing;

pin_project! {
    pub(super) struct Download<B> {
        // None when it is over, so that the backend's request ends at once.
        #[pin]
        body: Option<B>,
        #[pin]
        deadline: Option<Sleep>,
        // None when the finalizers have run.
        finalizing: Option<Finalizing>,
        grpc: bool,
    }
}

impl<B: HttpBody> Download<B> {
    pub(super) fn new(body: B, deadline: Option<Sleep>, finalizing: Finalizing, grpc: bool) -> Self {
        Self { body: Some(body), deadline, finalizing: Some(finalizing), grpc }
    }
}

impl<B: HttpBody<Error: Into<BoxError>>> HttpBody for Download<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        if this.deadline.as_mut().as_pin_mut().is_some_and(|sleep| sleep.poll(cx).is_ready()) {
            this.body.set(None);
            let error = passed();
            finish(this.finalizing, Some(&error));
            // Callers of gRPC look for the status in trailers; all others must not take what came for the whole.
            if !*this.grpc {
                return Poll::Ready(Some(Err(error.into())));
            }
            let mut trailers = HeaderMap::new();
            error.write_grpc_status(&mut trailers);
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        let frame = match ready!(body.poll_frame(cx)) {
            None => {
                this.body.set(None);
                finish(this.finalizing, None);
                return Poll::Ready(None);
            }
            Some(Err(error)) => {
                this.body.set(None);
                let error: BoxError = error.into();
                finish(this.finalizing, Some(&Error::unavailable(BROKEN).with_source(error.to_string())));
                return Poll::Ready(Some(Err(error)));
            }
            Some(Ok(frame)) => frame.map_data(|mut data| data.copy_to_bytes(data.remaining())),
        };
        if let (Some(finalizing), Some(data)) = (this.finalizing.as_mut(), frame.data_ref()) {
            finalizing.bytes += data.len() as u64;
        }
        // Nobody is bound to ask once more.
        if frame.is_trailers() || this.body.as_ref().as_pin_ref().is_some_and(|body| body.is_end_stream()) {
            finish(this.finalizing, None);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

const BROKEN: &str = "the backend's answer broke off";

fn finish(finalizing: &mut Option<Finalizing>, error: Option<&Error>) {
    if let Some(finalizing) = finalizing.take() {
        finalizing.finish(error);
    }
}
