//! Clones share state: a limit of 5 stays 5, whoever holds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;

use kit_base::{End, Endpoint, Error, Gate, Guard, Now, Request, Tower};
use tower::ServiceExt;
use tower_layer::Layer;

use crate::support::{Func, now, poll_once};

/// At most `max` calls at a time.
struct AtMost {
    max: usize,
    running: AtomicUsize,
}

impl AtMost {
    fn new(max: usize) -> Self {
        Self { max, running: AtomicUsize::new(0) }
    }
}

impl<Req, Res, Err> Gate<Req, Res, Err> for AtMost {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        let room = |n| (n < self.max).then_some(n + 1);
        let refused = |n| Error::resource_exhausted(format!("{n} calls are running"));
        self.running.fetch_update(SeqCst, SeqCst, room).map(drop).map_err(refused)
    }

    fn finish(&self, (): (), _: &End<'_>) {
        self.running.fetch_sub(1, SeqCst);
    }
}

type Hangs = std::future::Pending<Result<u8, Error>>;

fn hangs() -> Func<fn(Request<u8>) -> Hangs> {
    Func(|_| std::future::pending())
}

#[test]
fn a_limit_of_five_stays_five_over_clones_of_the_layer_and_of_the_endpoint() {
    let guard = Guard::new(AtMost::new(5));
    let endpoints: Vec<_> = (0..4)
        .flat_map(|_| {
            let endpoint = guard.clone().layer(hangs());
            [endpoint.clone(), endpoint]
        })
        .collect();
    let mut calls: Vec<_> =
        endpoints.iter().chain(&endpoints).map(|endpoint| Box::pin(endpoint.call(Request::new(1)))).collect();
    assert_eq!(guard.gate().running.load(SeqCst), 5);
    let refused = calls.iter_mut().map(|call| poll_once(call.as_mut())).filter(Poll::is_ready).count();
    assert_eq!(refused, calls.len() - 5);
    drop(calls);
    assert_eq!(guard.gate().running.load(SeqCst), 0);
}

#[test]
fn a_limit_of_five_stays_five_over_threads() {
    let guard = Guard::new(AtMost::new(5));
    let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let endpoint = guard.layer(Func(|_: Request<u8>| {
        most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
        std::thread::yield_now();
        inside.fetch_sub(1, SeqCst);
        async { Ok::<u8, Error>(1) }
    }));
    let admitted = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let call = endpoint.call(Request::new(1));
                    std::thread::yield_now();
                    if now(call).is_ok() {
                        admitted.fetch_add(1, SeqCst);
                    }
                }
            });
        }
    });
    assert!(most.load(SeqCst) <= 5, "{} calls at a time", most.load(SeqCst));
    assert!(admitted.load(SeqCst) > 0);
    assert_eq!(guard.gate().running.load(SeqCst), 0);
}

/// The bug of tokio-rs/axum#3682: under tower's `Buffer` each connection had its own limit, and 1,500 calls passed one of 5.
#[test]
fn a_limit_of_five_stays_five_over_connections_of_a_tower_service() {
    let guard = Guard::new(AtMost::new(5));
    let tower = Tower::new(guard.clone());
    let service = tower::service_fn(|_: Request<u8>| std::future::pending::<Result<u8, Error>>());
    // An axum router layers once and clones for each connection; others layer once more for each.
    let once = tower.layer(service);
    let mut calls = Vec::new();
    for _ in 0..100 {
        calls.push(Box::pin(once.clone().oneshot(Request::new(1))));
        calls.push(Box::pin(tower.clone().layer(service).oneshot(Request::new(1))));
    }
    let refused = calls.iter_mut().map(|call| poll_once(call.as_mut())).filter(Poll::is_ready).count();
    assert_eq!((guard.gate().running.load(SeqCst), refused), (5, 195));
    drop(calls);
    assert_eq!(guard.gate().running.load(SeqCst), 0);
}

#[test]
fn an_endpoint_behind_a_pointer_is_the_same_endpoint() {
    let guard = Guard::new(AtMost::new(1));
    let shared = Arc::new(guard.layer(hangs()));
    let boxed = Box::new(shared.clone());
    let _running = (*shared).call(Request::new(1));
    assert_eq!(now(boxed.call(Request::new(1))).unwrap_err().message(), "1 calls are running");
}
