//! Random histories: the set always has what a plain map has, and each connection is made once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

use kit_base::{Instance, Publisher};
use kit_lb::Endpointer;

use crate::support::{Named, call, settled};

#[tokio::test]
async fn after_any_history_the_set_is_what_was_told_last() {
    for seed in 0..30 {
        history(seed).await;
    }
}

async fn history(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let publisher = Publisher::new();
    let alive = Arc::new(AtomicUsize::new(0));
    let set = Endpointer::new(publisher.clone(), Named::factory(&alive));
    let balancer = set.balancer();
    let mut model: BTreeMap<String, Instance> = BTreeMap::new();
    for _ in 0..60 {
        let ids = if random.bool() { 20 } else { 400 };
        match random.u8(..5) {
            0 => {
                model = (0..random.usize(..300)).map(|_| instance(&mut random, ids)).collect();
                publisher.publish(model.values().cloned().collect(), Instant::now());
            }
            1 => publisher.fail(kit_base::Error::unavailable("down")),
            _ => {
                let (id, new) = instance(&mut random, ids);
                let new = random.bool().then_some(new);
                publisher.publish_change(&id, new.clone(), Instant::now());
                match new {
                    Some(new) => drop(model.insert(id, new)),
                    None => drop(model.remove(&id)),
                }
            }
        }
        if random.bool() {
            settled().await;
            let members = set.snapshot().members;
            let told = members.iter().map(|member| &*member.instance);
            assert!(told.eq(model.values()), "seed {seed}");
            assert!(members.iter().all(|member| member.connected));
            assert_eq!(alive.load(SeqCst), model.len(), "seed {seed}");
            if model.values().any(|instance| instance.weight > 0) {
                let id = call(&balancer).await;
                assert!(model[&id].weight > 0, "seed {seed}");
            }
        }
    }
}

fn instance(random: &mut fastrand::Rng, ids: u32) -> (String, Instance) {
    let id = random.u32(..ids).to_string();
    let mut instance = Instance::new(&*id, format!("host:{}", random.u8(..3)));
    instance.weight = random.u32(..4);
    (id, instance)
}
