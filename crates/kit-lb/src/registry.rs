//! A registry within the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kit_base::{Error, Instance, Instancer, Publisher, Registrar, Registration, Subscription};

use crate::record::now;

/// The instances of one service, kept in this process: for tests, for programs of several parts, and where instances are told
/// by other means. At first it is empty.
///
/// A change costs hardly more in a set of ten thousand than in one of ten. *Clones* are the same registry.
///
/// ```
/// use kit_base::{Instance, Registrar, Registration};
/// use kit_lb::Registry;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), kit_base::Error> {
/// let registry = Registry::new();
/// let registration = registry.register(Instance::new("addsvc-1", "127.0.0.1:8082")).await?;
/// registration.deregister().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Registry {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    publisher: Publisher,
    /// Which registration an id belongs to: the last one that took it.
    owners: Mutex<Owners>,
}

#[derive(Debug, Default)]
struct Owners {
    by_id: BTreeMap<String, u64>,
    last: u64,
}

impl Default for Shared {
    fn default() -> Self {
        let publisher = Publisher::new();
        publisher.publish(Vec::new(), now());
        Self { publisher, owners: Mutex::default() }
    }
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an instance in, or in the place of the one with the same id, until it is [removed](Self::remove).
    pub fn insert(&self, instance: Instance) {
        self.own(instance);
    }

    /// Takes an instance out, whoever has put it in. Says whether there was one.
    pub fn remove(&self, id: &str) -> bool {
        let mut owners = self.owners();
        let known = owners.by_id.remove(id).is_some();
        if known {
            self.shared.publisher.publish_gone(id, now());
        }
        known
    }

    fn own(&self, instance: Instance) -> u64 {
        let mut owners = self.owners();
        owners.last += 1;
        let number = owners.last;
        let id = instance.id.clone();
        // Under the lock, so that the changes come in the order of the owners.
        self.shared.publisher.publish_one(instance, now());
        owners.by_id.insert(id, number);
        number
    }

    fn owners(&self) -> MutexGuard<'_, Owners> {
        self.shared.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Instancer for Registry {
    fn subscribe(&self) -> Subscription {
        self.shared.publisher.subscribe()
    }
}

impl Registrar for Registry {
    type Registration = Registered;

    /// Never fails. An instance that has the same id is replaced, and its registration has no say any more.
    async fn register(&self, instance: Instance) -> Result<Registered, Error> {
        let id = instance.id.clone();
        let number = self.own(instance);
        Ok(Registered { registry: self.clone(), id, number })
    }
}

/// An instance in a [`Registry`]. Dropping it takes the instance out.
#[derive(Debug)]
pub struct Registered {
    registry: Registry,
    id: String,
    number: u64,
}

impl Registration for Registered {
    async fn deregister(self) -> Result<(), Error> {
        Ok(())
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut owners = self.registry.owners();
        if owners.by_id.get(&self.id) == Some(&self.number) {
            owners.by_id.remove(&self.id);
            self.registry.shared.publisher.publish_gone(&self.id, now());
        }
    }
}
