//! What takes long: outages of half a minute, and times that Consul does not let be short.

use std::time::Duration;

use kit_base::{Registrar as _, Registration as _};
use kit_sd_consul::{Check, Consul};
use tokio::time::{Instant, sleep};

use super::{entries, instance, is, quick, until};
use crate::agent::Agent;

#[tokio::test]
#[ignore = "freezes the agent for 30 s"]
async fn an_agent_that_is_frozen_for_half_a_minute_has_the_instance_again_soon_after() {
    let Some(agent) = Agent::start().await else { return };
    // All as it is unless set.
    let registration = agent.consul().registrar("addsvc").register(instance()).await.unwrap();
    until("it passes", || is(&agent, "passing")).await;
    agent.freeze();
    sleep(Duration::from_secs(30)).await;
    assert!(registration.state().error.is_some());
    agent.thaw();
    let thawed = Instant::now().into_std();
    let took = until("the agent has answered", || async { registration.state().confirmed > Some(thawed) }).await;
    assert!(took < Duration::from_secs(15), "it took {took:?}");
    until("it passes", || is(&agent, "passing")).await;
    registration.deregister().await.unwrap();
}

/// Ends the process of a service, as far as its registration goes: nothing is deregistered.
async fn crash(consul: Consul) {
    let crashing = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let registrar = quick(&consul).deregister_critical_after(Duration::from_secs(60));
        let registrar = registrar.check(Check::ttl(Duration::from_secs(1)));
        let registration = runtime.block_on(async { registrar.register(instance()).await }).unwrap();
        // Waits until the task is gone: it would deregister when it sees the end of its handle.
        drop(runtime);
        drop(registration);
    });
    crashing.await.unwrap();
}

#[tokio::test]
async fn an_instance_whose_process_dies_becomes_critical() {
    let Some(agent) = Agent::start().await else { return };
    crash(agent.consul()).await;
    assert_eq!(agent.get("/v1/agent/services").await["addsvc-1"]["Port"], 8081);
    until("it is critical", || is(&agent, "critical")).await;
}

#[tokio::test]
#[ignore = "Consul forgets nothing before 1 minute has passed"]
async fn an_instance_whose_process_has_died_is_forgotten() {
    let Some(agent) = Agent::start().await else { return };
    crash(agent.consul()).await;
    until("it is critical", || is(&agent, "critical")).await;
    let begun = Instant::now();
    while !entries(&agent).await.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(150), "it is still there");
        sleep(Duration::from_secs(1)).await;
    }
    assert!(begun.elapsed() > Duration::from_secs(50));
}
