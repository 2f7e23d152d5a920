//! Sets that are replaced while calls choose from them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use kit_base::Instance;
use kit_lb::{Endpointer, Registry};
use tokio::time::timeout;

use crate::support::Named;

/// More threads than the set has copies of its pointer, so that readers meet each other and the writer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn picks_from_many_threads_never_miss_a_set_that_is_being_replaced_and_let_go_of_what_is_gone() {
    let (registry, alive, over) = (Registry::new(), Arc::<AtomicUsize>::default(), AtomicBool::new(false));
    registry.insert(Instance::new("always", "x:1"));
    let set = Endpointer::new(registry.clone(), Named::factory(&alive));
    let picked = tokio::task::block_in_place(|| {
        thread::scope(|scope| {
            let picks = || {
                let (balancer, mut picked) = (set.balancer(), 0_u64);
                while !over.load(SeqCst) {
                    (0..50).for_each(|_| drop(balancer.pick().unwrap()));
                    picked += 1;
                    thread::yield_now();
                }
                picked
            };
            let threads: Vec<_> = (0..20).map(|_| scope.spawn(picks)).collect();
            for round in 0..500 {
                registry.insert(Instance::new(format!("{}", round % 100), format!("x:{round}")));
                thread::yield_now();
            }
            assert!((0..100).all(|number| registry.remove(&number.to_string())));
            over.store(true, SeqCst);
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>()
        })
    });
    assert!(picked > 0);
    let settled = async {
        while set.snapshot().members.len() > 1 || alive.load(SeqCst) > 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), settled).await.expect("what is gone is let go of");
}
