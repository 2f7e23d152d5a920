//! The agent that the other tests rest on. (Here, and not beside it, since the tests of the gateway take it too.)

use std::time::Duration;

use reqwest::Method;

use crate::agent::{Agent, Setup, client};

#[tokio::test]
async fn an_agent_starts_keeps_what_is_registered_over_a_restart_and_forgets_it_without_its_data() {
    let Some(mut agent) = Agent::start().await else { return };
    agent.register(serde_json::json!({"ID": "a1", "Name": "a", "Port": 80})).await;
    agent.kill();
    assert!(agent.try_ask(Method::GET, "/v1/status/leader", None).await.is_err());
    agent.restart().await;
    assert!(agent.get("/v1/agent/services").await.get("a1").is_some());
    agent.kill();
    agent.forget();
    agent.restart().await;
    assert_eq!(agent.get("/v1/agent/services").await, serde_json::json!({}));
}

#[tokio::test]
async fn an_agent_with_acls_and_a_catalog_on_disk_keeps_its_indexes_over_a_restart() {
    let Some(mut agent) = Setup::default().acl().durable().start().await else { return };
    agent.put("/v1/kv/a", Some("b".into())).await;
    let before = agent.get("/v1/kv/a").await[0]["ModifyIndex"].clone();
    agent.kill();
    agent.restart().await;
    assert_eq!(agent.get("/v1/kv/a").await[0]["ModifyIndex"], before);
    let refused = client().get(format!("http://{}/v1/kv/a", agent.addr())).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    agent.freeze();
    let frozen = client().get(format!("http://{}/v1/status/leader", agent.addr()));
    assert!(frozen.timeout(Duration::from_millis(300)).send().await.is_err());
    agent.thaw();
    agent.get("/v1/status/leader").await;
}
