//! One limit for all clones, layers and threads: what passes is the burst and what came in, and not one more.

use std::future::Future;
use std::pin::pin;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use kit_base::{End, Endpoint, Error, Gate, Guard, Judgement, Now, Request, Standard};
use kit_ratelimit::{Keyed, Layer, Quota, RateLimit, nonzero};

use crate::support::{Echo, no_room, nz, quota};

/// The outcome of a future that does not wait.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// So many threads begin at once, and their results.
fn at_once<T: Send>(threads: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(threads);
    thread::scope(|scope| {
        let (start, run) = (&start, &run);
        let threads: Vec<_> = (0..threads)
            .map(|n| {
                scope.spawn(move || {
                    start.wait();
                    run(n)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// A guard on a clock that the test moves.
fn by_hand<G>(gate: G) -> (Guard<G, Standard, impl Fn() -> Instant + Send + Sync + 'static>, &'static AtomicU64) {
    let (began, passed) = (Instant::now(), &*Box::leak(Box::new(AtomicU64::new(0))));
    (Guard::with(gate, Standard, move || began + Duration::from_nanos(passed.load(SeqCst))), passed)
}

/// Each of many threads has clones of its own, in two layers' worth of endpoints.
fn of_all_that_ask<G>(gate: G) -> (usize, usize)
where
    G: Gate<Request<usize>, usize, Error>,
{
    let (echo, (guard, _)) = (Echo::default(), by_hand(gate));
    let endpoint = guard.layer(echo.clone());
    let let_in: usize = at_once(15, |n| {
        let clones = [endpoint.clone(), guard.clone().layer(echo.clone()), endpoint.clone().clone()];
        (0..100).filter(|call| ready(clones[(n + call) % 3].call(Request::new(n))).is_ok()).count()
    })
    .into_iter()
    .sum();
    (let_in, echo.reached())
}

#[test]
fn of_1500_calls_on_15_threads_while_the_clock_stands_exactly_5_pass() {
    for _ in 0..20 {
        assert_eq!(of_all_that_ask(RateLimit::new(quota(5, 5))), (5, 5));
        assert_eq!(of_all_that_ask(Keyed::by(quota(5, 5), |_: &Request<usize>| Some(1))), (5, 5));
        assert_eq!(of_all_that_ask(Keyed::by(quota(5, 5), |_: &Request<usize>| None::<u8>)), (5, 5));
        let strict = Keyed::by(quota(5, 5), |_: &Request<usize>| Some("all")).strict();
        assert_eq!(of_all_that_ask(strict), (5, 5));
    }
}

#[test]
fn of_each_key_exactly_5_pass() {
    let keyed = Keyed::by(quota(5, 5), |request: &Request<usize>| Some(request.message() % 3));
    assert_eq!(of_all_that_ask(keyed), (15, 15));
}

/// A limit that a call passes twice takes twice.
#[test]
fn a_limit_that_is_layered_twice_counts_twice() {
    let (echo, (guard, _)) = (Echo::default(), by_hand(RateLimit::new(quota(6, 6))));
    let twice = guard.layer(guard.layer(echo.clone()));
    let let_in = at_once(1, |_| (0..100).filter(|_| ready(twice.call(Request::new(1))).is_ok()).count())[0];
    assert_eq!((let_in, echo.reached()), (3, 3));
}

/// What the inner one refuses the outer one gets back, so that no token is lost.
#[test]
fn two_limits_in_each_other_let_in_what_both_do() {
    let (echo, (outer, _)) = (Echo::default(), by_hand(RateLimit::new(quota(9, 9))));
    let (inner, _) = by_hand(Keyed::by(quota(4, 4), |_: &Request<usize>| Some(1)));
    let both = outer.layer(inner.layer(echo.clone()));
    let let_in = (0..100).filter(|n| ready(both.call(Request::new(*n))).is_ok()).count();
    assert_eq!((let_in, echo.reached()), (4, 4));
    // The outer one still has what the refused ones did not use.
    let beside = outer.layer(echo.clone());
    assert_eq!((0..100).filter(|n| ready(beside.call(Request::new(*n))).is_ok()).count(), 5);
}

/// The clock goes on while all threads ask: the burst, and one for each interval that has passed.
#[test]
fn what_comes_in_meanwhile_passes_too_and_exactly_that() {
    fn check<G: Gate<Request<usize>, usize, Error>>(gate: G) {
        let (echo, (guard, passed)) = (Echo::default(), by_hand(gate));
        let endpoint = guard.layer(echo);
        let rest = || (0..100).filter(|_| ready(endpoint.call(Request::new(1))).is_ok()).count();
        assert_eq!(rest(), 20);
        let let_in: usize = at_once(4, |_| {
            let call = |_: &usize| {
                // 100 ns a call, of 1 ms in which one token comes in: far less than what would fill it.
                passed.fetch_add(100, SeqCst);
                ready(endpoint.call(Request::new(1))).is_ok()
            };
            (0..25_000).filter(call).count()
        })
        .into_iter()
        .sum();
        // 10 ms in all.
        assert_eq!((let_in + rest(), passed.load(SeqCst)), (10, 10_000_000));
    }
    check(RateLimit::new(quota(1_000, 20)));
    check(Keyed::by(quota(1_000, 20), |_: &Request<usize>| Some(1)));
}

/// Calls of many costs at once: the sum of what passes fits.
#[test]
fn costs_add_up() {
    fn check<G: Gate<u32, (), Error>>(gate: &G) {
        let now = Instant::now();
        let clock = move || now;
        let taken: Vec<u64> = at_once(8, |n| {
            let mut taken = 0;
            for step in 0..500_u32 {
                let cost = 1 + (step * 7 + n as u32) % 13;
                taken += gate.admit(&mut cost.clone(), &Now::new(&clock)).map_or(0, |_| u64::from(cost));
            }
            // What is left, one by one.
            while gate.admit(&mut 1, &Now::new(&clock)).is_ok() {
                taken += 1;
            }
            taken
        });
        assert_eq!(taken.into_iter().sum::<u64>(), 10_000);
    }
    check(&RateLimit::new(quota(1, 10_000)).costing(|cost: &u32| *cost));
    check(&Keyed::by(quota(1, 10_000), |_: &u32| Some(1)).costing(|cost: &u32| *cost));
}

/// Calls that were not made give their tokens back, at most once each, whoever asks meanwhile.
#[test]
fn what_is_given_back_is_never_more_than_was_taken() {
    fn check<G: Gate<(), (), Error>>(gate: &G, quota: Quota, standing: impl Fn(Instant) -> u32) {
        let now = Instant::now();
        let clock = move || now;
        let kept = AtomicUsize::new(0);
        at_once(4, |n| {
            for step in 0..2_000 {
                let Ok(permit) = gate.admit(&mut (), &Now::new(&clock)) else { continue };
                if (n + step) % 3 == 0 {
                    kept.fetch_add(1, SeqCst);
                    gate.finish(permit, &End::answered(&Judgement::SUCCESS, &Now::new(&clock)));
                } else {
                    gate.finish(permit, &End::answered(&no_room(), &Now::new(&clock)));
                }
            }
        });
        let (kept, left) = (kept.load(SeqCst), standing(now) as usize);
        assert!(kept + left <= quota.burst().get() as usize, "{kept} kept, {left} left of {quota}");
    }
    for burst in [1, 2, 3, 10, 100] {
        let quota = Quota::per_hour(nonzero!(1)).with_burst(nz(burst));
        let limit = RateLimit::new(quota);
        check(&limit, quota, |now| limit.standing_at(now).remaining);
        let keyed = Keyed::by(quota, |(): &()| Some(1)).places(8.try_into().unwrap());
        check(&keyed, quota, |now| keyed.standing_at(&1, now).remaining);
    }
}
