//! The agent is killed, restarted, replaced and frozen, and loses services.

use std::time::Duration;

use kit_base::{Kind, Registrar as _, Registration as _};
use kit_sd_consul::{Check, ConsulRegistrar};
use tokio::time::{Instant, sleep, timeout};

use super::{Events, entries, instance, is, quick, until};
use crate::agent::Agent;

/// With the settings of these tests a registration is back within a heartbeat of 1 s, or a pause of 0.2 s; the rest is for a
/// busy machine.
const BACK: Duration = Duration::from_secs(6);

async fn comes_back(mut agent: Agent, registrar: ConsulRegistrar, with_data: bool) {
    let events = Events::default();
    let mut registration = registrar.observer(events.observer()).register(instance()).await.unwrap();
    until("it is there", || async { entries(&agent).await.len() == 1 }).await;
    let before = registration.state();
    agent.kill();
    let away = loop {
        let state = registration.changed().await.unwrap();
        if let Some(error) = state.error.clone() {
            assert_eq!(error.kind(), Kind::Unavailable, "{error}");
            break state;
        }
    };
    assert_eq!(away.registered_since, before.registered_since, "nobody has said that it is lost");
    if !with_data {
        agent.forget();
    }
    agent.restart().await;
    let took = until("it is back", || async { entries(&agent).await.len() == 1 }).await;
    assert!(took < BACK, "it took {took:?}");
    until("all is well", || async { registration.state().error.is_none() }).await;
    assert!(registration.state().confirmed > before.confirmed);
    assert_eq!(events.count("lost"), usize::from(!with_data), "{:?}", events.what());
    assert_eq!(events.count("registered"), 1 + usize::from(!with_data), "{:?}", events.what());
    registration.deregister().await.unwrap();
    assert!(agent.get("/v1/agent/services").await.get("addsvc-1").is_none());
}

#[tokio::test]
async fn a_heartbeat_goes_on_when_the_agent_is_restarted_with_its_data() {
    let Some(agent) = Agent::start().await else { return };
    let registrar = quick(&agent.consul());
    comes_back(agent, registrar, true).await;
}

#[tokio::test]
async fn a_heartbeat_registers_again_when_the_agent_is_replaced() {
    let Some(agent) = Agent::start().await else { return };
    let registrar = quick(&agent.consul());
    comes_back(agent, registrar, false).await;
}

#[tokio::test]
async fn an_instance_that_the_agent_looks_at_stays_when_the_agent_is_restarted_with_its_data() {
    let Some(agent) = Agent::start().await else { return };
    let registrar = quick(&agent.consul()).check(Check::tcp(agent.addr(), Duration::from_secs(1)));
    comes_back(agent, registrar, true).await;
}

#[tokio::test]
async fn an_instance_without_a_check_is_registered_again_when_the_agent_is_replaced() {
    let Some(agent) = Agent::start().await else { return };
    let registrar = quick(&agent.consul()).check(Check::none());
    comes_back(agent, registrar, false).await;
}

#[tokio::test]
async fn what_the_agent_loses_is_registered_again() {
    let Some(agent) = Agent::start().await else { return };
    for check in [Check::ttl(Duration::from_secs(3)), Check::none()] {
        let events = Events::default();
        let registrar = quick(&agent.consul()).check(check).observer(events.observer());
        let registration = registrar.register(instance()).await.unwrap();
        agent.deregister("addsvc-1").await;
        let back = || async { agent.get("/v1/agent/services").await.get("addsvc-1").is_some() };
        let took = until("it is back", back).await;
        assert!(took < BACK, "it took {took:?}");
        until("it is told", || async { events.what() == ["registered", "lost", "registered"] }).await;
        registration.deregister().await.unwrap();
    }
}

#[tokio::test]
async fn a_frozen_agent_costs_nothing_once_it_goes_on() {
    let Some(agent) = Agent::start().await else { return };
    let registration = quick(&agent.consul()).register(instance()).await.unwrap();
    until("it passes", || is(&agent, "passing")).await;
    let before = registration.state();
    agent.freeze();
    sleep(Duration::from_secs(2)).await;
    agent.thaw();
    let thawed = Instant::now().into_std();
    until("the agent has answered", || async { registration.state().confirmed > Some(thawed) }).await;
    assert!(registration.state().error.is_none());
    assert_eq!(registration.state().registered_since, before.registered_since);
    assert!(is(&agent, "passing").await);
}

#[tokio::test]
async fn a_service_may_start_before_its_agent() {
    let Some(mut agent) = Agent::start().await else { return };
    agent.kill();
    agent.forget();
    let registrar = quick(&agent.consul());
    let registering = tokio::spawn(async move { registrar.register(instance()).await });
    sleep(Duration::from_millis(300)).await;
    assert!(!registering.is_finished());
    agent.restart().await;
    let _registration = timeout(BACK, registering).await.unwrap().unwrap().unwrap();
    assert!(agent.get("/v1/agent/services").await.get("addsvc-1").is_some());
}

#[tokio::test]
async fn an_agent_that_does_not_come_is_an_error_after_the_time_that_is_set() {
    let Some(mut agent) = Agent::start().await else { return };
    agent.kill();
    let registrar = quick(&agent.consul());
    let begun = Instant::now();
    let error = registrar.clone().wait_for_agent(Duration::from_millis(700)).register(instance()).await.unwrap_err();
    assert!(begun.elapsed() >= Duration::from_millis(700));
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains(&agent.addr()), "{error}");
    let cause = std::error::Error::source(&error).and_then(std::error::Error::source).map(ToString::to_string);
    assert!(cause.is_some_and(|cause| !cause.contains("UNAVAILABLE")), "the cause is there, and the error not twice");
    // With zero the first try decides.
    let error = timeout(BACK, registrar.wait_for_agent(Duration::ZERO).register(instance())).await.unwrap();
    assert_eq!(error.unwrap_err().kind(), Kind::Unavailable);
}
