//! A set without instances: calls fail, and do not wait for ever as tonic would have them.

use std::time::{Duration, Instant};

use kit_base::{Error, Publisher};
use kit_lb::Registry;
use kit_lb_tonic::{Settings, balance_channel, balance_channel_with, endpoint};
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::channel::Change;
use tonic::transport::{Channel, Endpoint};

use crate::backend::{Backend, check, until_served};

async fn fails_at_once(channel: &Channel) {
    let begun = Instant::now();
    let status = check(channel).await.expect_err("nobody is there");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

/// Why this crate does what it does.
#[tokio::test]
async fn calls_of_tonics_own_channel_wait_for_ever() {
    let (channel, _sender) = Channel::balance_channel::<u8>(1);
    assert!(timeout(Duration::from_millis(500), check(&channel)).await.is_err());
}

#[tokio::test]
async fn an_empty_set_fails_calls_at_once_and_an_instance_that_comes_ends_that() {
    let backend = Backend::start(0).await;
    let registry = Registry::new();
    let channel = balance_channel(registry.clone(), endpoint);
    for _ in 0..3 {
        fails_at_once(&channel).await;
        fails_at_once(&channel).await;
        registry.insert(backend.instance.clone());
        until_it_answers(&channel).await;
        until_served(&channel, &[0]).await;
        registry.remove("0");
        until_it_fails(&channel).await;
    }
}

/// The change and the call race.
async fn until_it_answers(channel: &Channel) {
    while check(channel).await.is_err() {}
}

async fn until_it_fails(channel: &Channel) {
    while check(channel).await.is_ok() {}
}

#[tokio::test]
async fn a_registry_that_cannot_be_asked_or_does_not_know_the_service_fails_calls_at_once() {
    let publisher = Publisher::new();
    let channel = balance_channel(publisher.clone(), endpoint);
    publisher.fail(Error::unavailable("no leader"));
    fails_at_once(&channel).await;
    let publisher = Publisher::new();
    let channel = balance_channel(publisher.clone(), endpoint);
    publisher.publish_absent(Instant::now());
    fails_at_once(&channel).await;
}

#[tokio::test]
async fn the_first_calls_wait_for_the_first_set() {
    let backend = Backend::start(0).await;
    let publisher = Publisher::new();
    let channel = balance_channel(publisher.clone(), endpoint);
    let waiting = tokio::spawn(async move { check(&channel).await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    publisher.publish(vec![backend.instance.clone()], Instant::now());
    assert_eq!(waiting.await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn the_first_wait_ends() {
    let publisher = Publisher::new();
    let settings = Settings::new().first_wait(Duration::from_millis(200));
    let channel = balance_channel_with(settings, publisher.clone(), endpoint);
    let begun = Instant::now();
    fails_at_once(&channel).await;
    assert!(begun.elapsed() >= Duration::from_millis(200));
}

/// What the trick rests on.
#[tokio::test]
async fn nobody_listens_at_port_0() {
    let (channel, sender) = Channel::balance_channel(1);
    sender.send(Change::Insert(0, Endpoint::from_static("http://127.0.0.1:0"))).await.unwrap();
    for _ in 0..3 {
        fails_at_once(&channel).await;
    }
}
