//! Changes in place leave no gap.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use kit_base::{Instance, Kind, Registrar as _};
use kit_sd_consul::{Check, Consul, ConsulRegistrar};
use kit_testing::backend::{Backend, Reply};
use serde_json::json;
use tokio::time::timeout;

use super::{Events, entries, instance, is, quick, until};
use crate::agent::{Agent, client};

fn changed() -> Instance {
    let mut instance = Instance::new("addsvc-1", "127.0.0.2:9091");
    instance.weight = 5;
    instance.tags = vec!["v2".into()];
    instance.metadata = [("rack".to_owned(), "13".to_owned())].into();
    instance
}

/// Whoever asks for passing instances sees this one all the while.
async fn changes_without_a_gap(agent: Agent, registrar: ConsulRegistrar) {
    let events = Events::default();
    let registrar = registrar.observer(events.observer());
    let mut registration = registrar.register(instance()).await.unwrap();
    until("it passes", || is(&agent, "passing")).await;
    let agent = Arc::new(agent);
    let (watching, stop) = (agent.clone(), Arc::new(AtomicBool::new(false)));
    let stopped = stop.clone();
    let watcher = tokio::spawn(async move {
        let mut looks = 0;
        while !stopped.load(SeqCst) {
            let seen = watching.get("/v1/health/service/addsvc?passing=1").await;
            assert_eq!(seen.as_array().unwrap().len(), 1, "after {looks} looks: {seen}");
            looks += 1;
        }
        looks
    });
    for _ in 0..10 {
        registration.update(changed()).await.unwrap();
        registration.update(instance()).await.unwrap();
    }
    registration.update(changed()).await.unwrap();
    until("the change is seen", || async {
        let service = entries(&agent).await[0]["Service"].clone();
        (&service["Address"], &service["Port"], &service["Tags"]) == (&json!("127.0.0.2"), &json!(9091), &json!(["v2"]))
            && service["Weights"]["Passing"] == 5
            && service["Meta"] == json!({"rack": "13"})
    })
    .await;
    // The check goes on.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    stop.store(true, SeqCst);
    assert!(watcher.await.unwrap() > 10);
    assert_eq!(events.what(), [&["registered"][..], &["updated"; 21][..]].concat());
}

#[tokio::test]
async fn an_update_keeps_the_state_of_a_heartbeat() {
    let Some(agent) = Agent::start().await else { return };
    let registrar = quick(&agent.consul()).check(Check::ttl(Duration::from_secs(3)));
    changes_without_a_gap(agent, registrar).await;
}

#[tokio::test]
async fn an_update_keeps_the_state_of_a_check_by_http() {
    let Some(agent) = Agent::start().await else { return };
    let page = Backend::start(Reply::ok()).await.unwrap();
    let registrar = quick(&agent.consul()).check(Check::http(page.url(), Duration::from_secs(1)));
    changes_without_a_gap(agent, registrar).await;
}

#[tokio::test(start_paused = true)]
async fn an_update_does_not_overtake_the_one_before_it() {
    // At the agent, requests of two connections have no order: taken last, the older one would stay.
    let backend = Backend::start(Reply::ok().after(Duration::from_millis(300))).await.unwrap();
    let consul = Consul::new(client(), &backend.url()).unwrap();
    let mut registration = quick(&consul).register(instance()).await.unwrap();
    let sent = timeout(Duration::from_millis(100), registration.update(changed())).await;
    assert!(sent.is_err(), "nobody waits for it any more");
    registration.update(instance()).await.unwrap();
    let requests = backend.requests();
    let ports: Vec<_> = requests
        .iter()
        .filter(|request| request.uri().path().ends_with("/register"))
        .map(|request| serde_json::from_slice::<serde_json::Value>(request.body()).unwrap()["Port"].clone())
        .collect();
    assert_eq!(ports, [8081, 9091, 8081]);
    assert_eq!(backend.abandoned(), 0);
}

#[tokio::test]
async fn an_update_while_the_agent_is_away_fails_and_is_made_when_it_is_back() {
    let Some(mut agent) = Agent::start().await else { return };
    let mut registration = quick(&agent.consul()).register(instance()).await.unwrap();
    agent.kill();
    let error = registration.update(changed()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    agent.restart().await;
    until("the change is made", || async {
        agent.ask(reqwest::Method::GET, "/v1/agent/service/addsvc-1", None).await.1["Port"] == 9091
    })
    .await;
}
