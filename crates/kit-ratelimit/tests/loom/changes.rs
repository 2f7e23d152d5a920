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
            let short = refused.err().expect("it is empty");
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
        interrupted(3, move || {
            let at = At::with(from(), from().burst().get() - 1);
            let take = |at: &At| u32::from(at.takes(1).is_ok());
            let ((), one, two) = three(&at, move |at| at.change(to()), take, take);
            assert_eq!((one + two, at.left()), (1, 0));
        });
    }
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
    interrupted(3, || {
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
    interrupted(4, || {
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
