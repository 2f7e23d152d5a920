//! What is left to call while most instances rest, and what makes one rest.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kit_base::{Endpoint, Error, FromService, Instance, Origin, Request, Response};
use kit_lb::{ByCause, Candidate, Choice, Endpointer, Fixed, LeastLoaded, RoundRobin, Set, Settings};
use tower::service_fn;

/// Refuses connections while it is told so, and notes each call by its id.
struct Node {
    id: String,
    down: Arc<AtomicBool>,
    calls: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Endpoint<Request<()>> for Node {
    type Response = Response<()>;
    type Error = Error;

    async fn call(&self, request: Request<()>) -> Result<Response<()>, Error> {
        *self.calls.lock().expect("no panic").entry(self.id.clone()).or_default() += 1;
        match self.down.load(SeqCst) {
            true => Err(Error::unavailable("connection refused").with_unsent(request)),
            false => Ok(Response::new(())),
        }
    }
}

type Calls = Arc<Mutex<BTreeMap<String, usize>>>;

fn nodes(count: usize) -> (Endpointer<Node>, Arc<AtomicBool>, Calls) {
    let (down, calls) = (Arc::new(AtomicBool::new(true)), Calls::default());
    let factory = {
        let (down, calls) = (down.clone(), calls.clone());
        move |instance: &Instance| {
            Ok::<_, Infallible>(Node { id: instance.id.clone(), down: down.clone(), calls: calls.clone() })
        }
    };
    (Endpointer::new(Fixed::at((0..count).map(|n| n.to_string())), factory), down, calls)
}

/// After an outage of everything, nobody is made to carry what all could.
#[tokio::test(start_paused = true)]
async fn while_all_rest_each_is_still_called() {
    for count in [2, 4, 5, 8, 10] {
        let (set, down, calls) = nodes(count);
        let balancer = set.balanced_by(RoundRobin::new());
        while !set.snapshot().members.iter().all(|member| member.resting) {
            let _ = balancer.call(Request::new(())).await;
        }
        down.store(false, SeqCst);
        calls.lock().unwrap().clear();
        for _ in 0..count * 100 {
            balancer.call(Request::new(())).await.unwrap();
        }
        assert!(set.snapshot().members.iter().all(|member| member.resting), "time stands still");
        let calls = calls.lock().unwrap();
        assert!(calls.len() == count && calls.values().all(|calls| (50..200).contains(calls)), "{calls:?}");
    }
}

/// To connect to one that drops packets takes seconds; nobody is made to wait for that three times.
#[tokio::test(start_paused = true)]
async fn a_call_is_taken_to_others_only_and_to_none_twice() {
    for (count, tries) in [(1, 1), (2, 2), (3, 3), (9, 3)] {
        let (set, _, calls) = nodes(count);
        for _ in 0..3 {
            calls.lock().unwrap().clear();
            let error = set.balancer().call(Request::new(())).await.unwrap_err();
            assert_eq!(error.message(), "connection refused");
            let calls = calls.lock().unwrap();
            assert!(calls.len() == tries && calls.values().all(|calls| *calls == 1), "{count}: {calls:?}");
        }
    }
}

/// Counts how often it is asked.
struct Asked(Arc<AtomicUsize>);

impl Choice for Asked {
    fn choose<'s, C, K>(&self, set: &'s Set<C, K>) -> Option<&'s Candidate<C, K>> {
        self.0.fetch_add(1, SeqCst);
        set.nth(0)
    }
}

#[tokio::test(start_paused = true)]
async fn the_choice_is_asked_four_times_for_one_that_does_not_rest() {
    let asked = Arc::new(AtomicUsize::new(0));
    let (set, _, _) = nodes(3);
    let balancer = set.balanced_by(Asked(asked.clone()));
    drop(balancer.pick().unwrap());
    assert_eq!(asked.swap(0, SeqCst), 1);
    let _ = balancer.call(Request::new(())).await;
    assert!(set.snapshot().members.iter().all(|member| member.resting));
    asked.store(0, SeqCst);
    drop(balancer.pick().unwrap());
    assert_eq!(asked.load(SeqCst), 4);
}

/// No instance will do for this one.
struct Never;

impl Choice for Never {
    fn choose<'s, C, K>(&self, _: &'s Set<C, K>) -> Option<&'s Candidate<C, K>> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn a_choice_that_takes_none_is_named_as_the_reason() {
    let (set, _, _) = nodes(3);
    let balancer = set.balanced_by(Never);
    let called = balancer.call(Request::new(())).await.unwrap_err();
    for error in [called, balancer.pick().unwrap_err()] {
        assert_eq!(error.message(), "no endpoints available: the choice takes none of 3");
    }
}

/// An open breaker around a connection, say: it knows best when it will admit a call again.
#[tokio::test(start_paused = true)]
async fn a_connection_that_refuses_on_this_side_for_a_time_is_passed_over_for_that_time() {
    struct Open(bool);

    impl Endpoint<Request<()>> for Open {
        type Response = Response<()>;
        type Error = Error;

        async fn call(&self, _: Request<()>) -> Result<Response<()>, Error> {
            let refusal = || Error::unavailable("the breaker is open").with_origin(Origin::LocalRefusal);
            if self.0 { Err(refusal().with_retry_after(Duration::from_secs(5))) } else { Ok(Response::new(())) }
        }
    }

    let set =
        Endpointer::new(Fixed::at(["a", "b"]), |instance: &Instance| Ok::<_, Infallible>(Open(instance.id == "a")));
    let balancer = set.balanced_by(RoundRobin::new());
    assert!(balancer.call(Request::new(())).await.is_err());
    assert!(set.snapshot().members[0].resting);
    for _ in 0..10 {
        balancer.call(Request::new(())).await.unwrap();
    }
    let member = &set.snapshot().members[0];
    assert_eq!((member.calls, member.failures), (1, 0));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!set.snapshot().members[0].resting);
}

#[tokio::test(start_paused = true)]
async fn by_cause_what_cannot_be_reached_rests_whatever_the_system_calls_it() {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut};
    let cases = [
        (ConnectionRefused, true),
        (HostUnreachable, true),
        (NetworkUnreachable, true),
        (TimedOut, true),
        (ConnectionReset, false),
    ];
    for (kind, rests) in cases {
        let factory = move |_: &Instance| {
            let fails =
                move |_: http::Request<String>| async move { Err::<http::Response<String>, _>(io::Error::from(kind)) };
            Ok::<_, Infallible>(FromService::new(service_fn(fails)))
        };
        let set = Endpointer::with(Settings::new(), ByCause, Fixed::at(["a"]), factory);
        let balancer = set.balanced_by(LeastLoaded);
        assert!(balancer.call(http::Request::new(String::new())).await.is_err());
        let member = &set.snapshot().members[0];
        assert_eq!((member.resting, member.failures), (rests, 1), "{kind:?}");
    }
}
