//! The live set as one can read it.

use std::sync::Arc;
use std::time::Instant;

use kit_base::{Error, Instance, Instances, Snapshot};

use crate::Set;
use crate::record::Live;

/// A live set at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SetSnapshot {
    /// What discovery says: nothing yet, a set, or that it does not know the service.
    pub told: Instances,
    /// When discovery last said so, whether that was news or not.
    pub since: Option<Instant>,
    /// Why discovery cannot be asked now; nothing while all is well.
    pub error: Option<Arc<Error>>,
    /// Each instance of the set, in the order of the ids.
    pub members: Vec<Member>,
}

/// An instance of a live set, and how its calls went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Member {
    /// What discovery says of it.
    pub instance: Arc<Instance>,
    /// Whether there is a connection; not where the factory fails.
    pub connected: bool,
    /// Calls that run now, streams that are read included.
    pub in_flight: u64,
    /// Calls that have begun since it was connected.
    pub calls: u64,
    /// Those of them that have failed, as breakers count it: not by the caller's fault, nor because it had too much to do.
    pub failures: u64,
    /// Whether it is passed over now, because it could not be reached or has asked for calm.
    pub resting: bool,
}

impl SetSnapshot {
    pub(crate) fn of<C, K>(set: &Set<C, K>, newest: &Snapshot) -> Self {
        let told = if newest.instances == set.basis.told.instances { newest } else { &*set.basis.told };
        let members = set.chunks().iter().flat_map(|chunk| &chunk.entries).map(|entry| {
            let stats = entry.live.as_ref().map(|live: &Live<C, K>| &live.gate().stats);
            Member {
                instance: Arc::clone(&entry.instance),
                connected: stats.is_some(),
                in_flight: stats.map_or(0, |stats| stats.in_flight()),
                calls: stats.map_or(0, |stats| stats.started()),
                failures: stats.map_or(0, |stats| stats.failed()),
                resting: stats.is_some_and(|stats| stats.rests()),
            }
        });
        let members = members.collect();
        Self { told: told.instances.clone(), since: told.since, error: told.error.clone(), members }
    }
}
