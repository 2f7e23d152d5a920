//! Another quota while calls go on: what is there stays, nobody waits for the old pace, and a storm of changes makes nothing.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use kit_base::{Error, Gate, Now};
use kit_ratelimit::{Keyed, Quota, RateLimit, nonzero};

use crate::kinds::{Any, kinds, one};
use crate::support::{ByHand, ms, nz, quota};

fn remaining(limit: &ByHand<Any>) -> u32 {
    limit.gate.standing_at(limit.now()).remaining
}

fn change(limit: &ByHand<Any>, quota: Quota) {
    limit.gate.change_at(quota, limit.now());
}

#[test]
fn an_empty_bucket_stays_empty_and_fills_at_the_new_pace() {
    for (from, to) in [(quota(5, 5), quota(50, 50)), (quota(50, 50), quota(5, 5)), (quota(5, 50), quota(50, 5))] {
        for limit in kinds(from) {
            assert!(limit.ask(from.burst().get()).is_ok());
            change(&limit, to);
            assert_eq!((limit.gate.quota(), remaining(&limit)), (to, 0));
            assert_eq!(limit.refused(), Some(to.interval()));
            limit.advance(to.interval() - Duration::from_nanos(1));
            assert_eq!(limit.pass_of(9), 0);
            limit.advance(Duration::from_nanos(1));
            assert_eq!(limit.pass_of(9), 1);
            limit.advance(10 * to.refill());
            assert_eq!(remaining(&limit), to.burst().get());
        }
    }
}

#[test]
fn nobody_waits_for_the_old_pace() {
    for limit in kinds(Quota::per_hour(nonzero!(1))) {
        assert!(limit.passes());
        assert_eq!(limit.refused(), Some(Duration::from_secs(3_600)));
        change(&limit, quota(100, 1));
        assert_eq!(limit.refused(), Some(ms(10)));
        limit.advance(ms(10));
        assert!(limit.passes());
        // And back.
        change(&limit, Quota::per_hour(nonzero!(1)));
        assert_eq!(limit.refused(), Some(Duration::from_secs(3_600)));
    }
}

#[test]
fn a_full_bucket_is_not_made_fuller() {
    let limit = ByHand::over(one(quota(10, 5)));
    change(&limit, quota(10, 50));
    assert_eq!(remaining(&limit), 5);
    limit.advance(ms(1_000));
    assert_eq!(remaining(&limit), 15);
    limit.advance(ms(3_499));
    assert_eq!(remaining(&limit), 49);
    limit.advance(ms(1));
    assert_eq!(remaining(&limit), 50);
}

#[test]
fn a_full_bucket_of_a_key_is_as_that_of_a_key_that_nobody_has_seen() {
    let limit = ByHand::over(Keyed::by(quota(10, 5), |key: &u8| Some(*key)));
    assert!(limit.ask(1).is_ok() && limit.ask(2).is_ok());
    limit.advance(ms(50));
    limit.ask(2).unwrap();
    limit.advance(ms(50));
    limit.gate.change_at(quota(10, 50), limit.now());
    let remaining = |key| limit.gate.standing_at(&key, limit.now()).remaining;
    // Full, not full, never seen.
    assert_eq!((remaining(1), remaining(2), remaining(3)), (50, 4, 50));
}

#[test]
fn a_bucket_keeps_as_many_tokens_as_fit() {
    for (burst, taken, next, left) in [(10, 3, 10, 7), (10, 3, 100, 7), (10, 3, 7, 7), (10, 3, 6, 6), (10, 3, 1, 1)] {
        for (rate, faster) in [(1, 1_000), (1_000, 1), (7, 7), (3, u32::MAX), (1_000_000, 3)] {
            for limit in kinds(quota(rate, burst)) {
                assert!(limit.ask(taken).is_ok());
                change(&limit, quota(faster, next));
                assert_eq!(remaining(&limit), left, "{taken} of {burst} at {rate}/s, then {next} at {faster}/s");
                assert!(limit.ask(left).is_ok() && limit.ask(1_u32).is_err());
            }
        }
    }
}

#[test]
fn half_a_token_stays_half_a_token() {
    for limit in kinds(quota(10, 1)) {
        assert!(limit.passes());
        limit.advance(ms(50));
        change(&limit, quota(1, 1));
        assert_eq!(limit.refused(), Some(ms(500)));
        change(&limit, quota(100, 100));
        assert_eq!(limit.refused(), Some(ms(5)));
    }
}

#[test]
fn the_same_quota_changes_nothing() {
    for limit in kinds(quota(3, 7)) {
        assert!(limit.ask(5_u32).is_ok());
        for _ in 0..100 {
            limit.advance(Duration::from_nanos(12_345_679));
            let before = limit.gate.standing_at(limit.now());
            change(&limit, quota(3, 7));
            assert_eq!(limit.gate.standing_at(limit.now()), before);
        }
    }
}

#[test]
fn changes_to_and_fro_never_make_a_token() {
    let quotas = [quota(3, 7), quota(1_000_003, 9), Quota::per_hour(nz(11)), quota(u32::MAX, u32::MAX), quota(7, 5)];
    for limit in kinds(quota(3, 7)) {
        assert!(limit.ask(6_u32).is_ok());
        for n in 0..1_000 {
            change(&limit, quotas[n % quotas.len()]);
            assert!(remaining(&limit) <= 1);
        }
        change(&limit, quota(3, 7));
        // What is less than a quarter of a nanosecond is lost in each change, if anything.
        let missing = limit.ask(2_u32).unwrap_err().retry_after().unwrap();
        assert!(missing >= ms(333) && missing <= ms(334), "{missing:?}");
    }
}

/// A reading of the clock that is older than that of a call: what the call has taken stays taken.
#[test]
fn a_change_at_an_older_moment_makes_no_token() {
    for behind in [Duration::from_nanos(1), ms(1), ms(900), ms(59_000)] {
        for limit in kinds(quota(10, 10)) {
            limit.go_to(Duration::from_secs(3_600));
            assert_eq!(limit.pass_of(20), 10);
            let now = limit.now();
            limit.gate.change_at(quota(1_000, 1_000), now - behind);
            assert_eq!(limit.pass_of(2_000), 0, "{behind:?}");
            assert_eq!(limit.refused(), Some(ms(1)));
        }
    }
}

#[test]
fn what_is_given_back_after_a_change_is_no_more_than_was_taken() {
    // The last one gives a bucket that looks the same in both, but the tokens in it are others.
    for (from, to) in [(quota(10, 5), quota(10, 3)), (quota(10, 5), quota(20, 5)), (quota(5, 5), quota(10, 10))] {
        for (changes, limit) in (1..=3).flat_map(|changes| kinds(from).map(|limit| (changes, limit))) {
            assert_eq!(limit.pass_of(4), 4);
            let permit = limit.ask(()).unwrap();
            // Be it changed once or several times.
            (0..changes).for_each(|_| change(&limit, to));
            limit.not_made::<()>(permit);
            assert!(remaining(&limit) <= 1, "{} after {from} and {to}", remaining(&limit));
        }
    }
}

#[test]
fn an_observing_limit_changes_too_and_a_fresh_one_has_the_new_quota() {
    for limit in kinds(quota(10, 5)) {
        let limit = ByHand::over(limit.gate.observe_only());
        assert_eq!(limit.pass_of(20), 20);
        change(&limit, quota(1, 2));
        assert_eq!((limit.gate.quota(), remaining(&limit)), (quota(1, 2), 0));
        assert_eq!(limit.pass_of(20), 20);
        let fresh = limit.gate.fresh();
        assert_eq!((fresh.quota(), fresh.standing_at(limit.now()).remaining), (quota(1, 2), 2));
        // And has a bucket of its own.
        fresh.change_at(quota(9, 9), limit.now());
        assert_eq!(limit.gate.quota(), quota(1, 2));
    }
}

#[test]
fn a_change_reaches_all_keys() {
    let limit = ByHand::over(Keyed::by(quota(10, 5), |key: &u32| Some(*key)));
    for key in 0..1_000 {
        limit.ask(key).unwrap();
    }
    limit.gate.change_at(quota(10, 3), limit.now());
    for key in 0..1_100 {
        assert_eq!((0..9).filter(|_| limit.ask(key).is_ok()).count(), 3, "{key}");
    }
}

/// Threads ask as fast as they can while the quota changes to and fro: all that passes came in at the faster pace at most. (That
/// nothing is lost is held on a clock that stands, below: here a thread may come too late for what overflows.)
#[test]
fn in_a_storm_of_calls_and_changes_nothing_is_made() {
    fn check<G: Gate<(), (), Error>>(gate: &G, change: impl Fn(Quota, Instant) + Sync) {
        const THREADS: usize = 3;
        let (slow, fast) = (quota(1_000, 10), quota(20_000, 10));
        let (over, passed, start) = (AtomicBool::new(false), AtomicUsize::new(0), Barrier::new(THREADS + 1));
        let begin = Instant::now();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    while !over.load(SeqCst) {
                        let clock = Instant::now;
                        if gate.admit(&mut (), &Now::new(&clock)).is_ok() {
                            passed.fetch_add(1, SeqCst);
                        }
                    }
                });
            }
            start.wait();
            while begin.elapsed() < ms(300) {
                for quota in [fast, slow] {
                    change(quota, Instant::now());
                }
            }
            over.store(true, SeqCst);
        });
        let (passed, took) = (passed.load(SeqCst) as f64, begin.elapsed().as_secs_f64());
        assert!(passed <= 10.0 + took * 20_000.0, "{passed} in {took} s");
        let later = begin + Duration::from_secs(3_600);
        let clock = move || later;
        assert_eq!((0..20).filter(|_| gate.admit(&mut (), &Now::new(&clock)).is_ok()).count(), 10);
    }
    let limit = RateLimit::new(quota(1_000, 10));
    check(&limit, |quota, now| limit.change_at(quota, now));
    let keyed = Keyed::by(quota(1_000, 10), |(): &()| Some(1)).places(8.try_into().unwrap());
    check(&keyed, |quota, now| keyed.change_at(quota, now));
}

/// The clock stands: all that passes is what was there, whatever the quota becomes.
#[test]
fn in_a_storm_on_a_clock_that_stands_what_passes_is_what_was_there() {
    fn check<G: Gate<(), (), Error>>(gate: &G, change: impl Fn(Quota) + Sync, now: Instant) {
        let (over, start) = (AtomicBool::new(false), Barrier::new(4));
        let passed = thread::scope(|scope| {
            let ask = || {
                start.wait();
                let clock = move || now;
                let mut passed = 0;
                while !over.load(SeqCst) {
                    passed += usize::from(gate.admit(&mut (), &Now::new(&clock)).is_ok());
                }
                passed
            };
            let threads = [scope.spawn(ask), scope.spawn(ask), scope.spawn(ask)];
            start.wait();
            for n in 0..20_000 {
                change([quota(100_000, 1_000), quota(1, 1_000), Quota::per_hour(nonzero!(1_000))][n % 3]);
            }
            over.store(true, SeqCst);
            threads.map(|thread| thread.join().unwrap()).into_iter().sum::<usize>()
        });
        let clock = move || now;
        let left = (0..2_000).filter(|_| gate.admit(&mut (), &Now::new(&clock)).is_ok()).count();
        assert_eq!(passed + left, 1_000, "{passed}, and {left} left");
    }
    let now = Instant::now();
    let limit = RateLimit::new(quota(10, 1_000));
    check(&limit, |quota| limit.change_at(quota, now), now);
    let keyed = Keyed::by(quota(10, 1_000), |(): &()| Some(1)).places(8.try_into().unwrap());
    check(&keyed, |quota| keyed.change_at(quota, now), now);
}
