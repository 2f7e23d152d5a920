//! The body of a request on its way to the backend, and what is known of it meanwhile.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use kit_base::caught;
use pin_project_lite::pin_project;

use super::failure::{BoxError, reason_of_broken};
use crate::within::Moves;

/// How far an upload is. In the extensions of the request to the backend, so that it is there whatever layers do.
#[derive(Clone, Debug)]
pub(super) struct Upload(Arc<State>);

#[derive(Debug)]
struct State {
    moves: Moves,
    /// The client is waited for.
    waiting: AtomicBool,
    broken: OnceLock<&'static str>,
}

impl Upload {
    pub(super) fn new(started: Instant) -> Self {
        let (moves, waiting, broken) = (Moves::since(started), AtomicBool::new(false), OnceLock::new());
        Self(Arc::new(State { moves, waiting, broken }))
    }

    /// When something last moved, if it did.
    pub(super) fn moved(&self) -> Option<Instant> {
        self.0.moves.last()
    }

    /// Whether it is the client that keeps the backend waiting.
    pub(super) fn waits_for_client(&self) -> bool {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Why the body broke off at the client, if it did.
    pub(super) fn broken(&self) -> Option<&'static str> {
        self.0.broken.get().copied()
    }

    fn note<T>(&self, polled: &Poll<Option<Result<T, BoxError>>>) {
        self.0.waiting.store(polled.is_pending(), Ordering::Relaxed);
        if let Poll::Ready(Some(Err(error))) = polled {
            let _ = self.0.broken.set(reason_of_broken(&**error));
        }
        if polled.is_ready() {
            self.0.moves.note();
        }
    }
}

pin_project! {
    /// The body itself, whatever its types: its frames pass unchanged, when they are asked for.
    #[derive(Debug)]
    pub(super) struct UploadBody<B> {
        #[pin]
        body: B,
        upload: Option<Upload>,
    }
}

impl<B> UploadBody<B> {
    pub(super) fn new(body: B, upload: Option<Upload>) -> Self {
        Self { body, upload }
    }
}

impl<B: HttpBody<Error: Into<BoxError>>> HttpBody for UploadBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let body = this.body;
        // A panic here would be one of the backend's connection, and so a failure of the backend.
        let polled = caught(|| body.poll_frame(cx));
        let polled =
            polled.map_or_else(|panic| Poll::Ready(Some(Err(panic.into()))), |polled| polled.map_err(Into::into));
        if let Some(upload) = this.upload {
            upload.note(&polled);
        }
        polled.map_ok(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
