//! A clock that jumps does no harm: forward as after a suspension, back by a little or by days, or old readings of it.

use std::time::Duration;

use kit_base::Gate;
use kit_ratelimit::{Keyed, RateLimit};

use crate::kinds::{Chance, kinds};
use crate::support::{ByHand, ms, quota};

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn a_jump_forward_fills_the_bucket_once() {
    for far in [HOUR, 24 * HOUR, 8 * 365 * 24 * HOUR] {
        for limit in kinds(quota(10, 5)) {
            assert_eq!(limit.pass_of(20), 5);
            limit.advance(far);
            assert_eq!(limit.pass_of(20), 5);
            assert_eq!(limit.refused(), Some(ms(100)));
            limit.advance(ms(100));
            assert_eq!(limit.pass_of(20), 1);
        }
    }
}

#[test]
fn a_small_jump_back_stops_the_time_until_it_is_made_up_for() {
    for back in [Duration::from_nanos(1), ms(1), ms(999), ms(30_000), ms(60_000)] {
        for limit in kinds(quota(10, 5)) {
            limit.go_to(2 * HOUR);
            assert_eq!(limit.pass_of(3), 3);
            limit.go_to(2 * HOUR - back);
            // Two were left, unless the older moment had fewer: what came in since then is not there yet.
            let had = limit.pass_of(20);
            assert!(had <= 2, "{had} after {back:?}");
            limit.go_to(2 * HOUR);
            assert_eq!(had + limit.pass_of(20), 2, "{back:?}");
            limit.advance(ms(100));
            assert_eq!(limit.pass_of(20), 1, "{back:?}");
        }
    }
}

#[test]
fn after_a_large_jump_back_the_bucket_begins_again_empty() {
    for back in [ms(61_000), HOUR, 5 * 24 * HOUR, 500 * 24 * HOUR] {
        for limit in kinds(quota(10, 5)) {
            limit.go_to(900 * 24 * HOUR);
            assert_eq!(limit.pass_of(20), 5);
            limit.go_to(900 * 24 * HOUR - back);
            assert_eq!(limit.pass_of(20), 0, "{back:?}");
            assert_eq!(limit.refused(), Some(ms(100)));
            // What it says is so: nobody waits for the clock to catch up.
            limit.advance(ms(100));
            assert_eq!(limit.pass_of(20), 1, "{back:?}");
            limit.advance(ms(300));
            assert_eq!(limit.pass_of(20), 3, "{back:?}");
            limit.advance(HOUR);
            assert_eq!(limit.pass_of(20), 5, "{back:?}");
        }
    }
}

/// It looks like a clock that went back, and is the price of that rule.
#[test]
fn a_call_that_comes_over_a_minute_after_its_reading_lets_one_burst_more_through_at_most() {
    for late in [ms(59_000), ms(61_000), HOUR] {
        for limit in kinds(quota(10, 5)) {
            limit.go_to(2 * HOUR);
            assert_eq!(limit.pass_of(20), 5);
            limit.go_to(2 * HOUR - late);
            assert_eq!(limit.pass_of(20), 0, "{late:?}");
            limit.go_to(2 * HOUR);
            assert_eq!(limit.pass_of(20), if late < ms(60_000) { 0 } else { 5 }, "{late:?}");
        }
    }
}

#[test]
fn a_bucket_that_was_full_at_a_large_jump_back_gives_no_more_than_a_burst() {
    for limit in kinds(quota(10, 5)) {
        limit.go_to(100 * HOUR);
        assert_eq!(limit.pass_of(1), 1);
        limit.go_to(101 * HOUR);
        limit.go_to(HOUR);
        // The last call is 99 hours in the future, and so nothing is known.
        assert_eq!(limit.pass_of(20), 0);
        limit.advance(HOUR);
        assert_eq!(limit.pass_of(20), 5);
    }
}

#[test]
fn a_costly_call_has_its_turn_after_a_large_jump_back() {
    for limit in kinds(quota(10, 5)) {
        limit.go_to(100 * HOUR);
        assert!(limit.ask(5_u32).is_ok());
        limit.go_to(HOUR);
        let after = limit.ask(4_u32).unwrap_err().retry_after().unwrap();
        assert_eq!(after, ms(400));
        limit.advance(after - Duration::from_nanos(1));
        assert!(limit.ask(4_u32).is_err());
        limit.advance(Duration::from_nanos(1));
        assert!(limit.ask(4_u32).is_ok());
    }
}

#[test]
fn how_it_stands_after_a_large_jump_back_is_as_it_will_be() {
    for limit in kinds(quota(10, 5)) {
        limit.go_to(100 * HOUR);
        assert_eq!(limit.pass_of(20), 5);
        limit.go_to(HOUR);
        let stands = limit.gate.standing_at(limit.now());
        assert_eq!((stands.remaining, stands.reset), (0, ms(500)));
        limit.refused();
        limit.advance(ms(250));
        let stands = limit.gate.standing_at(limit.now());
        assert_eq!((stands.remaining, stands.reset), (2, ms(250)));
    }
}

#[test]
fn a_newcomer_among_full_places_has_its_turn_after_a_large_jump_back() {
    for strict in [false, true] {
        let keyed = Keyed::by(quota(10, 5), |key: &u32| Some(*key)).places(8.try_into().unwrap());
        let limit = ByHand::over(if strict { keyed.strict() } else { keyed });
        limit.go_to(100 * HOUR);
        for key in 0..8 {
            assert_eq!((0..9).filter(|_| limit.ask(key).is_ok()).count(), 5);
        }
        limit.go_to(HOUR);
        let _ = limit.ask(9);
        limit.advance(ms(100));
        assert!(limit.ask(9).is_ok(), "strict: {strict}");
        limit.advance(HOUR);
        for key in 10..18 {
            let passed = (0..9).filter(|_| limit.ask(key).is_ok()).count();
            assert!((1..=5).contains(&passed), "{passed}, strict: {strict}");
        }
    }
}

#[test]
fn so_has_one_where_others_have_lost_their_places() {
    let limit = ByHand::over(Keyed::by(quota(10, 5), |key: &u32| Some(*key)).places(8.try_into().unwrap()).strict());
    limit.go_to(100 * HOUR);
    (0..9).for_each(|key| _ = limit.ask(key).unwrap());
    assert_eq!(limit.gate.displaced(), 1);
    limit.go_to(HOUR);
    assert!(limit.ask(9).is_err());
    limit.advance(ms(100));
    assert!(limit.ask(9).is_ok());
}

#[test]
fn moments_before_the_first_one_are_moments_too() {
    for limit in kinds(quota(10, 5)) {
        limit.go_to(500 * 24 * HOUR);
        assert_eq!(limit.pass_of(2), 2);
        for day in 0..500 {
            limit.go_to(day * 24 * HOUR);
            let passed = limit.pass_of(20);
            assert!(passed <= 5, "{passed} on day {day}");
            assert_eq!(passed, if day == 0 { 0 } else { 5 }, "day {day}");
        }
    }
}

/// By no more than a minute old, in any order: never more than the burst and what came in by the newest reading.
#[test]
fn readings_that_jitter_never_let_more_through() {
    for seed in 0..300 {
        let mut chance = Chance(seed);
        let (rate, burst) = (1 + chance.under(1_000) as u32, 1 + chance.under(50) as u32);
        for limit in kinds(quota(rate, burst)) {
            let mut chance = Chance(seed);
            let old = chance.of(&[1_000, 1_000_000, 1_000_000_000, 59_000_000_000]);
            let (mut newest, mut passed) = (HOUR, 0_u64);
            let begin = newest;
            for _ in 0..400 {
                newest += Duration::from_nanos(chance.under(30_000_000));
                let jitter = if chance.under(3) == 0 { chance.under(old) } else { 0 };
                limit.go_to(newest - Duration::from_nanos(jitter));
                passed += limit.pass_of(1 + chance.under(4) as usize) as u64;
                // The first reading may be an old one.
                let since = (newest - begin).as_nanos() + u128::from(old);
                let most = u128::from(burst) * 1_000_000_000 + since * u128::from(rate);
                assert!(
                    u128::from(passed) * 1_000_000_000 <= most,
                    "seed {seed}: {passed} of {rate}/s, {burst} at once"
                );
            }
        }
    }
}

/// Each thread has a clock of its own, and some are behind.
#[test]
fn threads_whose_clocks_differ_never_let_more_through() {
    fn check<G: Gate<(), (), kit_base::Error>>(gate: &G) {
        const STEPS: u64 = 2_000;
        let begin = std::time::Instant::now() + HOUR;
        let clock = move || begin;
        while gate.admit(&mut (), &kit_base::Now::new(&clock)).is_ok() {}
        let passed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4_u64)
                .map(|behind| {
                    scope.spawn(move || {
                        let ask = |step: &u64| {
                            // 10 µs a step; the fourth is 15 s behind.
                            let now = begin + Duration::from_micros(step * 10) - Duration::from_secs(behind * 5);
                            let clock = move || now;
                            gate.admit(&mut (), &kit_base::Now::new(&clock)).is_ok()
                        };
                        (0..STEPS).filter(ask).count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        // 1,000 a second by the newest clock, for less than 20 ms; the others have nothing to give.
        assert_eq!(passed, 19);
    }
    check(&RateLimit::new(quota(1_000, 5)));
    check(&Keyed::by(quota(1_000, 5), |(): &()| Some(1)));
}
