//! Registrations, against the real agent and against one that fails as told.

mod acl;
mod checks;
mod deep;
mod double;
mod fields;
mod leave;
mod outage;
mod update;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kit_base::{Backoff, Event, Instance};
use kit_sd_consul::{Check, Consul, ConsulRegistrar};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::agent::Agent;

/// For what comes by itself, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A registrar that does not make tests wait: a heartbeat each second, pauses from 50 ms to 200 ms.
pub(crate) fn quick(consul: &Consul) -> ConsulRegistrar {
    let backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(200)).unwrap();
    let check = Check::ttl(Duration::from_secs(3));
    consul.registrar("addsvc").check(check).backoff(backoff).poll_interval(Duration::from_secs(1))
}

pub(crate) fn instance() -> Instance {
    Instance::new("addsvc-1", "127.0.0.1:8081")
}

/// What `/v1/health/service` says of the service.
pub(crate) async fn entries(agent: &Agent) -> Vec<Value> {
    agent.get("/v1/health/service/addsvc").await.as_array().cloned().unwrap_or_default()
}

/// Whether the catalog has the check of the only instance in this state.
pub(crate) async fn is(agent: &Agent, status: &str) -> bool {
    let entries = entries(agent).await;
    let checks = entries.first().and_then(|entry| entry["Checks"].as_array());
    checks.is_some_and(|checks| {
        checks.iter().any(|check| check["CheckID"] == "service:addsvc-1" && check["Status"] == status)
    })
}

/// What the check says, at the agent: the catalog learns of a mere change of words minutes later.
pub(crate) async fn output(agent: &Agent) -> String {
    let checks = agent.get("/v1/agent/checks").await;
    checks["service:addsvc-1"]["Output"].as_str().unwrap_or_default().to_owned()
}

/// Waits until it is so, and says how long that took.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) -> Duration {
    let begun = Instant::now();
    let wait = async {
        while !so().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, wait).await.unwrap_or_else(|_| panic!("not within {SOON:?}: {what}"));
    begun.elapsed()
}

/// The events so far.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<String>>>);

impl Events {
    pub(crate) fn observer(&self) -> impl Fn(&Event<'_>) + Send + Sync + use<> {
        let events = self.0.clone();
        move |event: &Event<'_>| events.lock().unwrap().push(format!("{} {} {}", event.source, event.what, event.key))
    }

    /// What happened to the only instance.
    pub(crate) fn what(&self) -> Vec<String> {
        let events = self.0.lock().unwrap();
        let strip = |event: &String| event.strip_prefix("registrar ")?.strip_suffix(" addsvc-1").map(str::to_owned);
        events.iter().map(|event| strip(event).expect("an event of the registrar")).collect()
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.what().iter().filter(|event| *event == what).count()
    }
}
