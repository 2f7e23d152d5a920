//! Not known yet, empty, and absent; and a set that is suddenly empty.

use std::time::Duration;

use kit_base::Instancer;
use kit_testing::backend::{Backend, Reply};
use serde_json::json;
use tokio::time::Instant;

use crate::double::{answer, consul, entry, fails, found, ids, parameter, quick, shows, until};

fn critical(id: &str) -> serde_json::Value {
    let mut entry = entry(id);
    entry["Checks"][0]["Status"] = json!("critical");
    entry
}

#[tokio::test]
async fn a_service_without_healthy_instances_is_empty_and_an_unknown_one_absent() {
    let backend = Backend::start([answer(7, &json!([critical("a")])), found(8, &[]), Reply::hang()]).await.unwrap();
    let watch = quick(&consul(backend.addr())).watch().unwrap();
    let mut changes = watch.subscribe();
    assert_eq!(ids(&changes.current()), ["pending"]);
    shows(&mut changes, &[]).await;
    shows(&mut changes, &["absent"]).await;
}

#[tokio::test]
async fn with_a_tag_that_nobody_has_it_is_empty_and_with_a_filter_never_absent() {
    let backend = Backend::start([found(7, &["a"]), Reply::hang()]).await.unwrap();
    let watch = quick(&consul(backend.addr())).tag("v2").watch().unwrap();
    shows(&mut watch.subscribe(), &[]).await;
    let backend = Backend::start([found(7, &[]), Reply::hang()]).await.unwrap();
    let watch = quick(&consul(backend.addr())).filter("Service.Port == 1").watch().unwrap();
    shows(&mut watch.subscribe(), &[]).await;
    assert_eq!(parameter(backend.requests()[0].uri(), "filter"), Some("Service.Port+%3D%3D+1"));
}

#[tokio::test]
async fn a_set_that_is_suddenly_empty_is_believed_after_a_while_even_though_the_query_waits() {
    // The agent holds the query as long as it is told.
    let backend = Backend::start([
        found(7, &["a"]),
        found(8, &[]),
        found(8, &[]).after(Duration::from_millis(510)),
        Reply::hang(),
    ]);
    let backend = backend.await.unwrap();
    let watch = quick(&consul(backend.addr())).empty_after(Duration::from_millis(500)).watch().unwrap();
    let mut changes = watch.subscribe();
    let good = shows(&mut changes, &["a"]).await;
    let begun = Instant::now();
    let (doubted, error) = fails(&mut changes).await;
    assert_eq!((ids(&doubted), doubted.since), (ids(&good), good.since));
    assert!(error.to_string().contains("believed if still so after 500ms"), "{error}");
    shows(&mut changes, &["absent"]).await;
    assert!(begun.elapsed() >= Duration::from_millis(500));
    let requests = backend.received(4).await;
    assert_eq!(parameter(requests[2].uri(), "index"), Some("8"));
    let wait = parameter(requests[2].uri(), "wait").unwrap().trim_end_matches("ms").parse::<u64>().unwrap();
    assert!((1..=500).contains(&wait), "{wait}");
    assert_eq!(parameter(requests[3].uri(), "wait"), Some("60000ms"));
}

#[tokio::test(start_paused = true)]
async fn instances_that_come_back_or_a_failure_end_the_doubt() {
    let backend = Backend::start([
        found(7, &["a"]),
        found(8, &[]),
        Reply::status(500).after(Duration::from_secs(6)),
        // Twelve seconds after the first one, but the second in doubt anew.
        found(8, &[]).after(Duration::from_secs(6)),
        found(9, &["b"]).after(Duration::from_secs(1)),
        Reply::hang(),
    ]);
    let backend = backend.await.unwrap();
    let watch = consul(backend.addr()).service("addsvc").watch().unwrap();
    let mut changes = watch.subscribe();
    shows(&mut changes, &["a"]).await;
    let begun = Instant::now();
    let next = until(&mut changes, |snapshot| ids(snapshot) != ["a"]).await;
    assert_eq!(ids(&next), ["b"]);
    assert!(next.error.is_none());
    assert!(begun.elapsed() >= Duration::from_secs(13));
    assert_eq!(parameter(backend.received(6).await[5].uri(), "wait"), Some("60000ms"));
}

#[tokio::test]
async fn without_doubt_the_first_empty_answer_is_believed() {
    let backend = Backend::start([found(7, &["a"]), found(8, &[]), Reply::hang()]).await.unwrap();
    let watch = quick(&consul(backend.addr())).empty_after(Duration::ZERO).watch().unwrap();
    let mut changes = watch.subscribe();
    shows(&mut changes, &["a"]).await;
    let next = until(&mut changes, |snapshot| ids(snapshot) != ["a"]).await;
    assert_eq!(ids(&next), ["absent"]);
}

#[tokio::test]
async fn all_instances_failing_their_checks_at_once_is_doubted_too() {
    let gone = answer(8, &json!([critical("a")]));
    let backend = Backend::start([found(7, &["a"]), gone, Reply::hang()]).await.unwrap();
    let watch = quick(&consul(backend.addr())).watch().unwrap();
    let (snapshot, _) = fails(&mut watch.subscribe()).await;
    assert_eq!(ids(&snapshot), ["a"]);
}
