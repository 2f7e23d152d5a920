//! Under tower's own balancer, behind its `Buffer`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Ready, pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use kit_base::{Error, Instance, Publisher};
use kit_lb::Registry;
use kit_lb_tower::Discovered;
use tokio::time::{Instant, timeout};
use tower::balance::p2c::Balance;
use tower::buffer::Buffer;
use tower::load::{CompleteOnResponse, PeakEwmaDiscover, PendingRequestsDiscover};
use tower::util::BoxCloneService;
use tower::{BoxError, Service, ServiceExt, service_fn};

use crate::support::instance;

type Balanced = BoxCloneService<(), String, BoxError>;

/// Answers with the id and address of its instance.
fn named(
    instance: &Instance,
) -> Result<
    impl Service<(), Response = String, Error = BoxError, Future = Ready<Result<String, BoxError>>> + use<>,
    Infallible,
> {
    let name = format!("{}@{}", instance.id, instance.address);
    Ok(service_fn(move |()| ready(Ok::<_, BoxError>(name.clone()))))
}

/// Both loads that tower measures.
fn both(instancer: impl Fn() -> Publisher) -> [Balanced; 2] {
    let pending = PendingRequestsDiscover::new(Discovered::new(instancer(), named), CompleteOnResponse::default());
    // A new service is thought to be quicker than any known one, or it would not be asked for seconds.
    let (first, decay) = (Duration::from_nanos(1), Duration::from_secs(1));
    let ewma = PeakEwmaDiscover::new(Discovered::new(instancer(), named), first, decay, CompleteOnResponse::default());
    [
        BoxCloneService::new(Buffer::new(Balance::new(pending), 64)),
        BoxCloneService::new(Buffer::new(Balance::new(ewma), 64)),
    ]
}

async fn call(balanced: &Balanced) -> String {
    balanced.clone().oneshot(()).await.expect("an answer")
}

async fn served(balanced: &Balanced, calls: usize) -> BTreeMap<String, usize> {
    let mut served = BTreeMap::new();
    for _ in 0..calls {
        *served.entry(call(balanced).await).or_default() += 1;
    }
    served
}

fn publish(publisher: &Publisher, instances: &[(&str, &str)]) {
    let instances = instances.iter().map(|(id, address)| instance(id, address)).collect();
    publisher.publish(instances, Instant::now().into_std());
}

#[tokio::test]
async fn p2c_calls_all_instances_and_follows_their_changes_by_either_load() {
    let publisher = Publisher::new();
    publish(&publisher, &[("a", "x:1"), ("b", "x:2"), ("c", "x:3")]);
    for (balanced, all) in both(|| publisher.clone()).into_iter().zip([true, false]) {
        publish(&publisher, &[("a", "x:1"), ("b", "x:2"), ("c", "x:3")]);
        of(&served(&balanced, 300).await, &["a@x:1", "b@x:2", "c@x:3"], all);
        // One goes, one comes, one moves.
        publish(&publisher, &[("b", "y:2"), ("c", "x:3"), ("d", "x:4")]);
        of(&served(&balanced, 300).await, &["b@y:2", "c@x:3", "d@x:4"], all);
        publisher.fail(Error::unavailable("no leader"));
        of(&served(&balanced, 300).await, &["b@y:2", "c@x:3", "d@x:4"], all);
    }
}

/// Whether these were served; by latencies the slowest of three loses against either other one.
fn of(served: &BTreeMap<String, usize>, names: &[&str], all: bool) {
    assert!(served.keys().all(|name| names.contains(&&**name)), "{served:?}");
    assert!(served.len() >= if all { 3 } else { 2 }, "{served:?}");
}

#[tokio::test]
async fn a_rolling_change_under_load_loses_no_call() {
    let registry = Registry::new();
    for n in 0..5 {
        registry.insert(instance(&format!("{n}"), "old:1"));
    }
    let by_load = PendingRequestsDiscover::new(Discovered::new(registry.clone(), named), CompleteOnResponse::default());
    let balanced = BoxCloneService::new(Buffer::new(Balance::new(by_load), 64));
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (balanced, stop) = (balanced.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut calls = 0;
                while !stop.load(SeqCst) {
                    balanced.clone().oneshot(()).await.expect("no call fails");
                    calls += 1;
                    tokio::task::yield_now().await;
                }
                calls
            })
        })
        .collect();
    for round in 0..20 {
        for n in 0..5 {
            match (round + n) % 3 {
                0 => registry.insert(instance(&format!("{n}"), &format!("new:{round}"))),
                1 => drop(registry.remove(&format!("{n}"))),
                _ => registry.insert(instance(&format!("{n}"), "old:1")),
            }
            // Never without one.
            registry.insert(instance("5", "stays:1"));
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, SeqCst);
    for caller in callers {
        assert!(timeout(Duration::from_secs(10), caller).await.expect("no hang").unwrap() > 0);
    }
}

/// What the documentation says of tower.
#[tokio::test(start_paused = true)]
async fn at_an_empty_set_calls_wait_until_an_instance_comes() {
    let publisher = Publisher::new();
    for balanced in both(|| publisher.clone()) {
        publish(&publisher, &[]);
        assert!(timeout(Duration::from_secs(60), balanced.clone().oneshot(())).await.is_err());
        let waiting = tokio::spawn(balanced.clone().oneshot(()));
        tokio::time::sleep(Duration::from_secs(60)).await;
        publish(&publisher, &[("a", "x:1")]);
        assert_eq!(waiting.await.unwrap().unwrap(), "a@x:1");
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_a_service_fails_no_call_of_the_others_and_joins_when_it_has_one() {
    let registry = Registry::new();
    registry.insert(instance("a", "x:1"));
    registry.insert(instance("b", "x:2"));
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = Arc::clone(&broken);
    let factory = move |instance: &Instance| match &*instance.id {
        "b" if is_broken.load(SeqCst) => Err("no certificate"),
        _ => Ok(named(instance).unwrap()),
    };
    let by_load = PendingRequestsDiscover::new(Discovered::new(registry, factory), CompleteOnResponse::default());
    let balanced = BoxCloneService::new(Buffer::new(Balance::new(by_load), 64));
    assert_eq!(served(&balanced, 100).await, BTreeMap::from([("a@x:1".to_owned(), 100)]));
    broken.store(false, SeqCst);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(served(&balanced, 100).await.len(), 2);
}

#[tokio::test]
async fn a_service_that_is_never_ready_is_left_aside() {
    let registry = Registry::new();
    registry.insert(instance("a", "x:1"));
    registry.insert(instance("b", "x:2"));
    let factory = |instance: &Instance| {
        let hangs = instance.id == "a";
        let id = instance.id.clone();
        let service = service_fn(move |()| ready(Ok::<_, BoxError>(id.clone())));
        Ok::<_, Infallible>(tower::util::BoxService::new(tower::util::future_service(Box::pin(async move {
            match hangs {
                true => pending().await,
                false => Ok::<_, BoxError>(service),
            }
        }))))
    };
    let by_load = PendingRequestsDiscover::new(Discovered::new(registry, factory), CompleteOnResponse::default());
    let balanced = BoxCloneService::new(Buffer::new(Balance::new(by_load), 64));
    assert_eq!(served(&balanced, 50).await, BTreeMap::from([("b".to_owned(), 50)]));
}

/// What the documentation says of tower: tower-rs/tower#824.
#[tokio::test]
async fn an_idle_balancer_keeps_the_service_of_an_instance_that_is_gone_until_the_next_call() {
    let registry = Registry::new();
    registry.insert(instance("a", "x:1"));
    registry.insert(instance("b", "x:2"));
    let alive = Arc::new(());
    let lives = Arc::clone(&alive);
    let factory = move |_: &Instance| {
        let lives = Arc::clone(&lives);
        Ok::<_, Infallible>(service_fn(move |()| ready(Ok::<_, BoxError>(Arc::strong_count(&lives).to_string()))))
    };
    let by_load =
        PendingRequestsDiscover::new(Discovered::new(registry.clone(), factory), CompleteOnResponse::default());
    let balanced = BoxCloneService::new(Buffer::new(Balance::new(by_load), 64));
    // Ours, the factory's, and one for each service.
    assert_eq!(call(&balanced).await, "4");
    registry.remove("a");
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(Arc::strong_count(&alive), 4);
    call(&balanced).await;
    call(&balanced).await;
    assert_eq!(Arc::strong_count(&alive), 3);
}
