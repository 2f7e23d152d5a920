//! Calls that were not made, and give back what they took.

use crate::support::{At, all, both, each, interrupted, three};

#[test]
fn what_is_given_back_as_another_takes_is_there_or_lost_and_never_twice() {
    all(|| {
        let at = At::with(each(10, 2), 1);
        let taken = at.takes(1).expect("the second");
        let (passed, ()) = both(&at, |at| at.takes(1).is_ok(), move |at| at.gives_back(taken));
        assert_eq!(at.left() + u32::from(passed), 1);
    });
}

#[test]
fn of_two_that_are_given_back_none_makes_a_token() {
    interrupted(3, || {
        let at = At::with(each(10, 2), 0);
        let (one, two) = (at.takes(1).expect("the first"), at.takes(1).expect("the second"));
        let (passed, (), ()) =
            three(&at, |at| u32::from(at.takes(1).is_ok()), move |at| at.gives_back(one), move |at| at.gives_back(two));
        assert!(at.left() + passed <= 2);
        // The second can always be given back, unless somebody has taken since.
        assert!(at.left() + passed >= 1);
    });
}

#[test]
fn what_is_given_back_as_the_quota_changes_is_no_more_than_was_taken() {
    all(|| {
        let at = At::with(each(10, 2), 1);
        let taken = at.takes(1).expect("the second");
        both(&at, |at| at.change(each(1_000, 20)), move |at| at.gives_back(taken));
        assert!(at.left() <= 1, "{}", at.left());
    });
}

/// Empty, it looks the same in both; but what takes 200 ns in one is two tokens in the other.
#[test]
fn what_is_given_back_as_the_quota_changes_to_one_that_fills_in_the_same_time_is_no_more_either() {
    all(|| {
        let at = At::with(each(200, 2), 1);
        let taken = at.takes(1).expect("the second");
        both(&at, |at| at.change(each(100, 4)), move |at| at.gives_back(taken));
        assert!(at.left() <= 1, "{}", at.left());
    });
}

#[test]
fn what_is_given_back_and_taken_as_the_quota_changes_is_one_token() {
    interrupted(2, || {
        let at = At::with(each(10, 2), 1);
        let taken = at.takes(1).expect("the second");
        let (passed, (), ()) = three(
            &at,
            |at| u32::from(at.takes(1).is_ok()),
            |at| at.change(each(1_000, 20)),
            move |at| at.gives_back(taken),
        );
        assert!(at.left() + passed <= 1, "{} left, {passed} passed", at.left());
    });
}
