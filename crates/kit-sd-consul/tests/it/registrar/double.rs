//! An agent that fails as told: nothing spins, whatever it answers.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use kit_base::{Backoff, Kind, Registrar as _};
use kit_sd_consul::{Check, Consul, ConsulRegistrar};
use kit_testing::backend::{Backend, Reply, Script};
use tokio::time::{sleep, timeout};

use super::{Events, SOON, instance, until};
use crate::agent::client;

/// Pauses of 50, 100, 200, 200, … ms.
fn registrar(backend: &Backend) -> ConsulRegistrar {
    let backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(200)).unwrap();
    let consul = Consul::new(client(), &backend.url()).unwrap();
    let check = Check::ttl(Duration::from_secs(3));
    consul.registrar("addsvc").check(check).backoff(backoff.with_jitter(0.0).unwrap())
}

fn is(request: &Request<Bytes>, part: &str) -> bool {
    request.uri().path().contains(part)
}

#[tokio::test(start_paused = true)]
async fn a_healthy_agent_is_asked_once_a_heartbeat() {
    let backend = Backend::start(Reply::ok()).await.unwrap();
    let _registration = registrar(&backend).register(instance()).await.unwrap();
    sleep(Duration::from_millis(2_500)).await;
    let requests = backend.requests();
    // Registered, and heartbeats at 0, 1 and 2 s.
    assert!((3..=4).contains(&requests.len()), "{}", requests.len());
    assert_eq!(requests[0].uri(), "/v1/agent/service/register?replace-existing-checks=true");
    assert_eq!(requests[1].uri(), "/v1/agent/check/update/service:addsvc-1");
    assert_eq!(backend.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_failure_of_the_agent_makes_a_registration_spin() {
    type By = fn(&Request<Bytes>) -> Reply;
    let cases: [(&str, By); 9] = [
        ("silence", |_| Reply::hang()),
        ("endless 500s", |_| Reply::status(500)),
        ("heartbeats are unknown", |it| if is(it, "/check/") { Reply::status(404) } else { Reply::ok() }),
        (
            "heartbeats are unknown to an old agent",
            |it| if is(it, "/check/") { Reply::status(500) } else { Reply::ok() },
        ),
        ("heartbeats are refused", |it| if is(it, "/check/") { Reply::status(403) } else { Reply::ok() }),
        ("resets", |_| Reply::reset()),
        ("no answer that is one", |_| Reply::raw("SSH-2.0-OpenSSH\r\n")),
        ("redirects", |it| if is(it, "/check/") { Reply::status(307).header("location", "/") } else { Reply::ok() }),
        ("too many requests, at once again", |_| Reply::status(429).header("retry-after", "0")),
    ];
    for (name, by) in cases {
        let backend = Backend::start(Script::by(by)).await.unwrap();
        // All as it is unless set.
        let consul = Consul::new(client(), &backend.url()).unwrap();
        let registrar = consul.registrar("addsvc").wait_for_agent(Duration::MAX);
        // One that gives up at once, since nothing that passes by itself is wrong, is made again.
        let kept = async {
            loop {
                if let Ok(registration) = registrar.register(instance()).await {
                    break (registration, pending::<()>().await);
                }
                sleep(Duration::from_secs(5)).await;
            }
        };
        assert!(timeout(Duration::from_secs(600), kept).await.is_err());
        let requests = backend.requests().len();
        // And they do not end.
        assert!((40..=300).contains(&requests), "{name}: {requests} requests in 10 minutes");
    }
}

#[tokio::test]
async fn an_agent_that_hangs_is_given_up_and_what_it_may_have_taken_is_taken_back() {
    let backend = Backend::start(Reply::hang()).await.unwrap();
    // At most 5 s, whatever the handle sets.
    let consul = Consul::new(client(), &backend.url()).unwrap().head_timeout(Duration::from_millis(300));
    let registrar = consul.registrar("addsvc").wait_for_agent(Duration::ZERO);
    let error = timeout(SOON, registrar.register(instance())).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    assert!(error.message().contains("did not answer within 300ms"), "{error}");
    assert_eq!(backend.requests().len(), 1);
    let requests = timeout(SOON, backend.received(2)).await.unwrap();
    assert!(is(&requests[1], "/deregister/addsvc-1"));
    timeout(SOON, backend.until_abandoned(2)).await.expect("no request is left");
}

#[tokio::test]
async fn the_agent_may_ask_for_a_longer_pause() {
    let backend = Backend::start(Reply::status(429).header("retry-after", "1")).await.unwrap();
    let registrar = registrar(&backend).wait_for_agent(Duration::from_millis(700));
    assert_eq!(registrar.register(instance()).await.unwrap_err().kind(), Kind::ResourceExhausted);
    assert_eq!(backend.requests().iter().filter(|it| is(it, "/register")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_check_of_the_agents_own_is_asked_for_at_the_poll_interval() {
    let backend = Backend::start(Reply::ok()).await.unwrap();
    let registrar = registrar(&backend).check(Check::none()).poll_interval(Duration::from_secs(1));
    let _registration = registrar.register(instance()).await.unwrap();
    sleep(Duration::from_millis(2_500)).await;
    let requests = backend.requests();
    assert!((2..=3).contains(&requests.len()), "{}", requests.len());
    assert_eq!(requests[1].uri(), "/v1/agent/service/addsvc-1");
}

#[tokio::test]
async fn an_agent_that_fails_at_the_question_has_lost_nothing() {
    let failing = |it: &Request<Bytes>| if is(it, "/register") { Reply::ok() } else { Reply::status(500) };
    let backend = Backend::start(Script::by(failing)).await.unwrap();
    let events = Events::default();
    let registrar = registrar(&backend).check(Check::none()).poll_interval(Duration::from_secs(1));
    let registration = registrar.observer(events.observer()).register(instance()).await.unwrap();
    until("it fails", || async { events.count("failed") > 1 }).await;
    assert!(registration.state().registered_since.is_some());
    assert_eq!((events.count("lost"), events.count("registered")), (0, 1), "{:?}", events.what());
}

#[tokio::test]
async fn an_observer_that_panics_does_not_end_the_heartbeat() {
    let backend = Backend::start([Reply::ok(), Reply::status(500), Reply::ok()]).await.unwrap();
    let registrar = registrar(&backend).observer(|_: &kit_base::Event<'_>| panic!("no"));
    let registration = registrar.register(instance()).await.unwrap();
    timeout(SOON, backend.received(4)).await.expect("it goes on");
    until("all is well", || async { registration.state().error.is_none() }).await;
}

#[tokio::test]
async fn what_happens_is_told() {
    let script = [Reply::ok(), Reply::ok(), Reply::status(404), Reply::status(500), Reply::ok()];
    let backend = Backend::start(script).await.unwrap();
    let events = Events::default();
    let mut registration = registrar(&backend).observer(events.observer()).register(instance()).await.unwrap();
    while events.count("registered") < 2 || registration.state().error.is_some() {
        registration.changed().await.unwrap();
    }
    registration.update(instance()).await.unwrap();
    drop(registration);
    until("it is gone", || async { events.count("deregistered") == 1 }).await;
    assert_eq!(events.what(), ["registered", "lost", "failed", "registered", "updated", "deregistered"]);
}
