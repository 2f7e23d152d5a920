//! The task ends with the channel.

use std::sync::Arc;
use std::time::Duration;

use kit_base::{Instancer, Publisher, Subscription};
use kit_lb_tonic::{Settings, balance_channel, balance_channel_with, endpoint};
use tokio::time::timeout;

use crate::backend::{Backend, HANGS, check};

/// Tells by its count that it is held.
struct Held(Publisher, #[expect(dead_code, reason = "only held")] Arc<()>);

impl Instancer for Held {
    fn subscribe(&self) -> Subscription {
        self.0.subscribe()
    }
}

async fn until_let_go(held: &Arc<()>) {
    let gone = async {
        while Arc::strong_count(held) > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(HANGS, gone).await.expect("the task ends");
}

#[tokio::test]
async fn the_last_clone_of_the_channel_ends_the_task_and_the_instancer() {
    let (backend, publisher, held) = (Backend::start(0).await, Publisher::new(), Arc::new(()));
    publisher.publish(vec![backend.instance.clone()], std::time::Instant::now());
    let channel = balance_channel(Held(publisher, Arc::clone(&held)), endpoint);
    let clone = channel.clone();
    assert_eq!(check(&channel).await.unwrap(), 0);
    drop(channel);
    assert_eq!(check(&clone).await.unwrap(), 0);
    assert_eq!(Arc::strong_count(&held), 2);
    drop(clone);
    until_let_go(&held).await;
}

#[tokio::test]
async fn so_it_does_where_the_channel_was_never_called() {
    let (publisher, held) = (Publisher::new(), Arc::new(()));
    // More changes than the channel takes unasked.
    let many = (0..1_000).map(|n| kit_base::Instance::new(format!("{n}"), "127.0.0.1:1")).collect();
    publisher.publish(many, std::time::Instant::now());
    let channel = balance_channel(Held(publisher, Arc::clone(&held)), endpoint);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(Arc::strong_count(&held), 2);
    drop(channel);
    until_let_go(&held).await;
}

/// tower's `Buffer` does not see that the caller and the channel are gone before something else wakes it.
#[tokio::test]
async fn so_it_does_where_a_call_has_waited_in_vain() {
    let (publisher, held) = (Publisher::new(), Arc::new(()));
    let settings = Settings::new().first_wait(Duration::from_secs(1));
    let channel = balance_channel_with(settings, Held(publisher, Arc::clone(&held)), endpoint);
    assert!(timeout(Duration::from_millis(50), check(&channel)).await.is_err());
    drop(channel);
    until_let_go(&held).await;
}
