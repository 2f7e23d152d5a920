//! A protocol double: answers in the form of Consul's health endpoint, and what a subscriber sees of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kit_base::{Backoff, Error, Instances, Snapshot, Subscription};
use kit_sd_consul::{Consul, ServiceQuery};
use kit_testing::backend::Reply;
use reqwest::Client;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tokio::time::timeout;

/// How long a test waits for what should be there at once.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A healthy instance of `addsvc`, `n1/<id>` at 10.0.0.1:80.
pub(crate) fn entry(id: &str) -> Value {
    json!({
        "Node": {"Node": "n1", "Address": "10.0.0.1"},
        "Service": {"ID": id, "Service": "addsvc", "Address": "", "Port": 80},
        "Checks": [{"CheckID": "serfHealth", "Status": "passing"}],
    })
}

/// An answer with healthy instances.
pub(crate) fn found(index: u64, ids: &[&str]) -> Reply {
    answer(index, &ids.iter().map(|id| entry(id)).collect())
}

/// An answer of these entries.
pub(crate) fn answer(index: u64, entries: &Value) -> Reply {
    Reply::json(entries.to_string())
        .header("x-consul-index", &index.to_string())
        .header("x-consul-knownleader", "true")
        .header("x-consul-lastcontact", "0")
}

/// The parameter of the query, if it is there.
pub(crate) fn parameter<'a>(uri: &'a http::Uri, name: &str) -> Option<&'a str> {
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// A handle whose client follows no redirects, as it should be.
pub(crate) fn consul(addr: SocketAddr) -> Consul {
    let client = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    Consul::new(client, &addr.to_string()).unwrap()
}

/// `addsvc` with short pauses, so that tests are quick.
pub(crate) fn quick(consul: &Consul) -> ServiceQuery {
    let pauses = Backoff::new(Duration::from_millis(20), Duration::from_millis(100)).unwrap();
    consul.service("addsvc").min_interval(Duration::from_millis(20)).backoff(pauses)
}

/// The ids of the known set, without the node; `["absent"]` and `["pending"]` where there is none.
pub(crate) fn ids(snapshot: &Snapshot) -> Vec<String> {
    match &snapshot.instances {
        Instances::Known(set) => {
            set.iter().map(|instance| instance.id.rsplit('/').next().unwrap().to_owned()).collect()
        }
        Instances::Absent => vec!["absent".into()],
        Instances::Pending => vec!["pending".into()],
    }
}

/// The first snapshot from now on of which this is true.
pub(crate) async fn until(changes: &mut Subscription, wanted: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let current = changes.current();
    if wanted(&current) {
        return current;
    }
    let found = timeout(SOON, async {
        while let Some(snapshot) = changes.changed().await {
            if wanted(&snapshot) {
                return snapshot;
            }
        }
        panic!("the instancer ended");
    });
    let Ok(found) = found.await else { panic!("not seen in {SOON:?}, but {:?}", changes.current()) };
    found
}

/// The first good snapshot with exactly these.
pub(crate) async fn shows(changes: &mut Subscription, wanted: &[&str]) -> Arc<Snapshot> {
    until(changes, |snapshot| snapshot.error.is_none() && ids(snapshot) == wanted).await
}

/// The first snapshot with an error.
pub(crate) async fn fails(changes: &mut Subscription) -> (Arc<Snapshot>, Arc<Error>) {
    let snapshot = until(changes, |snapshot| snapshot.error.is_some()).await;
    let error = snapshot.error.clone().unwrap();
    (snapshot, error)
}
