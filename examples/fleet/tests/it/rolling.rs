//! One backend after the other is stopped and started anew under load, as a rollout does it.

use kit_lb::Registry;

use crate::client::{Client, Grpc, Http, Transport, instance};
use crate::five;
use crate::load::Load;

/// Each leaves discovery, then stops, starts and comes back.
async fn rolling_restart<C: Transport>() {
    let (mut backends, registry) = (five(), Registry::new());
    backends.iter().for_each(|backend| registry.insert(instance(backend)));
    let client = Client::<C>::new(registry.clone());
    let load = Load::start(client.service());
    for backend in &mut backends {
        let name = backend.name().to_owned();
        client.until_called(&name).await;
        registry.remove(&name);
        client.until_gone(&name).await;
        assert_eq!(backend.stop().unwrap().code(), Some(0));
        backend.restart().unwrap();
        registry.insert(instance(backend));
        client.until_called(&name).await;
    }
    let report = load.end().await;
    assert!(report.failed.is_empty(), "of {}: {:#?}", report.calls, report.failed);
    assert!(report.calls > 1_000, "{}", report.calls);
    // Nothing had to be tried a second time.
    assert!(client.tries.failed().is_empty(), "{:#?}", client.tries.failed());
    eprintln!("{} calls", report.calls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_five_under_load_fails_no_request_over_http() {
    rolling_restart::<Http>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_five_under_load_fails_no_request_over_grpc() {
    rolling_restart::<Grpc>().await;
}

/// Each is told to stop while discovery still knows it, and hears of it only when it has ended.
async fn told_too_late<C: Transport>() {
    let (mut backends, registry) = (five(), Registry::new());
    backends.iter().for_each(|backend| registry.insert(instance(backend)));
    let client = Client::<C>::new(registry.clone());
    let load = Load::start(client.service());
    for backend in &mut backends {
        let name = backend.name().to_owned();
        client.until_called(&name).await;
        assert_eq!(backend.stop().unwrap().code(), Some(0));
        registry.remove(&name);
        client.until_gone(&name).await;
        backend.restart().unwrap();
        registry.insert(instance(backend));
        client.until_called(&name).await;
    }
    let report = load.end().await;
    eprintln!("{} calls; tries {:#?}", report.calls, client.tries.failed());
    assert!(report.failed.is_empty(), "of {}: {:#?}", report.calls, report.failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_discovery_hears_of_afterwards_fails_no_request_over_http() {
    told_too_late::<Http>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_discovery_hears_of_afterwards_fails_no_request_over_grpc() {
    told_too_late::<Grpc>().await;
}
