//! Users' code that panics, registries that never stop telling, services without end: the set goes on.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use kit_base::{Backoff, Connect, Event, Instance, Instancer, Operation, Publisher, Subscription, Unary};
use kit_lb::{Endpointer, Registry, Settings};
use tokio::time::timeout;

use crate::support::{Alive, Named, call, settled};

/// Whatever takes longer hangs.
const HANGS: Duration = Duration::from_secs(20);

#[tokio::test]
async fn an_observer_that_panics_stops_no_set() {
    let registry = Registry::new();
    registry.insert(Instance::new("a", "a:1"));
    let settings = Settings::new().observer(|_: &Event<'_>| panic!("the observer is broken"));
    let set = Endpointer::with(settings, kit_base::Standard, registry.clone(), Named::factory(&Arc::default()));
    for id in ["b", "c"] {
        registry.insert(Instance::new(id, "x:1"));
        registry.remove("a");
        settled().await;
        assert!(set.snapshot().members.iter().any(|member| &*member.instance.id == id));
    }
    assert_eq!(set.snapshot().members.len(), 2);
}

/// A connection that panics when it is dropped.
struct Brittle;

impl Drop for Brittle {
    fn drop(&mut self) {
        panic!("the connection does not close well");
    }
}

#[tokio::test]
async fn a_connection_that_panics_when_it_is_dropped_stops_no_set() {
    let registry = Registry::new();
    registry.insert(Instance::new("a", "a:1"));
    let set = Endpointer::new(registry.clone(), |instance: &Instance| {
        Ok::<_, Infallible>((instance.id != "b").then_some(Brittle))
    });
    registry.remove("a");
    settled().await;
    registry.insert(Instance::new("b", "b:1"));
    settled().await;
    assert_eq!(set.snapshot().members.len(), 1);
}

/// A classifier that can be cloned so many times.
#[derive(Debug)]
struct Clonable(Arc<AtomicUsize>);

impl Clone for Clonable {
    fn clone(&self) -> Self {
        assert!(self.0.fetch_add(1, SeqCst) != 1, "the second clone is broken");
        Self(Arc::clone(&self.0))
    }
}

#[tokio::test(start_paused = true)]
async fn a_classifier_that_panics_when_it_is_cloned_is_a_connection_that_failed() {
    let (registry, classify) = (Registry::new(), Clonable(Arc::default()));
    registry.insert(Instance::new("a", "a:1"));
    let set = Endpointer::with(Settings::new(), classify, registry.clone(), Named::factory(&Arc::default()));
    registry.insert(Instance::new("b", "b:1"));
    settled().await;
    let connected = || set.snapshot().members.iter().map(|member| member.connected).collect::<Vec<_>>();
    assert_eq!(connected(), [true, false]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(connected(), [true, true]);
}

/// Each set that the task takes over brings the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_never_stops_telling_starves_neither_retries_nor_the_end() {
    let (publisher, instancers, tries) = (Publisher::new(), Arc::default(), AtomicUsize::new(0));
    let instances = vec![Instance::new("a", "0"), Instance::new("bad", "b:1")];
    publisher.publish(instances, Instant::now());
    let factory = {
        let (named, publisher) = (Named::factory(&Arc::default()), publisher.clone());
        move |instance: &Instance| {
            match &*instance.id {
                "a" => {
                    let next = instance.address.parse::<u64>().expect("a number") + 1;
                    publisher.publish_one(Instance::new("a", next.to_string()), Instant::now());
                }
                _ if tries.fetch_add(1, SeqCst) == 0 => return Err("not yet"),
                _ => {}
            }
            named(instance).map_err(|never| match never {})
        }
    };
    let retry = Backoff::new(Duration::from_millis(20), Duration::from_millis(20)).unwrap();
    let instancer = Telling(publisher, Alive::new(&instancers));
    let set = Endpointer::with(Settings::new().retry(retry), kit_base::Standard, instancer, factory);
    let balancer = set.balancer();
    let served = async {
        while !set.snapshot().members.iter().all(|member| member.connected) {
            call(&balancer).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(HANGS, served).await.expect("it is tried again, and calls are served");
    drop((balancer, set));
    let ended = async {
        while instancers.load(SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(HANGS, ended).await.expect("the task ends");
}

/// An instancer that tells when it is dropped.
struct Telling(Publisher, #[expect(dead_code, reason = "its drop is seen")] Alive);

impl Instancer for Telling {
    fn subscribe(&self) -> Subscription {
        self.0.subscribe()
    }
}

/// Names that come from a caller, say of a proxy, have no end.
#[tokio::test]
async fn a_service_of_more_methods_than_are_kept_is_served_and_bounded() {
    let (set, made) = crate::whole::clients();
    let balancer = set.balancer();
    let method = |n: usize| Connect::<Unary, (), String>::connect(&balancer, Operation::new("svc", format!("m{n}")));
    let served = async |n: usize| {
        let answer = kit_base::Endpoint::call(&method(n), kit_base::Request::new(())).await.unwrap().into_message();
        assert!(answer.ends_with(&format!(" m{n}")), "{answer}");
    };
    for n in 0..50_000 {
        served(n).await;
    }
    // The first ones are made once an instance, and those that are beyond what is kept for each call.
    let before = made.load(SeqCst);
    for n in 0..256 {
        served(n).await;
        served(n).await;
    }
    assert!(made.load(SeqCst) <= before + 256, "{} more", made.load(SeqCst) - before);
    let before = made.load(SeqCst);
    for _ in 0..10 {
        served(49_999).await;
    }
    assert_eq!(made.load(SeqCst), before + 10);
}
