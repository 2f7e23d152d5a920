//! Calls over a set: who gets them.

use std::sync::Arc;

use kit_base::{Endpoint, Instance, Instancer, Kind, Origin, Request};
use kit_lb::{Endpointer, Fixed, Registry, RoundRobin};

use crate::support::{Named, call};

/// Go kit's LB-1.
#[tokio::test]
async fn round_robin_goes_through_the_instances_in_the_order_of_their_ids_from_the_first_on() {
    let set = Endpointer::new(Fixed::at(["b:1", "c:1", "a:1"]), Named::factory(&Arc::default()));
    let balancer = set.balanced_by(RoundRobin::new());
    for _ in 0..3 {
        for id in ["a:1", "b:1", "c:1"] {
            assert_eq!(call(&balancer).await, id);
        }
    }
}

/// Go kit's LB-2.
#[tokio::test]
async fn without_an_instance_a_call_fails_at_once_and_says_why() {
    let set = Endpointer::new(Registry::new(), Named::factory(&Arc::default()));
    let error = set.balancer().call(Request::new(())).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent));
    assert_eq!(error.message(), "no endpoints available: the service has no instances");
}

#[tokio::test]
async fn a_set_follows_its_registry() {
    let registry = Registry::new();
    let alive = Arc::default();
    let set = Endpointer::new(registry.clone(), Named::factory(&alive));
    let balancer = set.balancer();
    let mut subscription = registry.subscribe();
    for n in 0..300 {
        registry.insert(Instance::new(format!("{n:03}"), "x:1"));
    }
    subscription.changed().await.unwrap();
    while set.snapshot().members.len() < 300 {
        tokio::task::yield_now().await;
    }
    call(&balancer).await;
    assert_eq!(alive.load(std::sync::atomic::Ordering::SeqCst), 300);
    for n in 1..300 {
        registry.remove(&format!("{n:03}"));
    }
    while set.snapshot().members.len() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(call(&balancer).await, "000");
    while alive.load(std::sync::atomic::Ordering::SeqCst) > 1 {
        tokio::task::yield_now().await;
    }
}

/// Go kit's LB-3, while the set changes all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_on_many_threads_are_served_while_instances_come_and_go() {
    let registry = Registry::new();
    registry.insert(Instance::new("stays", "x:1"));
    let alive = Arc::default();
    let set = Endpointer::new(registry.clone(), Named::factory(&alive));
    let changes = {
        let registry = registry.clone();
        tokio::task::spawn_blocking(move || {
            let mut random = fastrand::Rng::with_seed(1);
            for _ in 0..3_000 {
                let id = random.u8(..150).to_string();
                match random.bool() {
                    true => registry.insert(Instance::new(id, "x:1")),
                    false => drop(registry.remove(&id)),
                }
            }
        })
    };
    let callers: Vec<_> = (0..16)
        .map(|n| {
            let (least, robin) = (set.balancer(), set.balanced_by(RoundRobin::new()));
            tokio::spawn(async move {
                for _ in 0..1_000 {
                    match n % 2 {
                        0 => call(&least).await,
                        _ => call(&robin).await,
                    };
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    changes.await.unwrap();
    // What is gone is let go by the task of the set, at its own pace.
    while alive.load(std::sync::atomic::Ordering::SeqCst) != set.snapshot().members.len()
        || set.snapshot().members.iter().any(|member| member.in_flight > 0)
    {
        tokio::task::yield_now().await;
    }
}
