//! Where the current set stands: written by one task, read by every call, which never waits for it.

use std::time::Duration;

use kit_base::{Deadline, Error, Origin};
use tokio::sync::Notify;

use crate::Set;
use crate::none::no_endpoints;
use crate::record::now;
use crate::swap::Swap;

/// The current set.
pub(crate) struct Cell<C, K> {
    pub(crate) set: Swap<Set<C, K>>,
    /// Told at each change, for calls that wait for the first set.
    changed: Notify,
    first_wait: Duration,
}

impl<C, K> Cell<C, K> {
    pub(crate) fn new(first_wait: Duration) -> Self {
        let set = Swap::new(Set::default());
        Self { set, changed: Notify::new(), first_wait }
    }

    /// Puts a new set in the place of the old one.
    pub(crate) fn replace(&self, set: Set<C, K>) {
        self.set.replace(set);
        self.changed.notify_waiters();
    }

    /// Waits until a look at the set finds something, as long as the call may wait.
    #[cold]
    pub(crate) async fn wait<T>(
        &self,
        deadline: Option<Deadline>,
        look: impl Fn() -> Option<Result<T, Error>>,
    ) -> Result<T, Error> {
        let begun = now();
        let end = begun.checked_add(self.first_wait);
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if let Some(found) = look() {
                    return found;
                }
                changed.await;
            }
        };
        let last = deadline.and_then(|deadline| begun.checked_add(deadline.left(begun)));
        let within = [end, last].into_iter().flatten().min();
        let Some(within) = within else { return wait.await };
        match tokio::time::timeout_at(within.into(), wait).await {
            Ok(found) => found,
            Err(_) if deadline.is_some_and(|deadline| deadline.has_passed(now())) => {
                let message = "the deadline passed before any instance was known";
                Err(Error::deadline_exceeded(message).with_origin(Origin::NotSent))
            }
            Err(_) => Err(no_endpoints(&format!("the registry has told nothing within {:?}", self.first_wait))),
        }
    }
}
