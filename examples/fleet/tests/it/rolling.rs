//! One backend after the other is stopped and started anew under load, as a rollout does it.

use std::time::Instant;

use kit_base::Origin;
use kit_lb::Registry;

use crate::client::{Client, Grpc, Http, Transport, instance};
use crate::five;
use crate::load::{CALLERS, Load, NOTICES, Report};

/// So much is answered by each before it is stopped, and again when it is back.
const ANSWERS: u64 = 30;

/// Each leaves discovery, then stops, starts and comes back.
async fn rolling_restart<C: Transport>() {
    let (mut backends, registry) = (five("2ms"), Registry::new());
    backends.iter().for_each(|backend| registry.insert(instance(backend)));
    let client = Client::<C>::new(registry.clone());
    let load = Load::start(client.service());
    for backend in &mut backends {
        let name = backend.name().to_owned();
        client.until_answers(&name, ANSWERS).await;
        registry.remove(&name);
        client.until_gone(&name).await;
        assert_eq!(backend.stop().unwrap().code(), Some(0));
        backend.restart().unwrap();
        registry.insert(instance(backend));
        client.until_answers(&name, ANSWERS).await;
    }
    let report = load.end().await;
    assert!(report.failed.is_empty(), "of {}: {:#?}", report.calls, report.failed);
    assert!(report.calls > 1_000, "{}", report.calls);
    // Nor was anything taken to a second instance.
    assert!(client.tries.failed().is_empty(), "{:#?}", client.tries.failed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_five_under_load_fails_no_request_over_http() {
    rolling_restart::<Http>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_five_under_load_fails_no_request_over_grpc() {
    rolling_restart::<Grpc>().await;
}

/// Each is told to stop while discovery still knows it, which hears of it only when it has ended. Gives what came of the
/// load, and when each was told and had ended.
async fn told_too_late<C: Transport>() -> (Report, Client<C>, Vec<(Instant, Instant)>) {
    let (mut backends, registry, mut stops) = (five("2ms"), Registry::new(), Vec::new());
    backends.iter().for_each(|backend| registry.insert(instance(backend)));
    let client = Client::<C>::new(registry.clone());
    let load = Load::start(client.service());
    for backend in &mut backends {
        let name = backend.name().to_owned();
        client.until_answers(&name, ANSWERS).await;
        let told = Instant::now();
        assert_eq!(backend.stop().unwrap().code(), Some(0));
        stops.push((told, Instant::now()));
        registry.remove(&name);
        client.until_gone(&name).await;
        backend.restart().unwrap();
        registry.insert(instance(backend));
        client.until_answers(&name, ANSWERS).await;
    }
    (load.end().await, client, stops)
}

/// What had arrived is answered, `GOAWAY` tells the client what has not begun, and what did not begin goes to another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_discovery_hears_of_afterwards_fails_no_request_over_grpc() {
    let (report, client, _) = told_too_late::<Grpc>().await;
    assert!(report.failed.is_empty(), "of {}: {:#?}", report.calls, report.failed);
    assert!(client.tries.failed().iter().all(|one| one.origin == Origin::NotSent), "{:#?}", client.tries.failed());
}

/// HTTP/1.1 has no `GOAWAY`: a request that is written while the server closes the idle connection is lost, and its client
/// cannot know that it was not done. A retry may do it again where the operation is idempotent; a balancer must not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_discovery_hears_of_afterwards_fails_only_what_crosses_the_close_of_its_connection_over_http() {
    let (report, client, stops) = told_too_late::<Http>().await;
    let broken = client.tries.broken();
    assert_eq!(report.failed.len(), broken.len(), "{:#?}\n{broken:#?}", report.failed);
    for failed in &report.failed {
        let crossed = |(told, ended): &(Instant, Instant)| failed.ended >= *told && failed.began <= *ended + NOTICES;
        assert!(failed.why.contains("the call broke off") && stops.iter().any(crossed), "{failed:?} {stops:?}");
    }
    for backend in 1..=5 {
        let here = broken.iter().filter(|one| one.id == format!("addsvc-{backend}")).count();
        assert!(here <= CALLERS, "{here} of {} at addsvc-{backend}", report.calls);
    }
}
