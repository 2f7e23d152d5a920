//! Pauses: bounds, growth, jitter, and settings that make no sense.

use std::time::Duration;

use kit_base::Backoff;

const MS: Duration = Duration::from_millis(1);

fn backoff(initial: Duration, max: Duration) -> Backoff {
    Backoff::new(initial, max).unwrap()
}

#[test]
fn without_jitter_pauses_grow_by_the_factor_up_to_the_maximum() {
    let pauses = |factor| {
        let backoff = backoff(100 * MS, 1000 * MS).with_jitter(0.0).unwrap().with_factor(factor).unwrap();
        backoff.pauses().take(6).collect::<Vec<_>>()
    };
    assert_eq!(pauses(2.0), [100, 200, 400, 800, 1000, 1000].map(Duration::from_millis));
    assert_eq!(pauses(1.0), [100; 6].map(Duration::from_millis));
    assert_eq!(pauses(1e300), [100, 1000, 1000, 1000, 1000, 1000].map(Duration::from_millis));
}

#[test]
fn jitter_only_ever_shortens_by_its_share() {
    for jitter in [0.1, 0.5, 1.0] {
        let jittered = backoff(100 * MS, 1000 * MS).with_jitter(jitter).unwrap();
        let full = jittered.with_jitter(0.0).unwrap();
        let mut shortest = 1.0f64;
        for seed in 0..500 {
            for (pause, full) in jittered.pauses_from(seed).zip(full.pauses_from(seed)).take(8) {
                let share = pause.as_secs_f64() / full.as_secs_f64();
                assert!((1.0 - jitter - 1e-6..=1.0).contains(&share), "{pause:?} of {full:?}");
                shortest = shortest.min(share);
            }
        }
        assert!(shortest < 1.0 - jitter * 0.95, "the whole share is used: {shortest}");
    }
}

#[test]
fn a_seed_gives_the_same_pauses_and_another_seed_gives_others() {
    let backoff = backoff(100 * MS, 10_000 * MS);
    let pauses = |seed| backoff.pauses_from(seed).take(10).collect::<Vec<_>>();
    assert_eq!(pauses(7), pauses(7));
    assert_ne!(pauses(7), pauses(8));
    // Two processes must not pause alike.
    assert_ne!(backoff.pauses().take(4).collect::<Vec<_>>(), backoff.pauses().take(4).collect::<Vec<_>>());
}

#[test]
fn a_reset_begins_anew() {
    let mut pauses = backoff(100 * MS, 1000 * MS).with_jitter(0.0).unwrap().pauses();
    assert_eq!(pauses.nth(2), Some(400 * MS));
    pauses.reset();
    assert_eq!(pauses.next(), Some(100 * MS));
}

#[test]
fn the_pauses_never_end() {
    assert_eq!(backoff(MS, MS).pauses().take(10_000).count(), 10_000);
}

#[test]
fn the_longest_pauses_do_not_panic() {
    for (initial, max) in [
        (Duration::MAX, Duration::MAX),
        (MS, Duration::MAX),
        (Duration::MAX - Duration::from_nanos(1), Duration::MAX),
        (Duration::from_nanos(1), Duration::from_nanos(1)),
    ] {
        for jitter in [0.0, f64::EPSILON, 0.5, 1.0] {
            for factor in [1.0, 2.0, f64::MAX] {
                let backoff = backoff(initial, max).with_jitter(jitter).unwrap().with_factor(factor).unwrap();
                assert!(backoff.pauses_from(1).take(200).all(|pause| pause <= max));
            }
        }
    }
}

/// The bug of tower-rs/tower#843: a NaN slipped through the check.
#[test]
fn settings_that_make_no_sense_are_refused_and_shown() {
    let message = |outcome: Result<Backoff, kit_base::InvalidBackoff>| outcome.unwrap_err().to_string();
    assert_eq!(message(Backoff::new(Duration::ZERO, MS)), "initial pause must be greater than zero, got 0ns");
    assert_eq!(message(Backoff::new(2 * MS, MS)), "initial pause 2ms is greater than the maximum 1ms");
    let good = backoff(MS, MS);
    for (factor, shown) in
        [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf"), (-2.0, "-2"), (0.5, "0.5"), (0.0, "0")]
    {
        let want = format!("factor must be a finite number from 1, got {shown}");
        assert_eq!(message(good.with_factor(factor)), want);
    }
    for (jitter, shown) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (-0.1, "-0.1"), (1.1, "1.1")] {
        assert_eq!(message(good.with_jitter(jitter)), format!("jitter must be from 0 to 1, got {shown}"));
    }
}
