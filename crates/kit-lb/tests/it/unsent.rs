//! Instances that cannot be reached, or have too much to do.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kit_base::{Endpoint, Error, Instance, Kind, Request, Response};
use kit_lb::{Endpointer, Fixed, Random, RoundRobin};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Not to be cloned: a balancer must not ask that of messages.
struct Message(u32);

/// Refuses connections while its id is among the dead.
struct Node {
    id: String,
    dead: Dead,
    tries: Arc<AtomicUsize>,
}

type Dead = Arc<Mutex<Vec<(&'static str, fn(Request<Message>) -> Error)>>>;

impl Endpoint<Request<Message>> for Node {
    type Response = Response<(String, u32)>;
    type Error = Error;

    async fn call(&self, request: Request<Message>) -> Result<Self::Response, Error> {
        self.tries.fetch_add(1, SeqCst);
        // To connect takes a moment, in which others call.
        tokio::task::yield_now().await;
        let dead = self.dead.lock().expect("no panic").iter().find(|(id, _)| *id == self.id).map(|(_, how)| *how);
        match dead {
            Some(how) => Err(how(request)),
            None => Ok(Response::new((self.id.clone(), request.into_message().0))),
        }
    }
}

fn nodes(ids: &[&'static str]) -> (Endpointer<Node>, Dead, Arc<AtomicUsize>) {
    let (dead, tries) = (Dead::default(), Arc::new(AtomicUsize::new(0)));
    let factory = {
        let (dead, tries) = (dead.clone(), tries.clone());
        move |instance: &Instance| {
            Ok::<_, std::io::Error>(Node { id: instance.id.clone(), dead: dead.clone(), tries: tries.clone() })
        }
    };
    (Endpointer::new(Fixed::at(ids.iter().copied()), factory), dead, tries)
}

fn refused(request: Request<Message>) -> Error {
    Error::unavailable("connection refused").with_unsent(request)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_did_not_begin_is_taken_to_another_instance() {
    let (set, dead, tries) = nodes(&["a", "b", "c"]);
    let balancer = set.balanced_by(RoundRobin::new());
    dead.lock().unwrap().push(("a", refused));
    for n in 0..30 {
        let (id, message) = balancer.call(Request::new(Message(n))).await.unwrap().into_message();
        assert!(id != "a" && message == n);
    }
    // And what could not be reached is passed over for a while.
    assert_eq!(tries.load(SeqCst), 31);
    let member = &set.snapshot().members[0];
    assert_eq!((member.resting, member.failures, member.in_flight), (true, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_back_is_found_in_time_and_one_that_stays_away_is_tried_ever_less() {
    let (set, dead, tries) = nodes(&["a", "b"]);
    let balancer = set.balanced_by(RoundRobin::new());
    dead.lock().unwrap().push(("a", refused));
    let begun = Instant::now();
    let mut calls = 0;
    while begun.elapsed() < Duration::from_secs(120) {
        balancer.call(Request::new(Message(0))).await.unwrap();
        calls += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let extra = tries.load(SeqCst) - calls;
    assert!((8..=20).contains(&extra), "{extra} tries in two minutes");
    dead.lock().unwrap().clear();
    let back = Instant::now();
    while balancer.call(Request::new(Message(0))).await.unwrap().into_message().0 != "a" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(back.elapsed() <= Duration::from_secs(30));
    assert!(!set.snapshot().members[0].resting);
}

#[tokio::test(start_paused = true)]
async fn when_nobody_can_be_reached_three_are_tried_and_the_last_error_is_told() {
    let (set, dead, tries) = nodes(&["a", "b", "c", "d", "e"]);
    dead.lock().unwrap().extend(["a", "b", "c", "d", "e"].map(|id| (id, refused as fn(_) -> _)));
    let error = set.balanced_by(RoundRobin::new()).call(Request::new(Message(0))).await.unwrap_err();
    assert_eq!((error.message(), tries.load(SeqCst)), ("connection refused", 3));
}

/// What may have begun is never done twice here: that is for a retry, which knows what may be repeated.
#[tokio::test(start_paused = true)]
async fn what_may_have_begun_is_not_taken_elsewhere() {
    let ways: [fn(Request<Message>) -> Error; 3] = [
        |_| Error::unavailable("reset by peer"),
        |request| Error::unavailable("reset by peer").with_unsent(request).with_origin(kit_base::Origin::Remote),
        |request| Error::invalid_argument("cannot be encoded").with_unsent(request),
    ];
    for way in ways {
        let (set, dead, tries) = nodes(&["a", "b"]);
        dead.lock().unwrap().extend(["a", "b"].map(|id| (id, way)));
        let error = set.balancer().call(Request::new(Message(0))).await.unwrap_err();
        assert_eq!(tries.load(SeqCst), 1, "{error}");
        assert!(set.snapshot().members.iter().all(|member| !member.resting), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_asks_for_calm_is_passed_over_for_that_time() {
    let (set, dead, tries) = nodes(&["a", "b"]);
    let balancer = set.balanced_by(RoundRobin::new());
    dead.lock()
        .unwrap()
        .push(("a", |_| Error::resource_exhausted("too much to do").with_retry_after(Duration::from_secs(7))));
    let error = balancer.call(Request::new(Message(0))).await.unwrap_err();
    assert_eq!((error.kind(), set.snapshot().members[0].failures), (Kind::ResourceExhausted, 0));
    tokio::time::sleep(Duration::from_millis(6_990)).await;
    for _ in 0..10 {
        assert_eq!(balancer.call(Request::new(Message(0))).await.unwrap().into_message().0, "b");
    }
    assert_eq!(tries.load(SeqCst), 11);
    dead.lock().unwrap().clear();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let ids = [balancer.call(Request::new(Message(0))).await, balancer.call(Request::new(Message(0))).await]
        .map(|answer| answer.unwrap().into_message().0);
    assert!(ids.contains(&"a".to_owned()), "{ids:?}");
}

/// One that cannot be reached has no calls in flight, so it always looks less loaded than the other.
#[tokio::test(start_paused = true)]
async fn of_two_the_dead_one_is_passed_over_however_busy_the_other_is() {
    let (set, dead, tries) = nodes(&["a", "b"]);
    let balancer = set.balancer();
    let busy =
        [balancer.pick().unwrap(), balancer.pick().unwrap()].into_iter().find(|pick| pick.connection().id == "b");
    dead.lock().unwrap().push(("a", refused));
    for n in 0..30 {
        assert_eq!(balancer.call(Request::new(Message(n))).await.unwrap().into_message(), ("b".to_owned(), n));
    }
    assert_eq!(tries.load(SeqCst), 31);
    drop(busy);
}

#[tokio::test(start_paused = true)]
async fn the_only_one_that_lives_is_found_among_many_dead_ones() {
    let ids = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let (set, dead, tries) = nodes(&ids);
    let balancer = set.balanced_by(Random);
    dead.lock().unwrap().extend(ids.iter().filter(|id| **id != "f").map(|id| (*id, refused as fn(_) -> _)));
    while set.snapshot().members.iter().filter(|member| member.resting).count() < 11 {
        let _ = balancer.call(Request::new(Message(0))).await;
    }
    tries.store(0, SeqCst);
    for n in 0..100 {
        assert_eq!(balancer.call(Request::new(Message(n))).await.unwrap().into_message(), ("f".to_owned(), n));
    }
    assert_eq!(tries.load(SeqCst), 100);
}

/// All that wait for one connection fail together, which says no more than one failure does.
#[tokio::test(start_paused = true)]
async fn calls_that_fail_together_make_it_rest_once() {
    let (set, dead, tries) = nodes(&["a", "b"]);
    dead.lock().unwrap().push(("a", refused));
    let balancer = set.balanced_by(RoundRobin::new());
    let mut calls = JoinSet::new();
    for n in 0..40 {
        let balancer = balancer.clone();
        calls.spawn(async move { balancer.call(Request::new(Message(n))).await.unwrap() });
    }
    calls.join_all().await;
    assert!(tries.load(SeqCst) > 50, "none began before another had failed");
    assert!(set.snapshot().members[0].resting);
    tokio::time::sleep(Duration::from_millis(101)).await;
    assert!(!set.snapshot().members[0].resting);
}
