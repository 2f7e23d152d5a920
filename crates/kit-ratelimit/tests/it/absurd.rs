//! Quotas, costs and moments that nobody should use: nothing panics, overflows or hangs, and what is stated holds.

use std::time::{Duration, Instant};

use kit_base::{Kind, RetryHint};
use kit_ratelimit::{Limited, Quota, RateLimit};

use crate::kinds::{Any, kinds, one};
use crate::support::{ByHand, ms, nz, quota};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Every combination of small, middling and absurd numbers, and the burst that was asked for.
fn absurd_quotas() -> Vec<(Quota, u32)> {
    let numbers = [1, 2, 3, 7, 1_000, 1_000_003, u32::MAX / 2, u32::MAX - 1, u32::MAX];
    let periods = [
        Duration::from_nanos(1),
        Duration::from_nanos(3),
        Duration::from_micros(1),
        ms(1),
        Duration::from_secs(1),
        Duration::new(59, 999_999_999),
        DAY,
        366 * DAY - Duration::from_nanos(1),
        366 * DAY,
    ];
    let of = |rate, period| Quota::per(nz(rate), period).unwrap();
    let mut quotas = Vec::new();
    for period in periods {
        for rate in numbers {
            quotas.push((of(rate, period), rate));
            quotas.extend(numbers.map(|burst| (of(rate, period).with_burst(nz(burst)), burst)));
        }
    }
    quotas
}

#[test]
fn what_is_stated_holds_for_every_quota() {
    for (quota, wanted) in absurd_quotas() {
        let (interval, refill, burst) = (quota.interval(), quota.refill(), u128::from(quota.burst().get()));
        assert!(!interval.is_zero() && interval <= 366 * DAY, "{quota}");
        assert!(refill <= Quota::LONGEST_REFILL && refill >= interval, "{quota}: {refill:?}");
        // To a quarter of a nanosecond, rounded up.
        let quarters = (quota.period().as_nanos() * 4).div_ceil(u128::from(quota.rate().get()));
        assert_eq!(interval.as_nanos(), quarters.div_ceil(4), "{quota}");
        assert_eq!(refill.as_nanos(), (quarters * burst).div_ceil(4), "{quota}");
        // A smaller burst than wanted only where the refill would be too long.
        assert!(
            quarters * (burst + 1) > Quota::LONGEST_REFILL.as_nanos() * 4 || burst == u128::from(wanted),
            "{quota}"
        );
        assert!(!quota.to_string().is_empty());
    }
}

#[test]
fn every_quota_lets_in_its_burst_and_then_one_for_each_interval() {
    for (quota, _) in absurd_quotas() {
        for limit in kinds(quota) {
            let burst = quota.burst().get();
            assert!(limit.ask(burst).is_ok(), "{quota}");
            let refusal = limit.ask(1_u32).unwrap_err();
            let after = refusal.retry_after().unwrap();
            assert!(after <= quota.interval(), "{quota}: {after:?}");
            limit.advance(after - Duration::from_nanos(1));
            assert!(limit.ask(1_u32).is_err(), "{quota}");
            limit.advance(Duration::from_nanos(1));
            assert!(limit.ask(1_u32).is_ok(), "{quota}");
            // Ten years later it is full again, whatever it is.
            limit.advance(Quota::LONGEST_REFILL);
            assert_eq!(limit.gate.standing_at(limit.now()).remaining, burst, "{quota}");
            assert!(limit.ask(burst).is_ok() && limit.ask(burst).is_err(), "{quota}");
        }
    }
}

#[test]
fn every_cost_is_let_in_refused_or_refused_for_ever() {
    for (quota, _) in absurd_quotas() {
        for limit in kinds(quota) {
            let burst = quota.burst().get();
            for cost in [0, 1, 2, burst / 2, burst - 1, burst, burst.saturating_add(1), u32::MAX - 1, u32::MAX] {
                let before = limit.gate.standing_at(limit.now()).remaining;
                let asked = limit.ask(cost);
                let Err(refusal) = asked else {
                    assert!(cost <= before, "{cost} of {before}, {quota}");
                    continue;
                };
                assert!(cost > before, "{cost} of {before}, {quota}");
                assert_eq!(refusal.kind(), Kind::ResourceExhausted);
                let told = Limited::of(&refusal).unwrap();
                assert_eq!((told.cost, told.standing.limit.get(), told.standing.remaining), (cost, burst, before));
                if cost > burst {
                    assert_eq!((refusal.retry_hint(), told.retry_after), (RetryHint::Never, None), "{cost}, {quota}");
                    let message = format!("the request costs {cost}, more than the {burst} of the rate limit");
                    assert_eq!(refusal.message(), message);
                } else {
                    assert_eq!(refusal.retry_after(), told.retry_after);
                    assert!(told.retry_after.unwrap() <= quota.refill(), "{cost}, {quota}");
                }
            }
        }
    }
}

#[test]
fn a_call_that_costs_nothing_passes_an_empty_bucket() {
    for limit in kinds(quota(1, 1)) {
        assert!(limit.ask(1_u32).is_ok() && limit.ask(1_u32).is_err());
        let permit = limit.ask(0_u32).unwrap();
        // And gives nothing back.
        limit.not_made::<()>(permit);
        assert!(limit.ask(1_u32).is_err());
    }
}

#[test]
fn every_quota_changes_into_every_other() {
    let quotas = absurd_quotas();
    for (n, (from, _)) in quotas.iter().enumerate() {
        let (to, _) = quotas[(n * 331 + 17) % quotas.len()];
        for limit in kinds(*from) {
            let take = from.burst().get().div_ceil(2);
            assert!(limit.ask(take).is_ok());
            limit.advance(Duration::from_nanos(n as u64));
            let had = limit.gate.standing_at(limit.now());
            limit.gate.change_at(to, limit.now());
            let has = limit.gate.standing_at(limit.now()).remaining;
            // A full bucket of a key cannot be told from one that is not there: it stays full.
            let had = if had.reset.is_zero() && matches!(limit.gate, Any::Keyed(_)) { u32::MAX } else { had.remaining };
            // A token may be kept as all but a whole one.
            let fits = had.min(to.burst().get());
            assert!(has <= fits.saturating_add(1) && has >= fits.saturating_sub(1), "{has} of {had}, {from} to {to}");
            limit.advance(Quota::LONGEST_REFILL);
            assert!(limit.ask(to.burst().get()).is_ok() && limit.ask(to.burst().get()).is_err(), "{from} to {to}");
        }
    }
}

#[test]
fn a_period_that_is_none_is_refused_with_its_length() {
    for (period, shown) in [
        (Duration::ZERO, "0ns"),
        (366 * DAY + Duration::from_nanos(1), "31622400.000000001s"),
        (Duration::MAX, "18446744073709551615.999999999s"),
    ] {
        let invalid = Quota::per(nz(1), period).unwrap_err();
        let text = format!("the period of a quota must be from 1ns to 366 days, got {shown}");
        assert_eq!(invalid.to_string(), text);
    }
    assert!(Quota::per(nz(1), Duration::from_nanos(1)).is_ok());
    assert!(Quota::per(nz(1), 366 * DAY).is_ok());
}

#[test]
fn a_bucket_of_ten_years_holds_what_comes_in_by_then() {
    let slow = Quota::per(nz(1), 366 * DAY).unwrap();
    assert_eq!(slow.with_burst(nz(u32::MAX)).burst().get(), 9);
    assert_eq!(slow.with_burst(nz(u32::MAX)).to_string(), "1 per 31622400s, 9 at once");
    assert_eq!(quota(1, u32::MAX).burst().get(), 10 * 365 * 24 * 3_600);
    assert_eq!(Quota::per_second(nz(u32::MAX)).interval(), Duration::from_nanos(1));
    assert_eq!(Quota::per_second(nz(u32::MAX)).burst().get(), u32::MAX);
}

/// Moments that are decades away from the first one are as far as can be told apart: time stands still there.
#[test]
fn moments_far_away_neither_panic_nor_hang_nor_let_more_through() {
    let far = |years: u32| years * YEAR;
    for quota in [quota(10, 5), quota(u32::MAX, u32::MAX), quota(1, u32::MAX), Quota::per(nz(1), 366 * DAY).unwrap()] {
        for (n, limit) in kinds(quota).into_iter().enumerate() {
            let burst = quota.burst().get();
            let mut passed = 0_u64;
            let jumps = [0, 1, 10, 20, 25, 30, 40, 100, 200, 5, 200, 0, 250];
            for years in jumps {
                limit.go_to(far(years));
                for cost in [burst, burst, 1, 1, u32::MAX] {
                    passed += limit.ask(cost).map_or(0, |_| u64::from(cost));
                    let _ = limit.gate.standing_at(limit.now());
                }
                // The two lowest bits of the word count changes; all four numbers must be fine.
                limit.gate.change_at(quota, limit.now());
            }
            // At most one bucket for each jump.
            assert!(passed <= u64::from(burst) * jumps.len() as u64, "{passed}, kind {n}, {quota}");
        }
    }
}

#[test]
fn at_the_end_of_all_times_a_bucket_is_empty_when_it_has_been_emptied() {
    for limit in kinds(quota(10, 5)) {
        assert!(limit.passes());
        for years in [15, 30, 36, 37, 100, 200] {
            limit.go_to(years * YEAR);
            assert!(limit.pass_of(100) <= 5, "after {years} years");
        }
    }
}

#[test]
fn at_the_end_of_all_times_a_bucket_of_ten_years_is_full_once() {
    for years in [20, 24, 25, 27, 29, 36, 100] {
        for limit in kinds(quota(1, u32::MAX)) {
            let burst = limit.gate.quota().burst().get();
            assert!(limit.passes());
            limit.go_to(years * YEAR);
            assert!(limit.ask(burst).is_ok(), "after {years} years");
            assert_eq!(limit.pass_of(3), 0, "after {years} years");
            assert_eq!(limit.gate.standing_at(limit.now()).remaining, 0, "after {years} years");
        }
    }
}

#[test]
fn moments_long_before_the_first_are_fine() {
    let limit = ByHand::over(one(quota(10, 5)));
    limit.go_to(500 * YEAR);
    assert_eq!(limit.pass_of(10), 5);
    limit.go_to(Duration::ZERO);
    assert_eq!(limit.pass_of(10), 0);
    limit.gate.change_at(quota(20, 5), limit.now());
    let _ = limit.gate.standing_at(limit.now());
}

#[test]
fn the_first_moments_of_the_machine_are_moments_too() {
    // The earliest `Instant` there is here, found by halving.
    let mut back = Duration::from_secs(1 << 62);
    let mut earliest = Instant::now();
    while back >= Duration::from_nanos(1) {
        match earliest.checked_sub(back) {
            Some(earlier) => earliest = earlier,
            None => back /= 2,
        }
    }
    let limit = RateLimit::new(quota(10, 5));
    assert_eq!(limit.standing_at(earliest).remaining, 5);
    limit.change_at(quota(10, 3), Instant::now());
    // From the end of all times back to the beginning.
    let stands = limit.standing_at(earliest);
    assert_eq!((stands.limit.get(), stands.remaining), (3, 0));
}

#[test]
fn a_limit_of_the_largest_numbers_is_refused_and_let_in_exactly() {
    let limit: ByHand<Any> = ByHand::over(one(quota(u32::MAX, u32::MAX)));
    assert!(limit.ask(u32::MAX).is_ok());
    assert_eq!(limit.ask(u32::MAX).unwrap_err().retry_after(), Some(Duration::from_nanos(1_073_741_824)));
    limit.advance(Duration::from_nanos(1_073_741_823));
    assert!(limit.ask(u32::MAX).is_err());
    limit.advance(Duration::from_nanos(1));
    assert!(limit.ask(u32::MAX).is_ok());
}
