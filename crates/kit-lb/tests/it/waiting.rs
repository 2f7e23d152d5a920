//! Calls before anything is known, and when discovery fails.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kit_base::{
    Context, Deadline, Endpoint, Error, Instance, Instancer, Kind, Origin, Publisher, Request, Subscription,
};
use kit_lb::{Balancer, Endpointer, LeastLoaded, RoundRobin, Settings};
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

/// An instancer whose publisher is elsewhere, and may end.
struct Ending(Arc<Mutex<Option<Publisher>>>);

impl Instancer for Ending {
    fn subscribe(&self) -> Subscription {
        self.0.lock().unwrap().as_ref().expect("not before it has ended").subscribe()
    }
}

/// What could not be connected by then is tried again all the same.
#[tokio::test(start_paused = true)]
async fn an_instancer_that_ends_leaves_its_last_set() {
    let publisher = Publisher::new();
    publisher.publish(vec![Instance::new("a", "a:1"), Instance::new("b", "b:1")], now());
    let (ending, tries) = (Arc::new(Mutex::new(Some(publisher))), AtomicUsize::new(0));
    let named = Named::factory(&Arc::default());
    let set = Endpointer::new(Ending(ending.clone()), move |instance: &Instance| match &*instance.id {
        "b" if tries.fetch_add(1, SeqCst) < 3 => Err("not yet"),
        _ => named(instance).map_err(|never| match never {}),
    });
    settled().await;
    ending.lock().unwrap().take();
    settled().await;
    assert_eq!(call(&set.balancer()).await, "a");
    assert!(Arc::strong_count(&ending) > 1, "the instancer lives while there is something to do");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(set.snapshot().members.iter().all(|member| member.connected));
    assert_eq!(Arc::strong_count(&ending), 1, "and then it is dropped");
    assert_eq!(set.balanced_by(RoundRobin::new()).pick().unwrap().connection().id(), "a");
}

/// A registry that says the same again has been asked just now, so what is known is young.
#[tokio::test(start_paused = true)]
async fn the_age_of_a_set_counts_from_when_it_was_told_last_whether_it_has_changed_or_not() {
    let publisher = Publisher::new();
    publisher.publish(vec![Instance::new("a", "a:1")], now());
    let set = set(&publisher);
    settled().await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    publisher.publish(vec![Instance::new("a", "a:1")], now());
    settled().await;
    assert_eq!(set.snapshot().since, Some(now()));
}

/// The set comes while calls find that there is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_that_waits_for_the_first_set_misses_it() {
    for _ in 0..1_000 {
        let publisher = Publisher::new();
        let set = set(&publisher);
        let calls: Vec<_> = (0..4)
            .map(|_| {
                let balancer = set.balancer();
                tokio::spawn(async move { balancer.call(Request::new(())).await })
            })
            .collect();
        publisher.publish(vec![Instance::new("a", "a:1")], now());
        // And who does not wait is told what was true.
        while let Err(error) = set.balancer().pick() {
            assert_eq!(error.message(), "no endpoints available: the registry has told nothing yet");
        }
        for call in calls {
            call.await.unwrap().expect("an answer");
        }
    }
}

/// So a retry around it, or a balancer over several, can go on with it; messages need not be `Clone`.
#[tokio::test(start_paused = true)]
async fn a_call_without_an_instance_gives_its_request_back() {
    let publisher = Publisher::new();
    let balancer = set(&publisher).balancer();
    for _ in 0..2 {
        let mut error = error(&balancer, Request::new(())).await;
        assert!(error.take_unsent::<Request<()>>().is_some(), "{error}");
        publisher.publish_absent(now());
        settled().await;
    }
}
