//! Instances come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use kit_lb::Registry;
use kit_lb_tonic::{balance_channel, endpoint};
use tokio::time::timeout;
use tonic::Code;

use crate::backend::{Backend, HANGS, check, served, until_served};

#[tokio::test]
async fn instances_that_come_are_called_and_those_that_go_are_not() {
    let backends = [Backend::start(0).await, Backend::start(1).await, Backend::start(2).await];
    let registry = Registry::new();
    let channel = balance_channel(registry.clone(), endpoint);
    registry.insert(backends[0].instance.clone());
    registry.insert(backends[1].instance.clone());
    until_served(&channel, &[0, 1]).await;
    registry.insert(backends[2].instance.clone());
    until_served(&channel, &[0, 1, 2]).await;
    registry.remove("0");
    until_served(&channel, &[1, 2]).await;
    assert!(!served(&channel, 100).await.contains_key(&0));
}

#[tokio::test]
async fn an_instance_that_moves_is_called_where_it_is_now() {
    let (old, new) = (Backend::start(0).await, Backend::start(1).await);
    let registry = Registry::new();
    let mut instance = old.instance.clone();
    registry.insert(instance.clone());
    let channel = balance_channel(registry.clone(), endpoint);
    assert_eq!(check(&channel).await.unwrap(), 0);
    instance.address = new.instance.address.clone();
    registry.insert(instance);
    until_served(&channel, &[1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_change_under_load_fails_no_call() {
    let registry = Registry::new();
    let mut backends = Vec::new();
    for number in 0..3 {
        let backend = Backend::start(number).await;
        registry.insert(backend.instance.clone());
        backends.push(backend);
    }
    let channel = balance_channel(registry.clone(), endpoint);
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (channel, stop) = (channel.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut failed = Vec::new();
                while !stop.load(SeqCst) {
                    failed.extend(check(&channel).await.err());
                }
                failed
            })
        })
        .collect();
    for number in 3..6 {
        let new = Backend::start(number).await;
        registry.insert(new.instance.clone());
        registry.remove(&(number - 3).to_string());
        let left: Vec<_> = (number - 2..=number).collect();
        until_served(&channel, &left).await;
        // The order of a good stop: out of discovery, and then down, when nobody calls it any more.
        backends[(number - 3) as usize].stop();
        backends.push(new);
    }
    stop.store(true, SeqCst);
    for caller in callers {
        let failed = timeout(HANGS, caller).await.expect("no hang").unwrap();
        assert!(failed.is_empty(), "{failed:?}");
    }
}

/// What the documentation says of tonic: grpc/grpc-rust#1231, #643, #2839.
#[tokio::test]
async fn an_instance_that_is_down_fails_its_share_of_the_calls_until_it_is_removed_and_is_not_forgotten() {
    let (mut down, up) = (Backend::start(0).await, Backend::start(1).await);
    let registry = Registry::new();
    registry.insert(down.instance.clone());
    registry.insert(up.instance.clone());
    let channel = balance_channel(registry.clone(), endpoint);
    until_served(&channel, &[0, 1]).await;
    let address = down.instance.address.clone();
    down.kill();
    let mut failed = 0;
    for _ in 0..100 {
        match check(&channel).await {
            Ok(number) => assert_eq!(number, 1),
            Err(status) => {
                assert!(matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled), "{status:?}");
                failed += 1;
            }
        }
    }
    assert!((10..=90).contains(&failed), "{failed} of 100 have failed");
    registry.remove("0");
    // The next call takes the change over.
    let _ = check(&channel).await;
    until_served(&channel, &[1]).await;
    // What comes back is called again, whether discovery has seen it go or not.
    let again = Backend::start_at(2, &address).await;
    registry.insert(again.instance.clone());
    until_served(&channel, &[1, 2]).await;
}

#[tokio::test]
async fn an_instance_without_an_endpoint_fails_no_call_of_the_others_and_joins_when_it_has_one() {
    let backends = [Backend::start(0).await, Backend::start(1).await];
    let registry = Registry::new();
    for backend in &backends {
        registry.insert(backend.instance.clone());
    }
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = Arc::clone(&broken);
    let channel = balance_channel(registry, move |instance| match &*instance.id {
        "0" if is_broken.load(SeqCst) => Err("no certificate".into()),
        _ => endpoint(instance).map_err(Box::<dyn std::error::Error + Send + Sync>::from),
    });
    assert_eq!(served(&channel, 50).await.into_keys().collect::<Vec<_>>(), [1]);
    broken.store(false, SeqCst);
    until_served(&channel, &[0, 1]).await;
}

#[tokio::test]
async fn an_address_that_is_none_is_an_error_of_the_factory() {
    let instance = kit_base::Instance::new("a", "no address");
    assert!(endpoint(&instance).is_err());
    let mut instance = kit_base::Instance::new("a", "[::1]:8081");
    assert_eq!(endpoint(&instance).unwrap().uri(), "http://[::1]:8081");
    instance.scheme = Some("https".into());
    assert_eq!(endpoint(&instance).unwrap().uri(), "https://[::1]:8081");
}
