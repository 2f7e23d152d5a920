//! The ways in which a registration ends.

use std::future::Future as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use kit_base::{Instancer as _, Instances, Kind, Registrar as _, Registration as _};
use kit_sd_consul::Consul;
use kit_testing::backend::{Backend, Reply, Script};
use tokio::time::{Instant, sleep, timeout};

use super::{Events, SOON, entries, instance, is, quick, until};
use crate::agent::{Agent, client};
use crate::double::found;

async fn is_gone(agent: &Agent) -> bool {
    agent.get("/v1/agent/services").await.get("addsvc-1").is_none() && entries(agent).await.is_empty()
}

#[tokio::test]
async fn dropping_a_registration_deregisters() {
    let Some(agent) = Agent::start().await else { return };
    let events = Events::default();
    let registration = quick(&agent.consul()).observer(events.observer()).register(instance()).await.unwrap();
    until("it passes", || is(&agent, "passing")).await;
    drop(registration);
    until("it is gone", || is_gone(&agent)).await;
    until("it is told", || async { events.count("deregistered") == 1 }).await;
}

#[tokio::test]
async fn deregistering_says_that_the_agent_knows_of_it() {
    let Some(agent) = Agent::start().await else { return };
    let registration = quick(&agent.consul()).register(instance()).await.unwrap();
    registration.deregister().await.unwrap();
    assert!(agent.get("/v1/agent/services").await.get("addsvc-1").is_none());
    // What somebody else has taken back already is well too.
    let registration = quick(&agent.consul()).register(instance()).await.unwrap();
    agent.deregister("addsvc-1").await;
    registration.deregister().await.unwrap();
}

#[tokio::test]
async fn deregistering_waits_until_watchers_can_have_seen_it() {
    let Some(agent) = Agent::start().await else { return };
    let registration = quick(&agent.consul()).register(instance()).await.unwrap();
    until("it passes", || is(&agent, "passing")).await;
    let begun = Instant::now();
    registration.deregister_and_wait(SOON).await.unwrap();
    assert!(entries(&agent).await.is_empty(), "the catalog does not list it");
    assert!(begun.elapsed() >= Duration::from_secs(1), "a watcher may leave 1 s between its queries");
    // The limit is kept, and said.
    let registration = quick(&agent.consul()).register(instance()).await.unwrap();
    let error = registration.deregister_and_wait(Duration::from_millis(500)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    assert!(error.message().contains("watchers may still see it after 500ms"), "{error}");
    assert!(entries(&agent).await.is_empty(), "it is deregistered all the same");
}

#[tokio::test(start_paused = true)]
async fn when_deregistering_has_waited_a_watch_no_longer_shows_the_instance() {
    // It answers each query at once, so that the watch has none left that follow each other.
    let (index, there) = (AtomicU64::new(0), AtomicBool::new(false));
    let backend = Backend::start(Script::by(move |request| match request.uri().path() {
        "/v1/health/service/addsvc" if there.load(SeqCst) => found(index.fetch_add(1, SeqCst) + 1, &["1", "2"]),
        "/v1/health/service/addsvc" => found(index.fetch_add(1, SeqCst) + 1, &["2"]),
        "/v1/catalog/service/addsvc" => Reply::json("[]"),
        "/v1/agent/service/deregister/addsvc-1" => {
            there.store(false, SeqCst);
            Reply::ok()
        }
        _ => {
            there.store(true, SeqCst);
            Reply::ok()
        }
    }));
    let backend = backend.await.unwrap();
    let consul = Consul::new(client(), &backend.url()).unwrap();
    let watch = consul.service("addsvc").watch().unwrap();
    let changes = watch.subscribe();
    let shown = || if let Instances::Known(set) = &changes.current().instances { set.len() } else { 0 };
    for tenths in 0..20 {
        let registration = quick(&consul).register(instance()).await.unwrap();
        until("the watch shows both", || async { shown() == 2 }).await;
        sleep(Duration::from_millis(100) * tenths).await;
        registration.deregister_and_wait(SOON).await.unwrap();
        assert_eq!(shown(), 1, "after {tenths} tenths of a second");
    }
}

#[tokio::test(start_paused = true)]
async fn deregistering_waits_while_the_catalog_lists_the_instance() {
    let listed = r#"[{"ServiceID": "addsvc-1", "ServiceAddress": "127.0.0.1", "ServicePort": 8081}]"#;
    let other = r#"[{"ServiceID": "addsvc-1", "ServiceAddress": "127.0.0.9", "ServicePort": 70000}]"#;
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let backend = Backend::start(Script::by(move |request| {
        if !request.uri().path().starts_with("/v1/catalog/service/addsvc") {
            return Reply::ok();
        }
        match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0..3 => Reply::json(listed),
            3 => Reply::status(500),
            _ => Reply::json(other),
        }
    }));
    let backend = backend.await.unwrap();
    let consul = Consul::new(client(), &backend.url()).unwrap();
    let registration = quick(&consul).register(instance()).await.unwrap();
    registration.deregister_and_wait(SOON).await.unwrap();
    let catalog = |request: &&http::Request<_>| request.uri().path().starts_with("/v1/catalog");
    assert_eq!(backend.requests().iter().filter(catalog).count(), 5);
}

#[tokio::test]
async fn deregistering_from_an_agent_that_is_away_fails_in_time() {
    let Some(mut agent) = Agent::start().await else { return };
    let events = Events::default();
    let registration = quick(&agent.consul()).observer(events.observer()).register(instance()).await.unwrap();
    agent.kill();
    let begun = Instant::now();
    let error = registration.deregister_and_wait(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert!(begun.elapsed() < SOON);
    assert_eq!(events.count("abandoned"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_drop_that_the_agent_does_not_answer_gives_up_after_two_seconds() {
    let backend = Backend::start(Script::by(|request| {
        if request.uri().path().contains("deregister") { Reply::hang() } else { Reply::ok() }
    }));
    let backend = backend.await.unwrap();
    let consul = Consul::new(client(), &backend.url()).unwrap();
    let events = Events::default();
    let registration = quick(&consul).observer(events.observer()).register(instance()).await.unwrap();
    let begun = Instant::now();
    drop(registration);
    timeout(SOON, backend.until_abandoned(1)).await.expect("its last request ends");
    assert!(begun.elapsed() >= Duration::from_millis(1_900), "after {:?}", begun.elapsed());
    until("it is told", || async { events.count("abandoned") == 1 }).await;
}

#[tokio::test]
async fn a_drop_ends_the_open_request_at_once() {
    let backend = Backend::start(Script::by(|request| {
        if request.uri().path().contains("check/update") { Reply::hang() } else { Reply::ok() }
    }));
    let backend = backend.await.unwrap();
    let consul = Consul::new(client(), &backend.url()).unwrap();
    let registering = tokio::spawn({
        let registrar = quick(&consul);
        async move { registrar.register(instance()).await }
    });
    timeout(SOON, backend.received(2)).await.expect("registered, and the heartbeat hangs");
    let begun = Instant::now();
    registering.abort();
    timeout(SOON, backend.until_abandoned(1)).await.expect("the heartbeat ends");
    assert!(begun.elapsed() < Duration::from_secs(4), "before its own limit of 5 s");
    let requests = timeout(SOON, backend.received(3)).await.expect("and the instance is taken back");
    assert_eq!(requests[2].uri().path(), "/v1/agent/service/deregister/addsvc-1");
}

#[tokio::test]
async fn a_registering_that_is_dropped_leaves_nothing_registered() {
    let Some(agent) = Agent::start().await else { return };
    // Dropped after each number of polls until one is through.
    for polls in 1.. {
        let registrar = quick(&agent.consul());
        let mut registering = Box::pin(registrar.register(instance()));
        let mut done = false;
        for _ in 0..polls {
            done = timeout(Duration::from_micros(300), registering.as_mut()).await.is_ok();
            if done {
                break;
            }
        }
        drop(registering);
        until("it is gone", || is_gone(&agent)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(is_gone(&agent).await, "after {polls} polls");
        if done {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_overtake_a_registration_that_is_on_its_way() {
    // At the agent, requests of two connections have no order: taken last, it would stay.
    let slow = |it: &http::Request<_>| {
        let reply = Reply::ok();
        if it.uri().path().ends_with("/register") { reply.after(Duration::from_millis(500)) } else { reply }
    };
    let backend = Backend::start(Script::by(slow)).await.unwrap();
    let consul = Consul::new(client(), &backend.url()).unwrap();
    let registrar = quick(&consul);
    let registering = tokio::spawn(async move { registrar.register(instance()).await });
    backend.received(1).await;
    let begun = Instant::now();
    registering.abort();
    let requests = timeout(SOON, backend.received(2)).await.unwrap();
    assert_eq!(requests[1].uri().path(), "/v1/agent/service/deregister/addsvc-1");
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    assert_eq!(backend.abandoned(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_registration_that_hangs_does_not_keep_the_end_from_being_tried() {
    let backend = Backend::start(Reply::hang()).await.unwrap();
    let consul = Consul::new(client(), &backend.url()).unwrap();
    let registrar = quick(&consul);
    let registering = tokio::spawn(async move { registrar.register(instance()).await });
    backend.received(1).await;
    let begun = Instant::now();
    registering.abort();
    let requests = timeout(SOON, backend.received(2)).await.unwrap();
    assert_eq!(requests[1].uri().path(), "/v1/agent/service/deregister/addsvc-1");
    timeout(SOON, backend.until_abandoned(2)).await.expect("no request is left");
    assert!(begun.elapsed() <= Duration::from_millis(2_100), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_was_never_sent_is_not_taken_back() {
    let backend = Backend::start(Reply::status(403).body("Permission denied")).await.unwrap();
    let consul = Consul::new(client(), &backend.url()).unwrap();
    let error = quick(&consul).register(instance()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::PermissionDenied);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(backend.requests().len(), 1, "the agent said that it has not taken it");
}

#[test]
fn on_a_runtime_that_has_ended_a_registering_is_an_error_and_does_not_spin() {
    let (done, result) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let _entered = handle.enter();
        let registrar = quick(&Consul::new(client(), "127.0.0.1:1").unwrap()).wait_for_agent(Duration::MAX);
        let polled = std::pin::pin!(registrar.register(instance()))
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        done.send(polled.map(|registered| registered.err().map(|error| error.to_string()))).unwrap();
    });
    let polled = result.recv_timeout(SOON).expect("the first poll returns");
    let std::task::Poll::Ready(Some(error)) = polled else { panic!("{polled:?}") };
    assert!(error.contains("has ended with its runtime"), "{error}");
}

#[test]
fn without_a_runtime_a_registering_is_an_error() {
    let consul = {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        Consul::new(client(), "127.0.0.1:1").unwrap()
    };
    let registrar = quick(&consul);
    let mut registering = Box::pin(registrar.register(instance()));
    let polled = registering.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    let std::task::Poll::Ready(Err(error)) = polled else { panic!("it waits") };
    assert!(error.message().contains("needs a tokio runtime"), "{error}");
}
