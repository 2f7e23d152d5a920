//! A bucket for each key, in a bounded number of places: what a key gets, whatever others do.

use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use http::HeaderValue;
use kit_base::{Context, Error, Gate, Now, Operation, Peer, Request, RetryHint};
use kit_ratelimit::{Keyed, Limited, Network, Quota};

use crate::kinds::Chance;
use crate::support::{ByHand, Told, ms, nz, quota};

/// A key, and what the call costs. A key of 0 is none.
type Call = (u32, u32);

fn key(call: &Call) -> Option<u32> {
    Some(call.0).filter(|key| *key != 0)
}

fn cost(call: &Call) -> u32 {
    call.1
}

type ByNumber = Keyed<u32, fn(&Call) -> Option<u32>, fn(&Call) -> u32>;

/// A limit with so many places, on a clock that is set by hand.
fn by_number(quota: Quota, places: usize) -> ByHand<ByNumber> {
    let keyed = Keyed::by(quota, key as fn(&Call) -> Option<u32>).costing(cost as fn(&Call) -> u32);
    ByHand::over(keyed.places(NonZeroUsize::new(places).unwrap()))
}

impl ByHand<ByNumber> {
    fn strict(self) -> Self {
        ByHand::over(self.gate.strict())
    }

    /// How many of so many calls under this key pass.
    fn pass(&self, key: u32, calls: usize) -> usize {
        (0..calls).filter(|_| self.ask((key, 1)).is_ok()).count()
    }
}

#[test]
fn what_a_call_gives_back_is_nobody_elses() {
    let limit = by_number(quota(10, 10), 8).strict();
    (1..=7).for_each(|key| _ = limit.ask((key, 10)).unwrap());
    limit.advance(ms(100));
    let unmade = limit.ask((8, 10)).unwrap();
    // Takes the place of 1, which has one token by now.
    limit.ask((9, 1)).unwrap();
    limit.not_made(unmade);
    assert_eq!(limit.pass(1, 20), 1);
}

#[test]
fn what_was_lost_stays_lost_when_one_loses_its_place_that_has_lost_less() {
    let limit = by_number(quota(10, 10), 8).strict();
    (1..=6).for_each(|key| _ = limit.ask((key, 10)).unwrap());
    limit.advance(ms(100));
    let unmade = [7, 8].map(|key| {
        limit.ask((key, 1)).unwrap();
        limit.ask((key, 9)).unwrap()
    });
    // Takes the place of 1, which has one token by now.
    limit.ask((9, 1)).unwrap();
    unmade.into_iter().for_each(|unmade| limit.not_made(unmade));
    // Takes the place of 7 or 8, which have nine.
    limit.ask((10, 1)).unwrap();
    assert_eq!(limit.gate.displaced(), 2);
    assert_eq!(limit.pass(1, 20), 1);
}

#[test]
fn what_was_lost_is_lost_at_another_pace_too() {
    let limit = by_number(quota(10, 10), 8).strict();
    (1..=7).for_each(|key| _ = limit.ask((key, 10)).unwrap());
    limit.advance(ms(100));
    let unmade = limit.ask((8, 10)).unwrap();
    limit.ask((9, 1)).unwrap();
    limit.not_made(unmade);
    limit.gate.change_at(quota(1, 10), limit.now());
    assert_eq!(limit.pass(1, 20), 1);
}

#[test]
fn a_call_that_was_not_made_gives_back_what_nobody_has_built_upon() {
    let limit = by_number(quota(10, 10), 8);
    let first = limit.ask((1, 3)).unwrap();
    let last = limit.ask((1, 2)).unwrap();
    limit.not_made(first);
    assert_eq!(limit.gate.standing_at(&1, limit.now()).remaining, 5);
    limit.not_made(last);
    assert_eq!(limit.gate.standing_at(&1, limit.now()).remaining, 7);
    limit.not_made(last);
    assert_eq!(limit.pass(1, 20), 7);
}

#[test]
fn a_costly_call_does_not_bring_a_whole_burst_back() {
    let limit = by_number(quota(10, 10), 8);
    for round in 0..100 {
        let passed = limit.ask((99_999, 10)).is_ok();
        assert_eq!(passed, round == 0, "in round {round}");
        // All eight places go to others that have nothing left.
        (1..=8).for_each(|key| _ = limit.ask((100 * round + key, 10)));
        assert!((1..=8).all(|key| limit.pass(100 * round + 10 + key, 100) > 0));
    }
}

#[test]
fn eight_others_must_come_before_a_drained_bucket_gets_one_more_call() {
    // All at one moment, as by a coarse clock.
    let limit = by_number(quota(10, 10), 8);
    (1..=8).for_each(|key| assert_eq!(limit.pass(key, 20), 10));
    assert_eq!((100..108).filter(|key| limit.ask((*key, 1)).is_ok()).count(), 8);
    let mut others = 1_000..;
    for round in 0..100 {
        assert_eq!(limit.pass(99_999, 20), 1, "in round {round}");
        for other in others.by_ref().take(7) {
            assert_eq!(limit.pass(other, 20), 1);
            assert_eq!(limit.pass(99_999, 20), 0, "in round {round}");
        }
        assert_eq!(limit.pass(others.next().unwrap(), 20), 1);
    }
}

#[test]
fn nobody_waits_for_a_clock_that_went_back_to_catch_up() {
    // Drained buckets, and hardly used ones, some of which have lost their places.
    for (strict, calls) in [(false, 20), (true, 20), (false, 1), (true, 1)] {
        let limit = by_number(quota(10, 10), 8);
        let limit = if strict { limit.strict() } else { limit };
        limit.go_to(Duration::from_secs(7_200));
        (1..=12).for_each(|key| _ = limit.pass(key, calls));
        limit.go_to(Duration::from_secs(0));
        // Keys with a place, without one, and new ones.
        (1..=20).for_each(|key| _ = limit.pass(key, 20));
        for second in 1..=3 {
            limit.go_to(Duration::from_secs(second));
            assert_eq!(limit.pass(second as u32, 20), 10, "strict: {strict}, {calls} calls");
        }
        assert_eq!(limit.pass(50, 20), 10, "strict: {strict}, {calls} calls");
    }
}

#[test]
fn what_was_lost_before_the_clock_went_back_is_not_lost_for_ever() {
    let limit = by_number(quota(10, 10), 8);
    limit.go_to(Duration::from_secs(7_200));
    (1..=9).for_each(|key| assert_eq!(limit.pass(key, 1), 1));
    limit.go_to(Duration::ZERO);
    assert_eq!(limit.pass(20, 1), 1);
    limit.advance(Duration::from_secs(10));
    assert_eq!(limit.pass(30, 20), 10);
}

#[test]
fn the_standing_of_a_key_without_a_place_is_what_it_would_begin_with() {
    for strict in [false, true] {
        let limit = by_number(quota(10, 10), 8);
        let limit = if strict { limit.strict() } else { limit };
        let left = |key| limit.gate.standing_at(&key, limit.now()).remaining;
        assert_eq!((left(1), left(2)), (10, 10));
        limit.pass(1, 4);
        assert_eq!((left(1), left(2)), (6, 10));
        (2..=8).for_each(|key| _ = limit.ask((key, 10)));
        assert_eq!(left(9), 6);
        limit.pass(1, 6);
        assert_eq!(left(9), if strict { 0 } else { 1 });
        assert_eq!(limit.pass(9, 20), if strict { 0 } else { 1 });
    }
}

#[test]
fn what_was_taken_at_another_pace_is_given_back_in_tokens() {
    let limit = by_number(quota(5, 5), 8);
    limit.pass(1, 4);
    let unmade = limit.ask((1, 1)).unwrap();
    limit.gate.change_at(quota(50, 50), limit.now());
    limit.not_made(unmade);
    assert_eq!(limit.pass(1, 20), 1, "and not the ten that come in the same time");
    limit.advance(ms(20));
    assert_eq!(limit.pass(1, 20), 1);
}

#[test]
fn what_was_taken_before_it_became_strict_stays_taken() {
    let limit = by_number(quota(10, 10), 64);
    assert_eq!(limit.pass(1, 20), 10);
    let limit = limit.strict();
    assert_eq!((limit.pass(1, 20), limit.pass(2, 20)), (0, 10));
}

/// Two keys of this kind have a bucket each.
#[track_caller]
fn two<K: Hash + Clone + Send + Sync + 'static>(one: K, other: K) {
    let limit = ByHand::over(Keyed::by(quota(1, 2), |key: &K| Some(key.clone())));
    let pass = |key: &K| (0..4).filter(|_| limit.ask(key.clone()).is_ok()).count();
    assert_eq!((pass(&one), pass(&other), pass(&one)), (2, 2, 0));
    let left = |key: &K| limit.gate.standing_at(key, limit.now()).remaining;
    assert_eq!((left(&one), left(&other)), (0, 0));
    limit.advance(ms(1000));
    assert_eq!((pass(&one), left(&one), left(&other)), (1, 0, 1));
}

#[test]
fn a_key_may_be_of_any_kind() {
    two(1_u64, 2);
    two("one".to_owned(), "other".to_owned());
    two("127.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap());
    two(HeaderValue::from_static("one"), HeaderValue::from_bytes(b"\xff").unwrap());
    two(("tenant", 1_u8), ("tenant", 2));
    two(Operation::new("add", "sum"), Operation::new("add", "concat"));
    two(Some(()), None);
}

#[test]
fn requests_without_a_key_share_one_bucket() {
    // So many places that no set has to do with nine of them.
    let limit = by_number(quota(1, 2), 1 << 16);
    assert_eq!(limit.pass(0, 5), 2);
    assert_eq!((1..=20).map(|key| limit.pass(key, 5)).sum::<usize>(), 40);
    assert_eq!(limit.pass(0, 5), 0);
}

#[test]
fn each_operation_has_a_bucket() {
    let limit = ByHand::over(Keyed::per_operation(quota(1, 2)));
    let pass = |operation: &Operation| {
        let call = || Request::<()>::from_parts(Context::new().with_operation(operation.clone()), ());
        (0..5).filter(|_| limit.ask(call()).is_ok()).count()
    };
    assert_eq!(pass(&Operation::new("add", "sum")), 2);
    assert_eq!(pass(&Operation::new("add", "concat")), 2);
    assert_eq!(pass(&Operation::new("add", "sum")), 0);
    assert!(limit.ask(Request::new(())).is_ok());
    assert_eq!(pass(&Operation::UNMATCHED), 1);
    // The same over HTTP, where it is an extension.
    let mut named = http::Request::new(());
    named.extensions_mut().insert(Operation::new("add", "sum"));
    assert!(limit.ask(named).is_err());
}

#[test]
fn each_network_has_a_bucket() {
    let limit = ByHand::over(Keyed::per_peer(quota(1, 2)));
    let pass = |peer: Option<&str>| {
        let call = || {
            let mut call = http::Request::new(());
            if let Some(addr) = peer {
                call.extensions_mut().insert(Peer::from(addr.parse::<SocketAddr>().unwrap()));
            }
            call
        };
        (0..5).filter(|_| limit.ask(call()).is_ok()).count()
    };
    assert_eq!(pass(Some("192.0.2.1:1000")), 2);
    assert_eq!(pass(Some("192.0.2.1:1001")), 0, "another port");
    assert_eq!(pass(Some("[::ffff:192.0.2.1]:1000")), 0, "the same in the clothes of IPv6");
    assert_eq!(pass(Some("192.0.2.2:1000")), 2);
    assert_eq!(pass(Some("[2001:db8:1:2::1]:1000")), 2);
    assert_eq!(pass(Some("[2001:db8:1:2:ffff:ffff:ffff:ffff]:1000")), 0, "the same network");
    assert_eq!(pass(Some("[2001:db8:1:3::1]:1000")), 2);
    assert_eq!(pass(Some("[64:ff9b::192.0.2.1]:1000")), 0, "the same from behind a NAT64");
    assert_eq!(pass(Some("[64:ff9b::192.0.2.3]:1000")), 2);
    assert_eq!(pass(Some("[64:ff9b:1::192.0.2.4]:1000")), 2);
    assert_eq!(pass(Some("[64:ff9b:1::192.0.2.5]:1000")), 0, "a prefix of somebody's own is not known");
    assert_eq!((pass(None), pass(None)), (2, 0), "nobody knows from where");
    // A peer without an address (a Unix socket) is like none, and a request of kit's own has its peer in its context.
    let mut local = http::Request::new(());
    local.extensions_mut().insert(Peer::default());
    assert!(limit.ask(local).is_err());
    let context = Context::new().with_extension(Peer::from("192.0.2.2:7".parse::<SocketAddr>().unwrap()));
    assert!(limit.ask(Request::<()>::from_parts(context, ())).is_err());
    let network = Network::of("2001:db8:1:2::1".parse().unwrap());
    assert_eq!(limit.gate.standing_at(&network, limit.now()).remaining, 0);
    assert_eq!(network.addr(), "2001:db8:1:2::".parse::<IpAddr>().unwrap());
}

#[test]
fn a_call_costs_what_it_says() {
    let limit = by_number(quota(1, 10), 64);
    assert!(limit.ask((1, 7)).is_ok());
    let refusal = limit.ask((1, 4)).unwrap_err();
    let told = Limited::of(&refusal).unwrap();
    assert_eq!((told.cost, told.standing.remaining, told.retry_after), (4, 3, Some(ms(1000))));
    assert!(limit.ask((1, 3)).is_ok());
    // What is free passes, and takes no place.
    assert!(limit.ask((1, 0)).is_ok() && limit.ask((2, 0)).is_ok());
    assert_eq!(limit.gate.in_use_at(limit.now()), 1);
    for key in [1, 3] {
        for cost in [11, u32::MAX] {
            let refusal = limit.ask((key, cost)).unwrap_err();
            assert_eq!(refusal.retry_hint(), RetryHint::Never);
        }
    }
    assert_eq!(limit.gate.in_use_at(limit.now()), 1);
}

#[test]
fn a_fresh_one_has_the_settings_and_full_buckets() {
    let told = Told::default();
    let limit = by_number(quota(1, 2), 8).strict();
    limit.gate.change_at(quota(1, 3), limit.now());
    let limit = ByHand::over(limit.gate.named("mine").observed_by(told.clone()));
    (1..=8).for_each(|key| while limit.ask((key, 1)).is_ok() {});
    assert!(limit.ask((9, 1)).is_err(), "strict");
    told.take();
    let fresh = ByHand::over(limit.gate.fresh());
    assert_eq!((fresh.gate.quota(), fresh.gate.name(), fresh.gate.displaced()), (quota(1, 3), "mine", 0));
    assert_eq!(fresh.gate.in_use_at(fresh.now()), 0);
    (1..=8).for_each(|key| while fresh.ask((key, 1)).is_ok() {});
    assert!(fresh.ask((9, 1)).is_err(), "as strict, and with as many places");
    assert_eq!(told.take().first(), Some(&("mine".to_owned(), "refused", 1.0)));
    assert!(format!("{:?}", fresh.gate).contains("places: 8"));
}

#[test]
fn one_that_only_observes_lets_everything_through_and_tells() {
    let told = Told::default();
    let limit = by_number(quota(1, 2), 8);
    let limit = ByHand::over(limit.gate.named("mine").observed_by(told.clone()).observe_only());
    assert_eq!((0..5).filter(|_| limit.ask((1, 1)).is_ok()).count(), 5);
    assert_eq!(told.take(), vec![("mine".to_owned(), "would_refuse", 1.0); 3]);
    // What passes although there is nothing for it costs nothing.
    limit.advance(ms(1000));
    assert!(limit.ask((1, 1)).is_ok() && told.take().is_empty());
}

#[test]
fn it_tells_how_many_buckets_are_in_use_and_how_many_have_lost_their_places() {
    let told = Told::default();
    let limit = by_number(quota(1, 2), 8);
    let limit = ByHand::over(limit.gate.named("mine").observed_by(told.clone()));
    let counts = || (limit.gate.in_use_at(limit.now()), limit.gate.displaced());
    assert_eq!(counts(), (0, 0));
    (1..=8).for_each(|key| _ = limit.ask((key, 1)).unwrap());
    assert_eq!((counts(), told.take().len()), ((8, 0), 0));
    limit.ask((9, 1)).unwrap();
    assert_eq!((counts(), told.take()), ((8, 1), vec![("mine".to_owned(), "displaced", 1.0)]));
    // The bucket of 9 is the last to be full.
    limit.advance(ms(1000));
    assert_eq!(counts(), (1, 1));
    // Full buckets give up their places for nothing.
    (11..=17).for_each(|key| _ = limit.ask((key, 1)).unwrap());
    assert_eq!((counts(), told.take().len()), ((8, 1), 0));
    limit.advance(ms(2000));
    assert_eq!(counts(), (0, 1));
}

#[test]
fn another_quota_is_that_of_all_keys_and_each_keeps_its_tokens() {
    let limit = by_number(quota(10, 10), 1 << 16);
    for key in 1..=100 {
        assert_eq!(limit.pass(key, (key % 11) as usize), (key % 11) as usize);
    }
    limit.gate.change_at(quota(1, 5), limit.now());
    assert_eq!(limit.gate.quota(), quota(1, 5));
    for key in 1..=100 {
        let left = (10 - key % 11).min(5) as usize;
        assert_eq!(limit.pass(key, 20), left, "{key}");
    }
    assert_eq!(limit.pass(1_000, 20), 5);
    limit.advance(ms(2000));
    assert!((1..=100).all(|key| limit.pass(key, 20) == 2));
    limit.gate.change_at(quota(100, 100), limit.now());
    assert!((1..=100).all(|key| limit.pass(key, 20) == 0));
    limit.advance(ms(100));
    assert!((1..=100).all(|key| limit.pass(key, 20) == 10));
}

#[test]
fn threads_get_from_each_key_what_it_has_and_no_more() {
    const THREADS: usize = 4;
    for keys in [1, 50, 1_000] {
        let keyed = Keyed::by(quota(1, 10), |key: &usize| Some(*key));
        let (begin, now) = (Barrier::new(THREADS), Instant::now());
        let passed: Vec<_> = (0..keys).map(|_| AtomicUsize::new(0)).collect();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let clock = || now;
                    begin.wait();
                    for _ in 0..10 {
                        for (mut key, passed) in passed.iter().enumerate() {
                            let admitted = Gate::<_, (), Error>::admit(&keyed, &mut key, &Now::new(&clock));
                            passed.fetch_add(usize::from(admitted.is_ok()), SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(keyed.displaced(), 0);
        assert!(passed.iter().all(|passed| passed.load(SeqCst) == 10), "{keys} keys");
        assert_eq!(keyed.in_use_at(now), keys);
    }
}

/// What one that has nothing left gets while others call ten times as often as there are places, and how many of those pass.
fn after_a_flood(strict: bool, calls: usize, cost: u32) -> (usize, u64) {
    const PLACES: usize = 256;
    let limit = by_number(quota(1, 10), PLACES);
    let limit = if strict { limit.strict() } else { limit };
    assert_eq!(limit.pass(1, 20), 10);
    let mut gained = 0;
    for other in 0..10 * PLACES as u32 {
        for _ in 0..calls {
            let _ = limit.ask((other + 2, cost));
        }
        gained += limit.pass(1, 20);
    }
    // It takes so long until it may have one again.
    limit.advance(ms(999));
    if gained == 0 {
        assert_eq!(limit.pass(1, 20), 0, "strict: {strict}, {calls} calls of {cost}");
    }
    (gained, limit.gate.displaced())
}

#[test]
fn a_drained_bucket_is_not_reset_by_calls_under_other_keys() {
    for (calls, cost) in [(1, 1), (1, 9), (20, 1), (1, 10)] {
        let (gained, displaced) = after_a_flood(true, calls, cost);
        assert_eq!(gained, 0, "{displaced} displaced by {calls} calls of {cost}");
        let (gained, displaced) = after_a_flood(false, calls, cost);
        // One token for as many others as there are places, about: one set gets more of them than another.
        assert!(gained <= 30, "{gained} gained by {calls} calls of {cost}, {displaced} displaced");
        // What costs more than one token gets no place where all are drained.
        assert_eq!(displaced > 0, cost == 1, "{displaced} displaced by {calls} calls of {cost}");
    }
}

#[test]
fn who_keeps_to_the_rate_is_never_refused_whatever_others_do() {
    for seed in 0..100 {
        let mut chance = Chance(seed);
        let limit = by_number(quota(10, 10), 8);
        for _ in 0..100 {
            assert_eq!(limit.pass(1, 1), 1, "with {seed}");
            // 100 ms at 10 a second.
            for _ in 0..4 {
                for _ in 0..chance.under(20) {
                    let _ = limit.ask((2 + chance.under(30) as u32, 1 + chance.under(12) as u32));
                }
                limit.advance(ms(25));
            }
            if chance.one_in(10) {
                // What is faster is as good for one that is slow.
                limit.gate.change_at(quota(10 + 10 * chance.under(2) as u32, 1 + chance.under(20) as u32), limit.now());
            }
        }
    }
}

/// What a key has really used: a bucket of tokens for it alone, which never forgets.
struct Truth {
    tokens: f64,
    at: Duration,
}

impl Truth {
    fn go_to(&mut self, at: Duration, quota: Quota) {
        let more = (at - self.at).as_secs_f64() / quota.interval().as_secs_f64();
        (self.tokens, self.at) = ((self.tokens + more).min(quota.burst().get().into()), at);
    }
}

/// Histories of 24 keys in 16 places, with costs, changes of the quota, and calls that were not made.
fn history(seed: u64, strict: bool) -> (usize, usize) {
    let mut chance = Chance(seed);
    let mut now = quota(10, 10);
    let limit = by_number(now, 16);
    let limit = if strict { limit.strict() } else { limit };
    let mut truths: Vec<_> = (0..24).map(|_| Truth { tokens: 10.0, at: Duration::ZERO }).collect();
    let (mut at, mut others_since) = (Duration::ZERO, [8; 24]);
    let (mut passed, mut gained) = (0, 0);
    for _ in 0..2_000 {
        let index = chance.under(24) as usize;
        let cost = if chance.one_in(4) { 1 + chance.under(11) as u32 } else { 1 };
        let truth = &mut truths[index];
        truth.go_to(at, now);
        if let Ok(permit) = limit.ask((index as u32 + 1, cost)) {
            others_since.iter_mut().enumerate().filter(|(other, _)| *other != index).for_each(|(_, n)| *n += 1);
            let within = truth.tokens + 1e-6 >= f64::from(cost);
            if within && chance.one_in(8) {
                limit.not_made(permit);
                continue;
            }
            passed += 1;
            truth.tokens = (truth.tokens - f64::from(cost)).max(0.0);
            if !within {
                // More than the quota: one token, and the next one not until eight others have come.
                assert_eq!((strict, cost), (false, 1), "with {seed}");
                assert!(others_since[index] >= 8, "{} with {seed}", others_since[index]);
                others_since[index] = 0;
                gained += 1;
            }
        }
        if chance.one_in(4) {
            let step = ms(chance.under(16));
            at += step;
            limit.advance(step);
        }
        if chance.one_in(100) {
            let next = quota(5 * (1 + chance.under(4) as u32), 1 + chance.under(20) as u32);
            for truth in &mut truths {
                truth.go_to(at, now);
                let (full, most) = (f64::from(now.burst().get()), f64::from(next.burst().get()));
                truth.tokens = if truth.tokens + 1e-9 >= full { most } else { truth.tokens.min(most) };
            }
            limit.gate.change_at(next, limit.now());
            now = next;
        }
    }
    (passed, gained)
}

#[test]
fn strictly_nobody_ever_gets_more_than_the_quota() {
    let passed: usize = (0..100).map(|seed| history(seed, true).0).sum();
    assert!(passed > 10_000, "{passed}");
}

#[test]
fn by_default_nobody_gets_more_but_one_token_for_each_time_its_place_was_taken() {
    let (mut passed, mut gained) = (0, 0);
    for seed in 0..100 {
        let (one, more) = history(seed, false);
        (passed, gained) = (passed + one, gained + more);
    }
    assert!(passed > 10_000 && gained > 100, "{passed}, {gained} beyond the quota");
}

/// Or an attacker would know whom to come after.
#[test]
fn where_a_key_has_its_place_differs_from_limit_to_limit() {
    let displaced = |_| {
        let limit = by_number(quota(1, 2), 16);
        (1..=16).for_each(|key| _ = limit.pass(key, 1));
        limit.gate.displaced()
    };
    // Of 16 keys in two sets of eight, sometimes the one has more and sometimes the other.
    let found: std::collections::BTreeSet<_> = (0..100).map(displaced).collect();
    assert!(found.len() > 1, "{found:?}");
}

#[test]
fn any_number_of_places_is_rounded_up_to_whole_sets() {
    for (places, made) in [(1, 8), (8, 8), (9, 16), (1_000, 1_000)] {
        let limit = by_number(quota(1, 1), places);
        for limit in [&limit.gate, &limit.gate.fresh()] {
            assert!(format!("{limit:?}").contains(&format!("places: {made}")), "{limit:?}");
        }
        // None of them is out of reach.
        (1..=20 * made as u32).for_each(|key| _ = limit.pass(key, 1));
        assert_eq!(limit.gate.in_use_at(limit.now()), made);
    }
    let limit = Keyed::by(Quota::per_hour(nz(1)), |key: &u8| Some(*key));
    assert!(format!("{limit:?}").contains("places: 65536"), "{limit:?}");
}

#[test]
fn so_many_places_that_no_machine_has_them_are_16_million() {
    let limit = Keyed::by(Quota::per_hour(nz(1)), |key: &u8| Some(*key)).places(NonZeroUsize::MAX);
    assert!(format!("{limit:?}").contains("places: 16777216"), "{limit:?}");
}
