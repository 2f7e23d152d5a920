//! The end of a set that became too old.

use std::future::pending;
use std::time::Duration;

use kit_base::{Instancer, Instances, Publisher, Snapshot};
use tokio::time::{Instant, sleep_until};

/// Forgets the set as soon as it is older than `max` while the registry cannot be asked. Never ends.
pub(crate) async fn forget_after(max: Option<Duration>, publisher: &Publisher, forgotten: impl Fn()) {
    let mut changes = publisher.subscribe();
    loop {
        let due = max.and_then(|max| due(&changes.current(), max));
        let due = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            // A set that came meanwhile is not forgotten.
            _ = changes.changed() => {}
            () = due => {
                publisher.expire();
                forgotten();
            }
        }
    }
}

fn due(snapshot: &Snapshot, max: Duration) -> Option<Instant> {
    let failing = snapshot.error.is_some() && snapshot.instances != Instances::Pending;
    failing.then_some(snapshot.since)?.and_then(|since| Instant::from_std(since).checked_add(max))
}
