//! What is taken away at a deadline, whether anybody asks for it or not.

use std::sync::{Arc, Mutex, PoisonError};

use kit_base::{Deadline, caught};
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

/// What a body still has to give. Dropped, it drops that.
pub(crate) struct Expiring<T> {
    held: Arc<Mutex<Option<T>>>,
    /// The task that waits for the deadline; it ends with this.
    waiting: Option<AbortHandle>,
}

impl<T: Send + 'static> Expiring<T> {
    /// From the deadline on there is nothing. A connection whose reader has stopped reading does not ask for anything, and
    /// would hold a stream and its permits for as long as it likes.
    pub(crate) fn end_at(&mut self, deadline: Deadline) {
        let held = Arc::downgrade(&self.held);
        let waiting = tokio::spawn(async move {
            sleep_until(deadline.instant().into()).await;
            let Some(held) = held.upgrade() else { return };
            let held = held.lock().unwrap_or_else(PoisonError::into_inner).take();
            // A panic in it has been told by the panic hook.
            let _ = caught(|| drop(held));
        });
        self.waiting = Some(waiting.abort_handle());
    }
}

impl<T> Expiring<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { held: Arc::new(Mutex::new(Some(value))), waiting: None }
    }

    /// A look at what there is; nothing once the deadline has taken it.
    pub(crate) fn look<R>(&self, look: impl FnOnce(Option<&mut T>) -> R) -> R {
        look(self.held.lock().unwrap_or_else(PoisonError::into_inner).as_mut())
    }
}

impl<T> Drop for Expiring<T> {
    fn drop(&mut self) {
        if let Some(waiting) = &self.waiting {
            waiting.abort();
        }
    }
}
