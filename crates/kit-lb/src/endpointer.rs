//! The live set: from an instancer and a factory, and the balancers over it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex};

use kit_base::{Instance, Instancer, Standard};
use tokio::task::AbortHandle;

use crate::balancer::Balancer;
use crate::cell::Cell;
use crate::connect::Numbers;
use crate::keeper::{Factory, Keeper};
use crate::snapshot::SetSnapshot;
use crate::{Choice, LeastLoaded, Settings};

/// The instances of a service that discovery tells of, each with one connection, made by a factory.
///
/// Balancers over it share the connections and their records. An instance keeps both for as long as discovery tells of it
/// under the same id, address, scheme and server name; weight, zone, tags and metadata may change. A connection is dropped
/// when its instance is gone and the last call on it has ended, streams included.
///
/// *Clones* share everything. When the last of them and of their balancers is dropped, the task that follows discovery ends at
/// once, and so does the instancer that was given.
#[doc(alias = "DefaultEndpointer")]
pub struct Endpointer<C, K = Standard> {
    pub(crate) shared: Arc<Shared<C, K>>,
}

pub(crate) struct Shared<C, K> {
    pub(crate) cell: Arc<Cell<C, K>>,
    pub(crate) numbers: Mutex<Numbers>,
    keeper: AbortHandle,
}

impl<C, K> Drop for Shared<C, K> {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl<C: Send + Sync + 'static> Endpointer<C> {
    /// Follows this instancer, and makes a connection to each instance by the factory: one of kit's clients, an endpoint, a tower
    /// service in a [`FromService`](kit_base::FromService), or what else has to do with one instance.
    ///
    /// The factory must not wait: let it make what connects when it is first called, as kit's clients and tonic's
    /// `connect_lazy` do. One that fails, or panics, is [tried again](Settings::retry); its instance is not called before.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new<I, F, E>(instancer: I, factory: F) -> Self
    where
        I: Instancer + 'static,
        F: Fn(&Instance) -> Result<C, E> + Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self::with(Settings::default(), Standard, instancer, factory)
    }
}

impl<C: Send + Sync + 'static, K: Clone + Send + Sync + 'static> Endpointer<C, K> {
    /// The same with these settings, and with another way to judge how a call went ([`Standard`] is the usual one).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn with<I, F, E>(settings: Settings, classify: K, instancer: I, factory: F) -> Self
    where
        I: Instancer + 'static,
        F: Fn(&Instance) -> Result<C, E> + Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let cell = Arc::new(Cell::new(settings.first_wait));
        let factory: Factory<C> = Box::new(move |instance| factory(instance).map_err(Into::into));
        let mut keeper = Keeper::new(Arc::clone(&cell), factory, classify, settings);
        let subscription = instancer.subscribe();
        // What is known already can be called at once.
        drop(keeper.follow(subscription.current()));
        let keeping = async move {
            keeper.run(subscription).await;
            // It lives for as long as it is followed, and what its end said stays.
            drop(instancer);
        };
        let keeper = tokio::spawn(keeping).abort_handle();
        Self { shared: Arc::new(Shared { cell, numbers: Mutex::default(), keeper }) }
    }
}

impl<C, K> Endpointer<C, K> {
    /// Balances over the set: each call goes to the [less loaded of two](LeastLoaded).
    pub fn balancer(&self) -> Balancer<C, LeastLoaded, K> {
        self.balanced_by(LeastLoaded)
    }

    /// Balances over the set by this choice.
    pub fn balanced_by<Ch: Choice>(&self, choice: Ch) -> Balancer<C, Ch, K> {
        Balancer::new(self.clone(), choice)
    }

    /// The set as it is now.
    pub fn snapshot(&self) -> SetSnapshot {
        SetSnapshot::of(&self.shared.cell)
    }
}

impl<C, K> Clone for Endpointer<C, K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C, K> fmt::Debug for Endpointer<C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpointer").field("snapshot", &self.snapshot()).finish()
    }
}
