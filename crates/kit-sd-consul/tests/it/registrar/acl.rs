//! Tokens: refused, replaced, revoked.

use std::time::Duration;

use kit_base::{Backoff, Instance, Kind, Readiness, Registrar as _, Registration as _};
use kit_sd_consul::{Consul, Token};
use reqwest::Method;
use serde_json::json;

use super::{Events, entries, instance, is, quick, until};
use crate::agent::{Agent, Setup, client};

/// A token that may write the service: its secret, and the name by which it is revoked.
async fn token(agent: &Agent) -> (String, String) {
    let rules = r#"service "addsvc" { policy = "write" } node_prefix "" { policy = "read" }"#;
    // There is one already from the second time on.
    agent.ask(Method::PUT, "/v1/acl/policy", Some(json!({"Name": "addsvc", "Rules": rules}))).await;
    let token = agent.put("/v1/acl/token", Some(json!({"Policies": [{"Name": "addsvc"}]}))).await;
    let text = |name: &str| token[name].as_str().unwrap().to_owned();
    (text("SecretID"), text("AccessorID"))
}

async fn revoke(agent: &Agent, accessor: &str) {
    let (status, _) = agent.ask(Method::DELETE, &format!("/v1/acl/token/{accessor}"), None).await;
    assert_eq!(status, 200);
}

fn with(agent: &Agent, token: &Token) -> Consul {
    Consul::new(client(), &agent.addr()).unwrap().with_token(token.clone())
}

#[tokio::test]
async fn without_the_right_token_registering_is_refused_in_consuls_words() {
    let Some(agent) = Setup::default().acl().start().await else { return };
    let error = quick(&with(&agent, &Token::none())).register(instance()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::PermissionDenied);
    assert!(error.message().contains("Permission denied"), "{error}");
    let (secret, _) = token(&agent).await;
    let consul = with(&agent, &Token::new(&secret).unwrap());
    let registration = quick(&consul).register(instance()).await.unwrap();
    registration.deregister_and_wait(super::SOON).await.unwrap();
    let error = consul.registrar("other").register(Instance::new("other-1", "127.0.0.1:80")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::PermissionDenied);
    assert!(!error.to_string().contains(&secret), "{error}");
}

#[tokio::test]
async fn what_an_agent_with_acls_has_lost_is_deregistered_at_once() {
    let Some(agent) = Setup::default().acl().start().await else { return };
    let events = Events::default();
    let registration = quick(&agent.consul()).observer(events.observer()).register(instance()).await.unwrap();
    agent.deregister("addsvc-1").await;
    registration.deregister().await.unwrap();
    assert_eq!(events.count("deregistered"), 1, "{:?}", events.what());
}

#[tokio::test]
async fn a_token_that_is_replaced_reaches_the_agent_and_through_it_the_catalog() {
    let Some(agent) = Setup::default().acl().start().await else { return };
    let ((old, old_name), (new, _)) = (token(&agent).await, token(&agent).await);
    let shared = Token::new(&old).unwrap();
    let readiness = Readiness::new();
    readiness.set(true);
    let registrar = quick(&with(&agent, &shared)).readiness(readiness.clone());
    let mut registration = registrar.register(instance()).await.unwrap();
    until("it passes", || is(&agent, "passing")).await;
    shared.replace(&new).unwrap();
    assert!(registration.changed().await.unwrap().error.is_none());
    assert!(registration.changed().await.unwrap().error.is_none());
    revoke(&agent, &old_name).await;
    // The agent tells the catalog with the token that it was given at the last registration.
    readiness.set(false);
    until("the catalog knows", || is(&agent, "critical")).await;
    let mut changed = instance();
    changed.tags = vec!["new".into()];
    registration.update(changed).await.unwrap();
    until("the catalog knows", || async { entries(&agent).await[0]["Service"]["Tags"] == json!(["new"]) }).await;
    registration.deregister().await.unwrap();
    until("it is gone", || async { entries(&agent).await.is_empty() }).await;
}

#[tokio::test]
async fn a_token_that_is_revoked_is_seen_and_a_new_one_is_used_at_once() {
    let Some(agent) = Setup::default().acl().start().await else { return };
    let ((old, old_name), (new, _)) = (token(&agent).await, token(&agent).await);
    let shared = Token::new(&old).unwrap();
    let events = Events::default();
    // The next try would be in an hour.
    let backoff =
        Backoff::new(Duration::from_secs(3_600), Duration::from_secs(3_600)).unwrap().with_jitter(0.0).unwrap();
    let registrar = quick(&with(&agent, &shared)).backoff(backoff).observer(events.observer());
    let mut registration = registrar.register(instance()).await.unwrap();
    revoke(&agent, &old_name).await;
    let error = loop {
        if let Some(error) = registration.changed().await.unwrap().error {
            break error;
        }
    };
    assert_eq!(error.kind(), Kind::PermissionDenied, "{error}");
    assert!(error.message().contains("ACL not found"), "{error}");
    shared.replace(&new).unwrap();
    until("all is well", || async { registration.state().error.is_none() }).await;
    assert_eq!(events.count("failed"), 1, "{:?}", events.what());
}
