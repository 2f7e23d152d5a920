//! Where the current set stands: written by one task, read by every call without a lock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kit_base::{Deadline, Error, Instances, Origin, Snapshot};
use tokio::sync::Notify;

use crate::Set;
use crate::record::now;
use crate::swap::Swap;

/// The current set, and why there is nothing in it if there is not.
pub(crate) struct Cell<C, K> {
    pub(crate) set: Swap<Set<C, K>>,
    /// What discovery said last, and why the last connection could not be made.
    state: Mutex<State>,
    /// Told at each change, for calls that wait for the first set.
    changed: Notify,
    first_wait: Duration,
}

#[derive(Clone, Default)]
struct State {
    told: Arc<Snapshot>,
    failure: Option<Arc<Error>>,
}

impl<C, K> Cell<C, K> {
    pub(crate) fn new(first_wait: Duration) -> Self {
        let (set, state) = (Swap::new(Set::default()), Mutex::default());
        Self { set, state, changed: Notify::new(), first_wait }
    }

    /// Puts a new set in the place of the old one, which no call reads any more then.
    pub(crate) fn replace(&self, set: Set<C, K>, told: &Arc<Snapshot>, failure: Option<Arc<Error>>) -> Arc<Set<C, K>> {
        let old = self.set.replace(set);
        self.say(told, failure);
        old
    }

    /// Takes note of what discovery says where the set stays as it is.
    pub(crate) fn say(&self, told: &Arc<Snapshot>, failure: Option<Arc<Error>>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State { told: Arc::clone(told), failure };
        self.changed.notify_waiters();
    }

    fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn told(&self) -> Arc<Snapshot> {
        self.state().told
    }

    /// Why no instance can be called; nothing while none is known yet, and so it is worth to wait.
    #[cold]
    pub(crate) fn why_none(&self) -> Option<Error> {
        let State { told, failure } = self.state();
        let (what, cause) = match &told.instances {
            Instances::Pending => ("the registry cannot be asked", Some(told.error.clone()?)),
            Instances::Absent => ("the registry does not know the service", told.error.clone()),
            Instances::Known(known) if known.is_empty() => ("the service has no instances", told.error.clone()),
            Instances::Known(_) if failure.is_some() => ("no instance can be connected", failure),
            Instances::Known(_) => ("every instance has the weight 0", None),
        };
        let error = Error::unavailable(format!("no endpoints available: {what}")).with_origin(Origin::NotSent);
        Some(match cause {
            Some(cause) => error.with_source(cause),
            None => error,
        })
    }

    /// Waits until something is known, as long as the call may wait.
    #[cold]
    pub(crate) async fn known(&self, deadline: Option<Deadline>) -> Result<(), Error> {
        let begun = now();
        let end = begun.checked_add(self.first_wait);
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if !self.set.read().is_empty() {
                    return Ok(());
                }
                if let Some(error) = self.why_none() {
                    return Err(error);
                }
                changed.await;
            }
        };
        let last = deadline.and_then(|deadline| begun.checked_add(deadline.left(begun)));
        let within = [end, last].into_iter().flatten().min();
        let Some(within) = within else { return wait.await };
        match tokio::time::timeout_at(within.into(), wait).await {
            Ok(known) => known,
            Err(_) if deadline.is_some_and(|deadline| deadline.has_passed(now())) => {
                let message = "the deadline passed before any instance was known";
                Err(Error::deadline_exceeded(message).with_origin(Origin::NotSent))
            }
            Err(_) => {
                let message =
                    format!("no endpoints available: the registry has told nothing within {:?}", self.first_wait);
                Err(Error::unavailable(message).with_origin(Origin::NotSent))
            }
        }
    }
}
