//! Calls before anything is known, and when discovery fails.

use std::sync::Arc;
use std::time::Duration;

use kit_base::{Context, Deadline, Endpoint, Error, Instance, Kind, Origin, Publisher, Request};
use kit_lb::{Balancer, Endpointer, LeastLoaded, Settings};
use tokio::time::Instant;

use crate::support::{Named, call, settled};

fn set(publisher: &Publisher) -> Endpointer<Named> {
    Endpointer::new(publisher.clone(), Named::factory(&Arc::default()))
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

async fn error(balancer: &Balancer<Named, LeastLoaded>, request: Request<()>) -> Error {
    balancer.call(request).await.expect_err("there is no instance")
}

#[tokio::test(start_paused = true)]
async fn a_call_before_the_first_set_waits_for_it() {
    let publisher = Publisher::new();
    let balancer = set(&publisher).balancer();
    let later = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        publisher.publish(vec![Instance::new("a", "a:1")], now());
    };
    let begun = Instant::now();
    let (id, ()) = tokio::join!(call(&balancer), later);
    assert_eq!((&*id, begun.elapsed()), ("a", Duration::from_secs(4)));
}

#[tokio::test(start_paused = true)]
async fn it_waits_no_longer_than_the_limit() {
    let balancer = set(&Publisher::new()).balancer();
    let begun = Instant::now();
    let error = error(&balancer, Request::new(())).await;
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent));
    assert_eq!(error.message(), "no endpoints available: the registry has told nothing within 5s");
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn nor_than_its_deadline() {
    let balancer = set(&Publisher::new()).balancer();
    let cx = Context::new().with_deadline(Deadline::after(now(), Duration::from_secs(2)));
    let begun = Instant::now();
    let error = error(&balancer, Request::from_parts(cx, ())).await;
    assert_eq!((error.kind(), error.origin()), (Kind::DeadlineExceeded, Origin::NotSent));
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn the_limit_can_be_set() {
    let settings = Settings::new().first_wait(Duration::ZERO);
    let factory = Named::factory(&Arc::default());
    let set = Endpointer::with(settings, kit_base::Standard, Publisher::new(), factory);
    let begun = Instant::now();
    assert_eq!(error(&set.balancer(), Request::new(())).await.kind(), Kind::Unavailable);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_pick_never_waits() {
    let error = set(&Publisher::new()).balancer().pick().expect_err("nothing is known");
    assert_eq!(error.message(), "no endpoints available: the registry has told nothing yet");
}

/// gRPC's rule: a name that cannot be resolved fails the calls that do not ask to wait.
#[tokio::test(start_paused = true)]
async fn when_the_registry_fails_before_the_first_set_calls_fail_at_once_with_its_error() {
    let publisher = Publisher::new();
    let balancer = set(&publisher).balancer();
    let waiting = tokio::spawn({
        let balancer = balancer.clone();
        async move { error(&balancer, Request::new(())).await }
    });
    settled().await;
    publisher.fail(Error::unavailable("connection refused by the agent"));
    let begun = Instant::now();
    for error in [waiting.await.unwrap(), error(&balancer, Request::new(())).await] {
        assert_eq!(error.message(), "no endpoints available: the registry cannot be asked");
        let cause = std::error::Error::source(&error).expect("a source").to_string();
        assert_eq!(cause, "UNAVAILABLE: connection refused by the agent");
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_last_known_set_serves_while_the_registry_fails_and_its_error_and_age_are_seen() {
    let publisher = Publisher::new();
    publisher.publish(vec![Instance::new("a", "a:1")], now());
    let set = set(&publisher);
    let since = now();
    tokio::time::sleep(Duration::from_secs(60)).await;
    publisher.fail(Error::unavailable("the agent is down"));
    settled().await;
    assert_eq!(call(&set.balancer()).await, "a");
    let snapshot = set.snapshot();
    assert_eq!(snapshot.since, Some(since));
    assert_eq!(snapshot.error.unwrap().message(), "the agent is down");

    // Until it is too old to be trusted.
    publisher.expire();
    settled().await;
    let error = error(&set.balancer(), Request::new(())).await;
    assert_eq!(error.message(), "no endpoints available: the registry cannot be asked");

    publisher.publish(vec![Instance::new("a", "a:1")], now());
    settled().await;
    assert_eq!(call(&set.balancer()).await, "a");
}

#[tokio::test(start_paused = true)]
async fn empty_absent_and_without_weight_are_told_apart() {
    let publisher = Publisher::new();
    let set = set(&publisher);
    let mut spare = Instance::new("a", "a:1");
    spare.weight = 0;
    publisher.publish(vec![spare], now());
    settled().await;
    let message = async || error(&set.balancer(), Request::new(())).await.message().to_owned();
    assert_eq!(message().await, "no endpoints available: every instance has the weight 0");
    publisher.publish_absent(now());
    settled().await;
    assert_eq!(message().await, "no endpoints available: the registry does not know the service");
    publisher.publish(vec![], now());
    settled().await;
    assert_eq!(message().await, "no endpoints available: the service has no instances");
}

#[tokio::test]
async fn an_instancer_that_ends_leaves_its_last_set() {
    let publisher = Publisher::new();
    publisher.publish(vec![Instance::new("a", "a:1")], now());
    let set = {
        struct Ending(Publisher);
        impl kit_base::Instancer for Ending {
            fn subscribe(&self) -> kit_base::Subscription {
                self.0.subscribe()
            }
        }
        Endpointer::new(Ending(publisher), Named::factory(&Arc::default()))
    };
    settled().await;
    assert_eq!(call(&set.balancer()).await, "a");
}
