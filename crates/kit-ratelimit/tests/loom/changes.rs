//! A pace that changes while calls take and look: they go by the old one or the new one, and never by half of each.

use std::time::Duration;

use crate::gcra::{Pace, Short};
use crate::quota::Quota;
use crate::support::{At, all, both, each, interrupted, three};

/// By the interval of the first and the refill of the second, a bucket would hold 300 tokens; the other way round, none.
const FAST: fn() -> Quota = || each(10, 2);
const SLOW: fn() -> Quota = || each(1_000, 3);

fn nanos(time: u64) -> Short {
    Short::after(Duration::from_nanos(time))
}

#[test]
fn a_refusal_goes_by_one_of_both() {
    for (from, to) in [(FAST, SLOW), (SLOW, FAST)] {
        all(move || {
            let at = At::with(from(), from().burst().get());
            let ((), (refused, look)) = both(&at, move |at| at.change(to()), |at| at.bucket.take(at.now, 1));
            let short = refused.expect_err("it is empty");
            assert!([nanos(10), nanos(1_000)].contains(&short), "{short:?}");
            let pace = if short == nanos(10) { FAST } else { SLOW };
            assert_eq!(look.pace, Pace::from(pace()));
            assert_eq!((at.left(), at.bucket.quota()), (0, to()));
        });
    }
}

#[test]
fn what_is_there_is_taken_once_whatever_the_pace() {
    for (from, to) in [(FAST, SLOW), (SLOW, FAST)] {
        interrupted(2, move || {
            let at = At::with(from(), from().burst().get() - 1);
            let take = |at: &At| u32::from(at.takes(1).is_ok());
            let ((), one, two) = three(&at, move |at| at.change(to()), take, take);
            assert_eq!((one + two, at.left()), (1, 0));
        });
    }
}

/// Full at the same moment, it looks the same before and after.
#[test]
fn what_a_full_bucket_gives_is_taken_at_the_pace_that_it_has() {
    all(|| {
        let at = At::with(each(10, 3), 0);
        at.change(FAST());
        let ((), taken) = both(&at, |at| at.change(each(1_000, 1)), |at| at.takes(1));
        assert!(taken.is_ok());
        // One of two was left, or none of one.
        let reset = at.bucket.look(at.now).standing().reset.as_nanos();
        assert!([0, 1_000].contains(&reset), "{reset}");
    });
}

/// After a change and a call the bucket looks as it did before both, but for the count.
#[test]
fn who_has_looked_before_a_change_and_a_call_does_not_take_at_the_old_pace() {
    all(|| {
        let at = At::with(each(10, 5), 2);
        let change_and_take = |at: &At| {
            at.change(each(20, 3));
            at.takes(1).is_ok()
        };
        let (one, other) = both(&at, |at| at.takes(1).is_ok(), change_and_take);
        assert!(one && other);
        // Three of five were left, and three of three; two calls have come.
        let stands = at.bucket.look(at.now).standing();
        assert_eq!((stands.remaining, stands.reset), (1, Duration::from_nanos(40)));
    });
}

#[test]
fn calls_that_cost_more_than_one_of_both_holds_go_by_the_other() {
    for (from, to) in [(FAST, SLOW), (SLOW, FAST)] {
        all(move || {
            let at = At::with(from(), from().burst().get());
            let ((), refused) = both(&at, move |at| at.change(to()), |at| at.takes(3).err());
            assert!([Some(Short::Ever), Some(nanos(3_000))].contains(&refused), "{refused:?}");
        });
    }
}

#[test]
fn a_look_sees_one_of_both() {
    for (from, to) in [(FAST, SLOW), (SLOW, FAST)] {
        all(move || {
            let at = At::with(from(), 1);
            let ((), look) = both(&at, move |at| at.change(to()), |at| at.bucket.look(at.now));
            let stands = look.standing();
            let seen = (stands.limit.get(), stands.window.as_nanos(), stands.remaining, stands.reset.as_nanos());
            let left = from().burst().get() - 1;
            let of = |quota: Quota| {
                let (burst, interval) = (quota.burst().get(), quota.interval().as_nanos());
                let left = left.min(burst);
                (burst, quota.refill().as_nanos(), left, u128::from(burst - left) * interval)
            };
            assert!(seen == of(from()) || seen == of(to()), "{seen:?}");
        });
    }
}

#[test]
fn of_two_changes_one_is_the_last_in_all() {
    interrupted(2, || {
        let at = At::with(each(100, 4), 2);
        let ((), (), passed) =
            three(&at, |at| at.change(FAST()), |at| at.change(SLOW()), |at| u32::from(at.takes(1).is_ok()));
        assert_eq!((passed, at.left()), (1, 1));
        let pace = at.bucket.look(at.now).pace;
        assert_eq!(pace, Pace::from(at.bucket.quota()));
        assert!(pace == Pace::from(FAST()) || pace == Pace::from(SLOW()));
    });
}

#[test]
fn two_changes_after_each_other_are_never_seen_as_half_of_each() {
    interrupted(3, || {
        let at = At::with(each(100, 4), 3);
        let ((), passed) = both(
            &at,
            |at| {
                at.change(FAST());
                at.change(SLOW());
            },
            |at| u32::from(at.takes(1).is_ok()) + u32::from(at.takes(1).is_ok()),
        );
        assert_eq!((passed, at.left()), (1, 0));
    });
}
