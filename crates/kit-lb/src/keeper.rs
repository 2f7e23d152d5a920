//! The task that keeps a set: it follows discovery, connects what is new and lets go of what is gone.

use std::error::Error as StdError;
use std::sync::Arc;

use kit_base::{Error, Event, Guard, Instance, InstanceSet, Instances, Pauses, Snapshot, Subscription, caught};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use crate::cell::Cell;
use crate::merge::merge;
use crate::record::{Live, Record, TokioClock, now};
use crate::{Set, Settings};

type BoxError = Box<dyn StdError + Send + Sync>;

/// Makes the connection to an instance.
pub(crate) type Factory<C> = Box<dyn Fn(&Instance) -> Result<C, BoxError> + Send + Sync>;

pub(crate) struct Keeper<C, K> {
    cell: Arc<Cell<C, K>>,
    factory: Factory<C>,
    classify: K,
    settings: Settings,
    pauses: Option<Pauses>,
    /// When the connections are tried again that could not be made.
    retry_at: Option<Instant>,
    told: Arc<Snapshot>,
    /// From which the records count.
    epoch: std::time::Instant,
    /// Why the last connection could not be made, while there is one.
    failure: Option<Arc<Error>>,
}

impl<C, K: Clone> Keeper<C, K> {
    pub(crate) fn new(cell: Arc<Cell<C, K>>, factory: Factory<C>, classify: K, settings: Settings) -> Self {
        let pauses = settings.retry.map(|retry| retry.pauses());
        Self {
            cell,
            factory,
            classify,
            settings,
            pauses,
            retry_at: None,
            told: Arc::default(),
            epoch: now(),
            failure: None,
        }
    }

    /// Follows the subscription until the instancer ends; connections are tried again for as long as any fails.
    pub(crate) async fn run(mut self, mut subscription: Subscription) {
        let mut ended = false;
        loop {
            let told = match (self.retry_at, ended) {
                (None, true) => return,
                (None, false) => Ok(subscription.changed().await),
                (Some(at), true) => {
                    tokio::time::sleep_until(at).await;
                    Err(())
                }
                (Some(at), false) => timeout_at(at, subscription.changed()).await.map_err(drop),
            };
            let old = match told {
                Ok(Some(told)) => self.follow(told),
                Ok(None) => {
                    ended = true;
                    continue;
                }
                Err(()) => self.retry(),
            };
            // Calls go on with the new set before the work of freeing the old one is done.
            yield_now().await;
            drop(old);
        }
    }

    /// Takes over what discovery says. Gives back the set that was replaced.
    pub(crate) fn follow(&mut self, told: Arc<Snapshot>) -> Arc<Set<C, K>> {
        self.told = told;
        self.update(false)
    }

    fn retry(&mut self) -> Arc<Set<C, K>> {
        self.retry_at = None;
        self.update(true)
    }

    fn update(&mut self, retry: bool) -> Arc<Set<C, K>> {
        let old = self.cell.set.load();
        let none = InstanceSet::default();
        let known = match &self.told.instances {
            Instances::Known(known) => known,
            Instances::Pending | Instances::Absent => &none,
        };
        let mut failure = None;
        let make = |instance: &Instance| match self.connect(instance) {
            Ok(live) => Some(live),
            Err(error) => {
                failure = Some(Arc::new(error));
                None
            }
        };
        let chunks = merge(&old, known, retry, make, |gone| self.tell("removed", &gone.id));
        let failed = chunks.iter().any(|chunk| chunk.failed > 0);
        self.failure = failure.or_else(|| self.failure.take()).filter(|_| failed);
        let old = self.cell.replace(Set::new(chunks, &old), &self.told, self.failure.clone());
        if failed && self.retry_at.is_none() {
            self.retry_at =
                self.pauses.as_mut().and_then(Iterator::next).and_then(|pause| Instant::now().checked_add(pause));
        } else if !failed {
            self.pauses.iter_mut().for_each(Pauses::reset);
            self.retry_at = None;
        }
        old
    }

    /// A connection to this instance, with an empty record.
    fn connect(&self, instance: &Instance) -> Result<Live<C, K>, Error> {
        match make(&self.factory, instance) {
            Ok(connection) => {
                self.tell("added", &instance.id);
                Ok(Guard::with(Record::new(connection, self.epoch), self.classify.clone(), now as TokioClock))
            }
            Err(error) => {
                self.tell("connect_failed", &instance.id);
                Err(error)
            }
        }
    }

    fn tell(&self, what: &'static str, key: &str) {
        self.settings.observer.observe(&Event::new("lb", what, key));
    }
}

/// A connection to this instance.
pub(crate) fn make<C>(factory: &Factory<C>, instance: &Instance) -> Result<C, Error> {
    caught(|| factory(instance)).and_then(|made| {
        made.map_err(|error| Error::unavailable("the connection could not be made").with_source(error))
    })
}
