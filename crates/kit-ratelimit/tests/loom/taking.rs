//! Calls that take at once.

use std::time::Duration;

use crate::gcra::Short;
use crate::support::At;
use crate::support::{all, both, each, interrupted, three};

#[test]
fn one_of_two_has_the_last_token() {
    all(|| {
        let at = At::with(each(10, 3), 2);
        let (one, other) = both(&at, |at| at.takes(1), |at| at.takes(1));
        assert!(one.is_ok() != other.is_ok());
        assert_eq!(one.err().or(other.err()), Some(Short::after(Duration::from_nanos(10))));
        assert_eq!(at.left(), 0);
    });
}

#[test]
fn two_of_three_have_the_last_two_tokens() {
    interrupted(3, || {
        let at = At::with(each(10, 3), 1);
        let take = |at: &At| u32::from(at.takes(1).is_ok());
        let (one, two, three) = three(&at, take, take, take);
        assert_eq!((one + two + three, at.left()), (2, 0));
    });
}

#[test]
fn costs_that_do_not_fit_together_do_not_pass_together() {
    interrupted(3, || {
        let at = At::with(each(10, 5), 0);
        let take = |cost| move |at: &At| if at.takes(cost).is_ok() { cost } else { 0 };
        let (one, two, three) = three(&at, take(3), take(2), take(4));
        let taken = one + two + three;
        assert!(taken == 5 || taken == 4, "{one} {two} {three}");
        assert_eq!(at.left(), 5 - taken);
    });
}

#[test]
fn one_that_comes_later_finds_what_came_in_and_no_more() {
    all(|| {
        let at = At::with(each(10, 2), 2);
        let later = |at: &At| u32::from(at.bucket.take(at.now + Duration::from_nanos(10), 1).0.is_ok());
        let (one, other) = both(&at, later, later);
        assert_eq!(one + other, 1);
    });
}

/// The clock has gone back by hours: it begins again once, empty, whoever sees it first.
#[test]
fn two_that_see_the_clock_go_back_begin_again_once() {
    all(|| {
        let at = At::with(each(10, 2), 2);
        let earlier = at.now - Duration::from_secs(3_600);
        let ask = move |after: u64| move |at: &At| at.bucket.take(earlier + Duration::from_nanos(after), 1).0;
        let (one, other) = both(&at, ask(0), ask(5));
        assert!(one.is_err() && other.is_err());
        let (one, other) = both(&at, ask(15), ask(15));
        assert_eq!(u32::from(one.is_ok()) + u32::from(other.is_ok()), 1);
    });
}
