//! A bucket for each key, in a bounded number of places: what a key gets, whatever others do.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::time::Duration;

use kit_base::{Cause, End, Error, Gate, Judgement, Kind, Now, Origin};
use kit_ratelimit::{Keyed, KeyedPermit, Quota};

use crate::support::{ByHand, ms, quota};

/// A key, and what the call costs.
type Call = (u32, u32);

fn key(call: &Call) -> Option<u32> {
    Some(call.0)
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

    /// A call was not made: a gate inside had no room for it.
    fn not_made(&self, permit: KeyedPermit) {
        let mut judgement = Judgement::of_kind(Kind::Unavailable);
        judgement.origin = Origin::LocalRefusal;
        let now = self.now();
        let clock = move || now;
        let now = Now::new(&clock);
        Gate::<Call, (), Error>::finish(&self.gate, permit, &End::answered(&judgement, &now));
    }
}

#[test]
fn what_a_call_gives_back_is_nobody_elses() {
    let limit = by_number(quota(10, 10), 8).strict();
    (1..=7).for_each(|key| drop(limit.ask((key, 10)).unwrap()));
    let unmade = limit.ask((8, 10)).unwrap();
    limit.advance(ms(100));
    // Takes the place of 1, which has one token by then.
    limit.ask((9, 1)).unwrap();
    limit.not_made(unmade);
    assert_eq!(limit.pass(1, 20), 1);
}

#[test]
fn a_costly_call_does_not_bring_a_whole_burst_back() {
    let limit = by_number(quota(10, 10), 8);
    for round in 0..100 {
        let passed = limit.ask((0, 10)).is_ok();
        assert_eq!(passed, round == 0, "in round {round}");
        // All eight places go to others that have nothing left.
        (1..=8).for_each(|key| drop(limit.ask((100 * round + key, 10))));
        (1..=8).for_each(|key| assert!(limit.pass(100 * round + 10 + key, 100) > 0));
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
        assert_eq!(limit.pass(0, 20), 1, "in round {round}");
        for other in others.by_ref().take(7) {
            assert_eq!(limit.pass(other, 20), 1);
            assert_eq!(limit.pass(0, 20), 0, "in round {round}");
        }
        assert_eq!(limit.pass(others.next().unwrap(), 20), 1);
    }
}

#[test]
fn nobody_waits_for_a_clock_that_went_back_to_catch_up() {
    for strict in [false, true] {
        let limit = by_number(quota(10, 10), 8);
        let limit = if strict { limit.strict() } else { limit };
        limit.go_to(Duration::from_secs(7_200));
        (1..=12).for_each(|key| drop(limit.pass(key, 20)));
        limit.go_to(Duration::from_secs(0));
        // Keys with a place, without one, and new ones.
        (1..=20).for_each(|key| drop(limit.pass(key, 20)));
        for second in 1..=3 {
            limit.go_to(Duration::from_secs(second));
            assert_eq!(limit.pass(second as u32, 20), 10, "strict: {strict}");
        }
        assert_eq!(limit.pass(50, 20), 10, "strict: {strict}");
    }
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
        (2..=8).for_each(|key| drop(limit.ask((key, 10))));
        assert_eq!(left(9), 6);
        limit.pass(1, 6);
        assert_eq!(left(9), if strict { 0 } else { 1 });
        assert_eq!(limit.pass(9, 20), if strict { 0 } else { 1 });
    }
}

#[expect(dead_code, reason = "TODO")]
fn unused<T: Hash>(_: Cause) {}
