//! What an endpoint still has to say, until the deadline takes it away.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use kit_base::{Deadline, Error};
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use super::answer::passed;
use crate::within::caught;

type Items = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// The encoded items of an endpoint. Dropped, it drops what the endpoint made.
pub(super) struct Source {
    items: Arc<Mutex<Option<Items>>>,
    /// The task that waits for the deadline; it ends with this.
    waiting: Option<AbortHandle>,
}

impl Source {
    pub(super) fn new(items: impl Stream<Item = Result<Bytes, Error>> + Send + 'static) -> Self {
        Self { items: Arc::new(Mutex::new(Some(Box::pin(items)))), waiting: None }
    }

    /// From then on there are no items. A connection whose reader has stopped reading does not ask for any, and would hold
    /// the endpoint's stream and its permits for as long as it likes.
    pub(super) fn end_at(&mut self, deadline: Deadline) {
        let items = Arc::downgrade(&self.items);
        let waiting = tokio::spawn(async move {
            sleep_until(deadline.instant().into()).await;
            let Some(items) = items.upgrade() else { return };
            let items = items.lock().unwrap_or_else(PoisonError::into_inner).take();
            // A panic in it has been told by the panic hook.
            let _ = caught(|| drop(items));
        });
        self.waiting = Some(waiting.abort_handle());
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        match &mut *self.items.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(items) => items.as_mut().poll_next(cx),
            None => Poll::Ready(Some(Err(passed()))),
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Some(waiting) = &self.waiting {
            waiting.abort();
        }
    }
}
