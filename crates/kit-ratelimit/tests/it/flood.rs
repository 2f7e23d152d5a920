//! A flood of keys: what it costs, and what honest clients get while it lasts.

#![cfg(target_os = "linux")]

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use kit_base::{Error, Gate, Now};
use kit_ratelimit::{Keyed, Quota};
use kit_testing::memory::{Growth, alone};

use crate::support::{nz, quota};

type ByNumber = Keyed<u64, fn(&u64) -> Option<u64>>;

fn by_number(quota: Quota) -> ByNumber {
    Keyed::by(quota, (|key: &u64| Some(*key)) as fn(&u64) -> Option<u64>)
}

fn passes(keyed: &ByNumber, mut key: u64, now: Instant) -> bool {
    let clock = move || now;
    Gate::<u64, (), Error>::admit(keyed, &mut key, &Now::new(&clock)).is_ok()
}

/// The longest time that a call took of this thread's own.
#[derive(Debug, Default)]
struct Stall(Duration);

impl Stall {
    fn over<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let cpu = || {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
        };
        let before = cpu();
        let done = call();
        self.0 = self.0.max(cpu() - before);
        done
    }
}

/// A flood from two threads, and 50 clients: most keep to nine tenths of the rate, every tenth calls rarely, with its whole burst.
struct Flood {
    quota: Quota,
    /// So many new keys in all.
    keys: u64,
    /// So many of them a second, and so many calls under each.
    rate: u64,
    calls: u64,
}

/// What was asked for, and what has passed.
#[derive(Debug, Default)]
struct Count {
    asked: u64,
    passed: u64,
}

#[derive(Debug)]
struct Outcome {
    steady: Count,
    bursts: Count,
    /// The fewest calls of a burst that have passed.
    least: u64,
    displaced: u64,
    /// The longest call.
    stall: Duration,
}

const HONEST: u64 = 50;

impl Flood {
    /// Time goes with the flood, so that a slow machine sees the same.
    fn over(&self, keyed: &ByNumber) -> Outcome {
        let (began, passed, seen) = (Instant::now(), AtomicU64::new(0), AtomicU64::new(0));
        let now = || began + Duration::from_nanos(passed.load(SeqCst));
        let step = 1_000_000_000 / self.rate;
        // So far may it run ahead of the clients, which a busy machine may not let run.
        let ahead = self.quota.interval().as_nanos() as u64 / 10;
        let over = AtomicBool::new(false);
        let burst = u64::from(self.quota.burst().get());
        let (mut steady, mut bursts, mut least) = (Count::default(), Count::default(), u64::MAX);
        let stall = thread::scope(|scope| {
            let (now, passed, seen, over) = (&now, &passed, &seen, &over);
            let flood = |begin: u64| {
                let mut stall = Stall::default();
                for key in begin..begin + self.keys / 2 {
                    while passed.load(SeqCst) > seen.load(SeqCst) + ahead {
                        thread::yield_now();
                    }
                    passed.fetch_add(step, SeqCst);
                    for _ in 0..self.calls {
                        stall.over(|| passes(keyed, key, now()));
                    }
                }
                stall
            };
            let attack = [1 << 32, 2 << 32].map(|begin| scope.spawn(move || flood(begin)));
            let honest = scope.spawn(|| {
                let mut stall = Stall::default();
                let mut next = [began; HONEST as usize];
                while !over.load(SeqCst) {
                    let begin = passed.load(SeqCst);
                    for client in 0..HONEST {
                        let (at, next) = (now(), &mut next[client as usize]);
                        if at < *next {
                            continue;
                        }
                        if client % 10 > 0 {
                            steady.asked += 1;
                            steady.passed += u64::from(stall.over(|| passes(keyed, client, at)));
                            *next = at + self.quota.interval() * 10 / 9;
                        } else {
                            let passed = (0..burst).filter(|_| stall.over(|| passes(keyed, client, now()))).count();
                            bursts.asked += burst;
                            bursts.passed += passed as u64;
                            least = least.min(passed as u64);
                            // From the end of the burst on.
                            *next = now() + self.quota.refill() * 2;
                        }
                    }
                    seen.store(begin, SeqCst);
                    thread::yield_now();
                }
                stall
            });
            let stalls = attack.map(|thread| thread.join().unwrap().0);
            over.store(true, SeqCst);
            stalls.into_iter().fold(honest.join().unwrap().0, Duration::max)
        });
        self.check_that_it_is_over(keyed, now() + self.quota.refill());
        Outcome { steady, bursts, least, displaced: keyed.displaced(), stall }
    }

    /// Everybody has what the quota says again, and no more.
    fn check_that_it_is_over(&self, keyed: &ByNumber, now: Instant) {
        assert_eq!(keyed.in_use_at(now), 0);
        let burst = u64::from(self.quota.burst().get());
        for client in 0..HONEST {
            let passed = (0..2 * burst).filter(|_| passes(keyed, client, now)).count() as u64;
            assert_eq!(passed, burst, "of {client}");
        }
    }
}

#[expect(clippy::print_stdout, reason = "the figures")]
fn flood(flood: &Flood, places: usize) -> Outcome {
    // The pages of the program itself are none of a key's.
    Flood { keys: 1_000, ..*flood }.over(&by_number(flood.quota));
    let growth = Growth::new();
    let keyed = by_number(flood.quota).places(NonZeroUsize::new(places).unwrap());
    let outcome = flood.over(&keyed);
    println!("{outcome:?}, grew by {} bytes", growth.most());
    // Those that are set and those that were there before, of 20 bytes each; the rest are the threads.
    assert!(growth.most() < (65_536 + places as u64) * 20 + (2 << 20), "{} bytes", growth.most());
    assert!(outcome.stall < Duration::from_millis(20), "{:?}", outcome.stall);
    assert!(outcome.steady.asked >= 700 && outcome.bursts.asked >= 50, "{outcome:?}");
    // Whoever keeps to the rate does not feel it.
    assert_eq!(outcome.steady.passed, outcome.steady.asked);
    outcome
}

/// More keys than there are places for: their buckets take ten seconds and more to fill.
fn too_many(keys: u64, rate: u64, calls: u64, places: usize) {
    let quota = Quota::per_minute(nz(6)).with_burst(nz(5));
    let outcome = flood(&Flood { quota, keys, rate, calls }, places);
    assert!(outcome.displaced > keys / 2, "{outcome:?}");
    // Of a burst there is one call at least; so it is while the flood has drained all there is.
    assert_eq!(outcome.least, 1, "{outcome:?}");
    assert!(outcome.bursts.passed < outcome.bursts.asked, "{outcome:?}");
}

/// As many as there are places for, four times over: their buckets are full after a second.
fn enough_places(keys: u64, rate: u64, places: usize) {
    assert_eq!(rate as usize, places / 4);
    let outcome = flood(&Flood { quota: quota(1, 5), keys, rate, calls: 1 }, places);
    assert!(outcome.displaced < keys / 100, "{outcome:?}");
    assert!(outcome.least >= 4 && outcome.bursts.passed * 100 >= outcome.bursts.asked * 98, "{outcome:?}");
}

#[test]
fn a_flood_of_keys_starves_nobody() {
    if alone("flood::a_flood_of_keys_starves_nobody") {
        too_many(200_000, 1_000, 1, 1 << 12);
    }
}

#[test]
fn a_flood_that_there_are_places_for_is_not_felt() {
    if alone("flood::a_flood_that_there_are_places_for_is_not_felt") {
        enough_places(200_000, 1 << 12, 1 << 14);
    }
}

#[test]
#[ignore = "takes a minute: runs with --deep"]
fn ten_million_keys_cost_no_memory_and_starve_nobody() {
    if alone("flood::ten_million_keys_cost_no_memory_and_starve_nobody") {
        too_many(10_000_000, 20_000, 1, 1 << 16);
    }
}

#[test]
#[ignore = "takes a minute: runs with --deep"]
fn ten_million_keys_that_drain_their_buckets_cost_no_memory_and_starve_nobody() {
    if alone("flood::ten_million_keys_that_drain_their_buckets_cost_no_memory_and_starve_nobody") {
        too_many(10_000_000, 20_000, 6, 1 << 16);
    }
}

#[test]
#[ignore = "takes a minute: runs with --deep"]
fn ten_million_keys_that_there_are_places_for_are_not_felt() {
    if alone("flood::ten_million_keys_that_there_are_places_for_are_not_felt") {
        enough_places(10_000_000, 1 << 14, 1 << 16);
    }
}

#[test]
fn a_place_costs_what_the_documentation_says() {
    const PLACES: usize = 1 << 20;
    if alone("flood::a_place_costs_what_the_documentation_says") {
        drop(by_number(quota(1, 1)));
        let growth = Growth::new();
        let keyed = by_number(quota(1, 1)).places(NonZeroUsize::new(PLACES).unwrap());
        // That of 65,536 places was there before.
        let bytes = growth.most() as usize;
        assert!(bytes <= (PLACES + 65_536) * 20 + (512 << 10), "{} bytes a place", bytes as f64 / PLACES as f64);
        drop(keyed);
    }
}

/// How many of 10,000 keys that come while so many percent of the places are taken find none that is free.
fn find_none_at(percent: u64) -> usize {
    let (keyed, now) = (by_number(Quota::per_hour(nz(1))).strict(), Instant::now());
    let keys = 65_536 * percent / 100;
    (0..keys).for_each(|key| _ = passes(&keyed, key, now));
    (0..10_000).filter(|key| keyed.standing_at(&(keys + key), now).remaining == 0).count()
}

#[test]
fn with_four_times_as_many_places_as_are_needed_hardly_anybody_finds_none() {
    // By chance there are 0, 11, 511 and 2,560.
    for (percent, at_most) in [(10, 5), (25, 50), (50, 700), (75, 3_000)] {
        let found = find_none_at(percent);
        assert!(found <= at_most, "{found} of 10,000 at {percent} %");
    }
}
