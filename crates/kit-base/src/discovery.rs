//! Who finds instances, who announces them, and the cell through which every finder publishes.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::{Error, Instance, InstanceSet};

/// A source of the instances of one service.
#[doc(alias = "Discover")]
#[doc(alias = "Resolver")]
pub trait Instancer: Send + Sync {
    /// Subscribes to the full set: the current one at once, then each change. Dropping the subscription unsubscribes.
    fn subscribe(&self) -> Subscription;
}

/// Announces an instance of this process to a registry.
#[doc(alias = "Announcer")]
pub trait Registrar: Send + Sync {
    /// What keeps the instance registered.
    type Registration: Registration;

    /// Registers the instance and keeps it so, through restarts of the registry, until the registration ends.
    fn register(&self, instance: Instance) -> impl Future<Output = Result<Self::Registration, Error>> + Send;
}

/// A registration that keeps itself alive. Dropping it deregisters too, at best effort.
pub trait Registration: Send {
    /// Ends the registration, and says whether the registry knows of it.
    fn deregister(self) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What is known of the instances of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a balancer must decide on every state")]
pub enum Instances {
    /// Nothing yet.
    #[default]
    Pending,
    /// This full set; it may be empty.
    Known(InstanceSet),
    /// The registry does not know the service.
    Absent,
}

/// The last good set, and what went wrong since.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// What is known; the last known good where the registry fails.
    pub instances: Instances,
    /// When the registry last said so.
    pub since: Option<Instant>,
    /// Why the registry cannot be asked now; nothing while all is well.
    pub error: Option<Arc<Error>>,
}

impl Snapshot {
    fn known(&self) -> InstanceSet {
        if let Instances::Known(known) = &self.instances { known.clone() } else { InstanceSet::default() }
    }
}

/// The cell through which an [`Instancer`] publishes. Needs no runtime; clones publish into the same cell.
///
/// When the last publisher is gone, subscribers see the end after the last snapshot.
#[derive(Clone, Debug, Default)]
pub struct Publisher(Arc<Publishers>);

/// What the clones of a publisher share; dropped with the last of them.
#[derive(Debug, Default)]
struct Publishers(Arc<Cell>);

impl Drop for Publishers {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.ended = true;
            true
        });
    }
}

#[derive(Debug, Default)]
struct Cell(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    snapshot: Arc<Snapshot>,
    version: u64,
    ended: bool,
    subscriptions: u64,
    /// By subscription, so that one that is dropped leaves none behind.
    wakers: BTreeMap<u64, Waker>,
}

impl Cell {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes the subscribers where that is news to them. Wakers, and errors that are over, hold what
    /// is not ours, so nothing of them is called under the lock.
    fn change(&self, change: impl FnOnce(&mut State) -> bool) {
        let mut state = self.lock();
        let _before = Arc::clone(&state.snapshot);
        let wakers = if change(&mut state) { mem::take(&mut state.wakers) } else { BTreeMap::new() };
        drop(state);
        wakers.into_values().for_each(Waker::wake);
    }
}

impl Publisher {
    /// A cell that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Publishes the full set that the registry gave at this time. Subscribers are woken when the set differs from the
    /// last one, or an error is over. Of several with one id the last one stays.
    pub fn publish(&self, mut instances: Vec<Instance>, now: Instant) {
        // Not under the lock: ten thousand instances take a while. What was known already is dropped after all are woken.
        let known = self.subscribe().current().known().renewed(&mut instances);
        self.set(|_| Instances::Known(known), now);
    }

    /// Publishes that this instance is new, or is now this; the others stay. Where no set is known it is the only one, so a
    /// registry that tells of changes alone is asked for the full set first.
    ///
    /// The cost hardly grows with the set, as that of [`publish_gone`](Self::publish_gone).
    pub fn publish_one(&self, instance: Instance, now: Instant) {
        let id = instance.id.clone();
        self.set(|known| Instances::Known(known.with(&id, Some(instance))), now);
    }

    /// Publishes that the instance of this id is gone; the others stay.
    pub fn publish_gone(&self, id: &str, now: Instant) {
        self.set(|known| Instances::Known(known.with(id, None)), now);
    }

    /// Publishes that the registry does not know the service.
    pub fn publish_absent(&self, now: Instant) {
        self.set(|_| Instances::Absent, now);
    }

    fn set(&self, change: impl FnOnce(&InstanceSet) -> Instances, now: Instant) {
        self.amend(|snapshot| {
            let instances = change(&snapshot.known());
            let news = snapshot.instances != instances || snapshot.error.is_some();
            *snapshot = Snapshot { instances, since: Some(now), error: None };
            news
        });
    }

    /// Publishes that the registry cannot be asked. The last known good set stays.
    pub fn fail(&self, error: Error) {
        self.amend(|snapshot| {
            snapshot.error = Some(Arc::new(error));
            true
        });
    }

    /// Forgets a set that is too old to be trusted: nothing is known any more. The error stays, and the time.
    pub fn expire(&self) {
        self.amend(|snapshot| mem::take(&mut snapshot.instances) != Instances::Pending);
    }

    fn amend(&self, change: impl FnOnce(&mut Snapshot) -> bool) {
        self.0.0.change(|state| {
            let news = change(Arc::make_mut(&mut state.snapshot));
            state.version += u64::from(news);
            news
        });
    }
}

impl Instancer for Publisher {
    fn subscribe(&self) -> Subscription {
        let cell = Arc::clone(&self.0.0);
        let mut state = cell.lock();
        state.subscriptions += 1;
        let id = state.subscriptions;
        drop(state);
        Subscription { cell, id, seen: None }
    }
}

/// A subscription to the instances of one service.
#[derive(Debug)]
pub struct Subscription {
    cell: Arc<Cell>,
    id: u64,
    seen: Option<u64>,
}

impl Subscription {
    /// The current snapshot, without waiting.
    pub fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.cell.lock().snapshot)
    }

    /// The current snapshot at the first call, and then the newest one after each change; changes in between are
    /// skipped. Nothing when the instancer has ended.
    ///
    /// *Cancellation:* nothing is lost when the future is dropped.
    pub async fn changed(&mut self) -> Option<Arc<Snapshot>> {
        poll_fn(|cx| self.poll_changed(cx)).await
    }

    /// The same as a poll.
    pub fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<Option<Arc<Snapshot>>> {
        let mut state = self.cell.lock();
        if self.seen != Some(state.version) {
            self.seen = Some(state.version);
            return Poll::Ready(Some(Arc::clone(&state.snapshot)));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        let replaced = state.wakers.insert(self.id, cx.waker().clone());
        // The last handle of a task may drop subscriptions, so no waker goes under the lock.
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let _waker = self.cell.lock().wakers.remove(&self.id);
    }
}
