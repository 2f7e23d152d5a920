//! Nothing is left after a drop, and a token that is replaced counts at once.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use kit_base::{Backoff, Event, Instancer, Kind};
use kit_sd_consul::Token;
use kit_testing::backend::{Backend, Reply, Script};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};

use crate::double::{SOON, consul, fails, found, ids, quick, shows};

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Waits until there are as many tasks as before.
async fn until_tasks(count: usize) {
    timeout(SOON, async {
        while tasks() > count {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{} tasks, and {count} before", tasks()));
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_open_request_at_once() {
    for (name, reply) in [("waits", Reply::hang()), ("reads a body", found(8, &["b"]).stall(10))] {
        let backend = Backend::start([found(7, &["a"]), reply]).await.unwrap();
        let watch = quick(&consul(backend.addr())).watch().unwrap();
        let mut changes = watch.subscribe();
        backend.received(2).await;
        sleep(Duration::from_millis(50)).await;
        let clone = watch.clone();
        drop(watch);
        sleep(Duration::from_millis(50)).await;
        assert_eq!(backend.abandoned(), 0, "{name}");
        drop(clone);
        timeout(SOON, backend.until_abandoned(1)).await.expect(name);
        timeout(SOON, async { while changes.changed().await.is_some() {} }).await.expect(name);
        assert_eq!(ids(&changes.current()), ["a"], "{name}");
        assert_eq!(backend.requests().len(), 2, "{name}");
    }
}

#[tokio::test]
async fn dropping_the_last_handle_ends_its_task_during_a_pause_too() {
    let before = tasks();
    let backend = Backend::start(Reply::status(500).header("connection", "close")).await.unwrap();
    let agent = consul(backend.addr());
    let long = Backoff::new(Duration::from_secs(60), Duration::from_secs(60)).unwrap().with_jitter(0.0).unwrap();
    let watch = agent.service("addsvc").backoff(long).watch().unwrap();
    fails(&mut watch.subscribe()).await;
    drop(watch);
    drop(agent);
    backend.stop().await;
    until_tasks(before).await;
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let agent = consul(([127, 0, 0, 1], 1).into());
    let error = quick(&agent).watch().unwrap_err();
    assert!(error.to_string().contains("needs a tokio runtime"), "{error}");
}

#[test]
fn a_runtime_that_ends_first_is_told_to_subscribers() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (backend, watch) = runtime.block_on(async {
        let backend = Backend::start([found(7, &["a"]), Reply::hang()]).await.unwrap();
        let watch = quick(&consul(backend.addr())).watch().unwrap();
        shows(&mut watch.subscribe(), &["a"]).await;
        (backend, watch)
    });
    drop(runtime);
    drop(backend);
    let snapshot = watch.subscribe().current();
    assert_eq!(ids(&snapshot), ["a"]);
    let error = snapshot.error.as_ref().unwrap().to_string();
    assert!(error.contains("the watch of \"addsvc\" has ended"), "{error}");
}

#[test]
fn a_runtime_that_has_ended_before_is_told_to_subscribers_too() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let handle = runtime.handle().clone();
    drop(runtime);
    let _entered = handle.enter();
    let watch = quick(&consul(([127, 0, 0, 1], 1).into())).watch().unwrap();
    let snapshot = watch.subscribe().current();
    let error = snapshot.error.as_ref().expect("nobody waits for ever").to_string();
    assert!(error.contains("the watch of \"addsvc\" has ended"), "{error}");
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_and_shown() {
    let agent = consul(([127, 0, 0, 1], 1).into());
    for (query, text) in [
        (agent.service(""), "the name of the service must"),
        (agent.service(".."), "got \"..\""),
        (agent.service("a//b"), "got \"a//b\""),
        (agent.service("add\nsvc"), "got \"add\\nsvc\""),
        (agent.service("a").tag(""), "a tag is empty"),
        (quick(&agent).wait(Duration::ZERO), "wait must be from 1ms to 600s, got 0ns"),
        (quick(&agent).wait(Duration::from_secs(601)), "got 601s"),
        (quick(&agent).min_interval(Duration::ZERO), "min_interval must be"),
        (quick(&agent).min_interval(Duration::MAX), "min_interval must be"),
        (quick(&agent).empty_after(Duration::MAX), "empty_after must be"),
        (quick(&agent).max_staleness(Duration::MAX), "max_staleness must be"),
        (quick(&agent).max_staleness(Duration::from_secs(63)), "must be from 63.75s"),
        (agent.service("a").wait(Duration::from_millis(1)).max_staleness(Duration::ZERO), "must be from 1s"),
    ] {
        let error = query.watch().unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[tokio::test]
async fn a_panic_in_the_observer_does_not_end_the_watch() {
    let backend =
        Backend::start([found(7, &["a"]), Reply::status(500), found(8, &["b"]), Reply::hang()]).await.unwrap();
    let watch = quick(&consul(backend.addr())).observer(|_: &Event<'_>| panic!("on purpose")).watch().unwrap();
    shows(&mut watch.subscribe(), &["b"]).await;
}

#[tokio::test]
async fn a_token_that_is_replaced_counts_at_once_in_a_waiting_query_and_in_a_pause() {
    let script = Script::by(|request| {
        let token = request.headers().get("x-consul-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
        match (token, request.uri().query().unwrap_or_default().contains("index=")) {
            (_, true) => Reply::hang(),
            ("old", false) => found(7, &["a"]),
            ("new", false) => found(7, &["a", "b"]),
            (_, false) => Reply::status(403).body(format!("ACL not found: {token}")),
        }
    });
    let backend = Backend::start(script).await.unwrap();
    let token = Token::new("old").unwrap();
    let long = Backoff::new(Duration::from_secs(60), Duration::from_secs(60)).unwrap().with_jitter(0.0).unwrap();
    let agent = consul(backend.addr()).with_token(token.clone());
    let watch = agent.service("addsvc").backoff(long).watch().unwrap();
    let mut changes = watch.subscribe();
    shows(&mut changes, &["a"]).await;
    backend.received(2).await;

    token.replace("wr0ng").unwrap();
    let (snapshot, error) = fails(&mut changes).await;
    assert_eq!((ids(&snapshot), error.kind()), (vec!["a".to_owned()], Kind::PermissionDenied));
    assert!(!format!("{error} {error:?}").contains("wr0ng"), "{error:?}");
    timeout(SOON, backend.until_abandoned(1)).await.unwrap();

    let begun = Instant::now();
    token.replace("new").unwrap();
    shows(&mut changes, &["a", "b"]).await;
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(format!("{:?}", agent).contains("Token(set)"));
}

#[tokio::test]
async fn a_token_that_is_replaced_between_two_queries_counts_at_once() {
    let index = AtomicU64::new(1);
    let script = Script::by(move |request| {
        let new = request.headers().get("x-consul-token").is_some_and(|token| token == "new");
        match (new, request.uri().query().unwrap_or_default().contains("index=")) {
            (true, true) => Reply::hang(),
            (true, false) => found(99, &["a", "b"]),
            (false, _) => found(index.fetch_add(1, Relaxed), &["a"]),
        }
    });
    let backend = Backend::start(script).await.unwrap();
    let token = Token::new("old").unwrap();
    let agent = consul(backend.addr()).with_token(token.clone());
    let watch = agent.service("addsvc").min_interval(Duration::from_secs(2)).watch().unwrap();
    let mut changes = watch.subscribe();
    // Five at once; then the floor holds the sixth.
    backend.received(5).await;
    sleep(Duration::from_millis(200)).await;
    token.replace("new").unwrap();
    shows(&mut changes, &["a", "b"]).await;
    assert!(!backend.requests()[5].uri().query().unwrap_or_default().contains("index="), "it would wait in vain");
}
