//! What ends by itself at a deadline, whether anybody asks for it or not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use kit_base::Deadline;
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

/// What a stream still has to give.
pub(crate) trait Expire {
    /// What is left at the deadline.
    type End;

    /// The deadline has passed: drops what is held, and tells whoever is to know. It does not panic.
    fn expire(self) -> Self::End;
}

/// Something with a deadline. Whoever drops this takes what it holds first, or leaves it to be dropped.
pub(crate) struct Expiring<T: Expire> {
    held: Arc<Mutex<Held<T>>>,
    /// The task that waits for the deadline; it ends with this.
    waiting: Option<AbortHandle>,
}

struct Held<T: Expire> {
    value: Option<T>,
    /// What the deadline has left of it.
    end: Option<T::End>,
    /// Who waits for either.
    waker: Option<Waker>,
}

impl<T: Expire> Expiring<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { held: Arc::new(Mutex::new(Held { value: Some(value), end: None, waker: None })), waiting: None }
    }

    /// Ends it at the deadline. A connection whose reader has stopped reading asks for nothing, and would hold a stream and its
    /// permits for as long as it likes.
    pub(crate) fn end_at(&mut self, deadline: Deadline)
    where
        T: Send + 'static,
        T::End: Send,
    {
        let weak = Arc::downgrade(&self.held);
        let waiting = tokio::spawn(async move {
            sleep_until(deadline.instant().into()).await;
            let Some(held) = weak.upgrade() else { return };
            let Some(value) = lock(&held).value.take() else { return };
            // Not under the lock: this is users' code, and may take its time.
            let end = value.expire();
            let mut held = lock(&held);
            held.end = Some(end);
            if let Some(waker) = held.waker.take() {
                waker.wake();
            }
        });
        self.waiting = Some(waiting.abort_handle());
    }

    /// Asks what there is, which may be taken, or gives the end that the deadline has left.
    pub(crate) fn poll<R>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Option<T>, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<Result<R, T::End>> {
        let mut held = lock(&self.held);
        if let Some(end) = held.end.take() {
            return Poll::Ready(Err(end));
        }
        if held.value.is_some()
            && let Poll::Ready(polled) = poll(&mut held.value, cx)
        {
            return Poll::Ready(Ok(polled));
        }
        if self.waiting.is_some() && !held.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            held.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// What there is; nothing if the deadline has taken it.
    pub(crate) fn take(&self) -> Option<T> {
        lock(&self.held).value.take()
    }

    /// A look at what there is; nothing once the deadline has taken it.
    #[cfg(feature = "server")]
    pub(crate) fn look<R>(&self, look: impl FnOnce(Option<&mut T>) -> R) -> R {
        look(lock(&self.held).value.as_mut())
    }
}

/// A panic under the lock is one of users' code, and leaves nothing half done.
fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Expire> Drop for Expiring<T> {
    fn drop(&mut self) {
        if let Some(waiting) = &self.waiting {
            waiting.abort();
        }
    }
}
