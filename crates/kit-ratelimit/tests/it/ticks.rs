//! To the tick: refused one nanosecond before, let in at the moment; and never more than the quota in the long run.

use std::time::Duration;

use kit_base::{Endpoint, Request};
use kit_ratelimit::{Keyed, Layer, Limited, Quota, RateLimit};

use crate::kinds::{Chance, kinds};
use crate::support::{Echo, ms, nz, on_tokios_clock, quota};

const NANO: Duration = Duration::from_nanos(1);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

fn quotas() -> Vec<Quota> {
    let per = |rate, period| Quota::per(nz(rate), period).unwrap();
    let rates = [
        Quota::per_second(nz(1)),
        Quota::per_second(nz(3)),
        Quota::per_second(nz(1_000_000)),
        Quota::per_second(nz(30_000_000)),
        Quota::per_second(nz(1_500_000_000)),
        Quota::per_second(nz(u32::MAX)),
        Quota::per_minute(nz(7)),
        Quota::per_minute(nz(100)),
        Quota::per_hour(nz(11)),
        per(1, Duration::from_secs(366 * 24 * 3_600)),
        per(13, Duration::from_nanos(997)),
        per(2, NANO),
    ];
    let bursts = [1, 2, 5, 1_000];
    rates.into_iter().flat_map(|quota| bursts.map(|burst| quota.with_burst(nz(burst)))).collect()
}

/// In quarters of a nanosecond, which is what is kept: rounded up, so that there are never more.
fn quarters(quota: Quota) -> u128 {
    (quota.period().as_nanos() * 4).div_ceil(u128::from(quota.rate().get()))
}

#[test]
fn the_next_one_is_let_in_at_the_moment_and_not_before() {
    for quota in quotas() {
        for limit in kinds(quota) {
            let burst = quota.burst().get();
            assert!(limit.ask(burst).is_ok());
            // One that fills within a nanosecond of this loses the rest of it.
            let steps = if quarters(quota) * u128::from(burst - 1) < 4 { 1 } else { 20 };
            for n in 1..=steps {
                let at = Duration::from_nanos((quarters(quota) * n).div_ceil(4) as u64);
                // Several are there at once where tokens are closer than the clock can tell: those are counted below.
                if quarters(quota) >= 8 {
                    limit.go_to(at - NANO);
                    assert!(limit.ask(1_u32).is_err(), "{quota}: {n}");
                }
                limit.go_to(at);
                assert!(limit.ask(1_u32).is_ok(), "{quota}: {n}");
            }
        }
    }
}

#[test]
fn retry_after_is_exact() {
    for quota in quotas() {
        let burst = quota.burst().get();
        for cost in [1, 2, 3, burst / 2, burst - 1, burst].into_iter().filter(|&cost| 0 < cost && cost <= burst) {
            for limit in kinds(quota) {
                let (mut chance, began) = (Chance(cost.into()), limit.now());
                assert!(limit.ask(burst).is_ok());
                for _ in 0..10 {
                    limit.advance(Duration::from_nanos(chance.under(quarters(quota) as u64 / 8 + 1)));
                    // After 24 years time stands still.
                    if limit.now() > began + 10 * YEAR {
                        break;
                    }
                    while limit.ask(1_u32).is_ok() {}
                    let Err(refusal) = limit.ask(cost) else { continue };
                    let after = refusal.retry_after().unwrap();
                    assert!(after > Duration::ZERO, "{quota}");
                    limit.advance(after - NANO);
                    assert!(limit.ask(cost).is_err(), "{quota}: {cost} after {after:?}");
                    limit.advance(NANO);
                    assert!(limit.ask(cost).is_ok(), "{quota}: {cost} after {after:?}");
                }
            }
        }
    }
}

/// Whoever asks all the time gets all that comes in, and not one more.
#[test]
fn in_the_long_run_it_is_the_quota_to_a_quarter_of_a_nanosecond_a_token() {
    for quota in quotas() {
        for limit in kinds(quota) {
            let burst = quota.burst().get();
            assert!(limit.ask(burst).is_ok());
            let (mut passed, mut chance) = (0_u128, Chance(7));
            // At least once in each time that a bucket takes to fill, so that none of it is lost.
            let most = quarters(quota) * u128::from(burst - 1).min(10) / 4;
            let (mut now, mut last) = (0_u128, 0);
            for _ in 0..1_000 {
                now += 1 + u128::from(chance.under(most.max(1) as u64));
                // After 24 years time stands still.
                if now > 20 * YEAR.as_nanos() {
                    break;
                }
                limit.go_to(Duration::from_nanos(now as u64));
                while limit.ask(1_u32).is_ok() {
                    passed += 1;
                }
                last = now;
                // Not more than the rate, in whole numbers.
                let by_rate = now * u128::from(quota.rate().get());
                assert!(passed * quota.period().as_nanos() <= by_rate, "{quota}: {passed} in {now} ns");
            }
            if most > 0 {
                // And each token that the kept interval gives.
                assert_eq!(passed, last * 4 / quarters(quota), "{quota}");
            }
        }
    }
}

#[test]
fn the_standing_is_right_at_each_moment() {
    for quota in quotas() {
        for limit in kinds(quota) {
            let (burst, interval) = (quota.burst().get(), quarters(quota));
            let whole = limit.gate.standing_at(limit.now());
            assert_eq!((whole.limit, whole.remaining, whole.reset), (quota.burst(), burst, Duration::ZERO));
            assert_eq!(whole.window, quota.refill());
            assert!(limit.ask(burst).is_ok());
            let refill = interval * u128::from(burst);
            for step in 0..=50_u128 {
                let now = refill * step / 4 / 49;
                limit.go_to(Duration::from_nanos(now as u64));
                let missing = refill.saturating_sub(now * 4);
                let stands = limit.gate.standing_at(limit.now());
                assert_eq!(u128::from(stands.remaining), (refill - missing) / interval, "{quota} after {now} ns");
                assert_eq!(stands.reset.as_nanos(), missing.div_ceil(4), "{quota} after {now} ns");
                // What it says remains is there, and not one more.
                let there = stands.remaining;
                if there < burst {
                    let refusal = limit.ask(there + 1).unwrap_err();
                    assert_eq!(Limited::of(&refusal).unwrap().standing, stands);
                }
            }
            limit.go_to(quota.refill());
            assert_eq!(limit.gate.standing_at(limit.now()), whole);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn on_a_clock_that_is_paused_each_millisecond_is_right() {
    let limited = on_tokios_clock(RateLimit::new(quota(3, 2))).layer(Echo::default());
    let keyed = on_tokios_clock(Keyed::by(quota(3, 2), |_: &Request<u32>| Some(1))).layer(Echo::default());
    let began = tokio::time::Instant::now();
    let (mut passed, mut passed_by_key) = (Vec::new(), Vec::new());
    while began.elapsed() < ms(2_100) {
        let now = began.elapsed().as_millis();
        while limited.call(Request::new(1)).await.is_ok() {
            passed.push(now);
        }
        while keyed.call(Request::new(1)).await.is_ok() {
            passed_by_key.push(now);
        }
        tokio::time::advance(ms(1)).await;
    }
    // A third of a second is a little more than 333 ms; the third one comes a quarter of a nanosecond after the second.
    assert_eq!(passed, [0, 0, 334, 667, 1_001, 1_334, 1_667, 2_001]);
    assert_eq!(passed_by_key, passed);
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_back_after_the_hint_is_let_in() {
    let limited = on_tokios_clock(RateLimit::new(quota(3, 1))).layer(Echo::default());
    let mut refused = 0;
    for _ in 0..10 {
        while let Err(refusal) = limited.call(Request::new(1)).await {
            refused += 1;
            tokio::time::advance(refusal.retry_after().unwrap()).await;
        }
    }
    assert_eq!(refused, 9);
}
