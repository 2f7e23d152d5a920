//! The published step tables of other limiters, followed step by step where they mean the same.
//!
//! - golang.org/x/time/rate, what Go kit's limiters wrap: its table tests of `AllowN`, `SetLimitAt` and `SetBurstAt`.
//! - throttled/throttled (Go), a limiter by GCRA: its table of limit, remaining, reset and retry-after.
//! - redis-cell, the same in Redis: the answers in its documentation.
//! - The virtual scheduling algorithm of ITU-T I.371, as a textbook works it through (Perros, Connection-Oriented Networks).
//!
//! What differs, each with a test below:
//!
//! - A small jump back: x/time/rate goes on from the older moment, and gives the tokens of the time in between twice. Here it is
//!   what an old reading by another thread is too, and gives none.
//! - A burst larger than before: x/time/rate keeps the tokens, and so does a limit here; smaller: it cuts them at the next call,
//!   here at once.
//! - A rate of zero, or without limit: no quota here. Whoever wants neither puts no limit there.
//! - `ReserveN`, `WaitN`: a `Delay` waits; a gate neither goes into debt nor reserves. What a call takes, it has.
//! - `AllowN` of nothing is let in by both.
//! - throttled shows how it stands to a call that costs nothing; here such a call does not look, and `standing_at` does.
//! - redis-cell tells seconds, rounded down and one added; here all times are exact.

use std::time::Duration;

use kit_base::RetryHint;
use kit_ratelimit::{Limited, Quota, nonzero};

use crate::kinds::{Any, kinds, one};
use crate::support::{ByHand, ms, nz, quota};

/// x/time/rate's unit of time.
const D: u64 = 100;

/// Its steps: the moment, how many tokens, and whether they are there.
#[track_caller]
fn allow(limit: &ByHand<Any>, steps: &[(u64, u32, bool)]) {
    for (step, &(moment, cost, ok)) in steps.iter().enumerate() {
        limit.go_to(ms(moment * D));
        assert_eq!(limit.ask(cost).is_ok(), ok, "step {step}: {cost} at t{moment}");
    }
}

#[test]
fn of_x_time_rate_burst_1() {
    for limit in kinds(quota(10, 1)) {
        allow(
            &limit,
            &[
                (0, 1, true),
                (0, 1, false),
                (0, 1, false),
                (1, 1, true),
                (1, 1, false),
                (1, 1, false),
                (2, 2, false),
                (2, 1, true),
                (2, 1, false),
            ],
        );
    }
}

#[test]
fn of_x_time_rate_burst_3() {
    for limit in kinds(quota(10, 3)) {
        allow(
            &limit,
            &[
                (0, 2, true),
                (0, 2, false),
                (0, 1, true),
                (0, 1, false),
                (1, 4, false),
                (2, 1, true),
                (3, 1, true),
                (4, 1, true),
                (4, 1, true),
                (4, 1, false),
                (4, 1, false),
                (9, 3, true),
                (9, 0, true),
            ],
        );
    }
}

/// A difference: x/time/rate lets two in after the jump back, as here, and then one more at t1, for the time from t0 to t1, which
/// had passed before.
#[test]
fn of_x_time_rate_a_jump_backwards_gives_nothing_twice() {
    for limit in kinds(quota(10, 3)) {
        allow(
            &limit,
            &[
                (1, 1, true),
                // Two are left as of t1, and one as of t0.
                (0, 1, true),
                (0, 1, false),
                (0, 1, false),
                (1, 1, true),
                (1, 1, false),
                (1, 1, false),
                (2, 1, true),
                (2, 1, false),
                (2, 1, false),
            ],
        );
    }
}

/// Its issue 34861: a rate of one in 1.3 s, whose first call was refused by a rounding error.
#[test]
fn of_x_time_rate_no_truncation_errors() {
    for limit in kinds(Quota::per(nonzero!(1), ms(1_300)).unwrap()) {
        assert!(limit.passes());
        limit.advance(ms(1_300));
        assert!(limit.passes());
    }
}

#[test]
fn of_x_time_rate_every() {
    for (interval, rate) in [
        (Duration::from_nanos(1), 1_000_000_000),
        (Duration::from_micros(1), 1_000_000),
        (ms(1), 1_000),
        (ms(10), 100),
        (ms(100), 10),
        (ms(1_000), 1),
    ] {
        assert_eq!(Quota::per_second(nz(rate)).interval(), interval);
        assert_eq!(Quota::per(nonzero!(1), interval).unwrap().interval(), interval);
    }
    for interval in [2_000, 2_500, 4_000, 10_000] {
        assert_eq!(Quota::per(nonzero!(1), ms(interval)).unwrap().interval(), ms(interval));
    }
    assert_eq!(Quota::per(nonzero!(5), ms(2_000)).unwrap().interval(), ms(400));
    // No interval is no rate without limit, and none that never comes.
    assert!(Quota::per(nonzero!(1), Duration::ZERO).is_err());
    assert!(Quota::per(nonzero!(1), Duration::MAX).is_err());
}

/// The steps of its mixed table that ask: its reservations of tokens that are there are calls like others.
#[test]
fn of_x_time_rate_mix() {
    for limit in kinds(quota(10, 2)) {
        // It asks for 2 at t1 in advance too; here they are there at t2.
        allow(&limit, &[(0, 3, false), (0, 2, true), (1, 2, false), (2, 2, true), (2, 1, false), (3, 1, true)]);
    }
}

/// A cancelled reservation gives back what it took; as does a call here that was not made.
#[test]
fn of_x_time_rate_cancel_last() {
    for limit in kinds(quota(10, 2)) {
        let permit = limit.ask(2_u32).unwrap();
        allow(&limit, &[(0, 1, false)]);
        limit.not_made::<()>(permit);
        allow(&limit, &[(0, 2, true), (0, 1, false)]);
        // Too late, it has no effect: what was taken has come in again.
        limit.go_to(ms(3 * D));
        let permit = limit.ask(2_u32).unwrap();
        limit.go_to(ms(9 * D));
        limit.not_made::<()>(permit);
        allow(&limit, &[(9, 2, true), (9, 1, false)]);
    }
}

#[test]
fn of_x_time_rate_set_limit() {
    // Empty at t0; one of 5 a second by t2, and the rest at 10 a second.
    for limit in kinds(quota(5, 2)) {
        allow(&limit, &[(0, 2, true), (2, 2, false)]);
        limit.gate.change_at(quota(10, 2), limit.now());
        allow(&limit, &[(2, 1, true), (2, 1, false), (3, 1, true), (3, 1, false)]);
    }
}

/// Two come in by t4, and then up to four.
#[test]
fn of_x_time_rate_set_burst() {
    for limit in kinds(quota(5, 2)) {
        allow(&limit, &[(0, 2, true)]);
        limit.go_to(ms(3 * D));
        limit.gate.change_at(quota(5, 4), limit.now());
        allow(&limit, &[(3, 2, false), (4, 3, false), (6, 4, false), (8, 4, true), (8, 1, false)]);
    }
    // A smaller one holds at once.
    for limit in kinds(quota(5, 4)) {
        limit.gate.change_at(quota(5, 2), limit.now());
        assert_eq!(limit.gate.standing_at(limit.now()).remaining, 2);
        allow(&limit, &[(0, 3, false), (0, 2, true), (0, 1, false)]);
    }
}

/// throttled's table: the moment in ms, the cost; whether it is limited, how many remain, when it is full, when to come back.
#[test]
fn of_throttled_rate_limit() {
    let steps = [
        (0, 6_u32, true, 5, 0, None),
        (0, 1, false, 4, 1_000, None),
        (0, 1, false, 3, 2_000, None),
        (0, 1, false, 2, 3_000, None),
        (0, 1, false, 1, 4_000, None),
        (0, 1, false, 0, 5_000, None),
        (0, 1, true, 0, 5_000, Some(1_000)),
        (3_000, 1, false, 2, 3_000, None),
        (3_100, 1, false, 1, 3_900, None),
        (4_000, 1, false, 1, 4_000, None),
        (8_000, 1, false, 4, 1_000, None),
        (9_500, 1, false, 4, 1_000, None),
        (9_500, 0, false, 4, 1_000, None),
        (9_500, 2, false, 2, 3_000, None),
        (9_500, 5, true, 2, 3_000, Some(3_000)),
    ];
    for limit in kinds(quota(1, 5)) {
        for (step, (moment, cost, limited, remaining, reset, retry)) in steps.into_iter().enumerate() {
            limit.go_to(ms(moment));
            let asked = limit.ask(cost);
            assert_eq!(asked.is_err(), limited, "step {step}");
            let stands = limit.gate.standing_at(limit.now());
            assert_eq!((stands.limit.get(), stands.remaining, stands.reset), (5, remaining, ms(reset)), "step {step}");
            if let Err(refusal) = asked {
                assert_eq!(refusal.retry_after(), retry.map(ms), "step {step}");
                assert_eq!(refusal.retry_hint() == RetryHint::Never, retry.is_none(), "step {step}");
                assert_eq!(Limited::of(&refusal).unwrap().standing, stands, "step {step}");
            }
        }
    }
}

/// `CL.THROTTLE user123 15 30 60` allows 15 beside the first, of 30 in 60 s; and `CL.THROTTLE user123 0 1 10` one in 10 s.
#[test]
fn of_redis_cell_throttle() {
    for limit in kinds(Quota::per_minute(nonzero!(30)).with_burst(nonzero!(16))) {
        assert!(limit.passes());
        let stands = limit.gate.standing_at(limit.now());
        assert_eq!((stands.limit.get(), stands.remaining, stands.reset), (16, 15, ms(2_000)));
        assert_eq!(limit.pass_of(99), 15);
        assert_eq!(limit.refused(), Some(ms(2_000)));
    }
    for limit in kinds(Quota::per(nonzero!(1), ms(10_000)).unwrap()) {
        assert!(limit.passes());
        assert_eq!(limit.refused(), Some(ms(10_000)));
        let stands = limit.gate.standing_at(limit.now());
        assert_eq!((stands.limit.get(), stands.remaining, stands.reset), (1, 0, ms(10_000)));
    }
}

/// An increment of 10 and a tolerance of 15: cells at 0, 12, 18 and 20 conform, one at 25 does not.
///
/// A tolerance is a bucket of tolerance and increment together: 25. Tokens are put at 5 each here, and a cell costs two.
#[test]
fn of_the_virtual_scheduling_algorithm() {
    for limit in kinds(Quota::per(nonzero!(1), ms(5)).unwrap().with_burst(nonzero!(5))) {
        for (cell, conforms) in [(0, true), (12, true), (18, true), (20, true), (25, false)] {
            limit.go_to(ms(cell));
            assert_eq!(limit.ask(2_u32).is_ok(), conforms, "the cell at {cell}");
        }
        // The theoretical arrival time is 42: from 27 on, a cell is no earlier than is tolerated.
        limit.go_to(ms(26));
        assert!(limit.ask(2_u32).is_err());
        limit.go_to(ms(27));
        assert!(limit.ask(2_u32).is_ok());
    }
}

/// Without tolerance, cells at the increment or later conform, and none that is earlier; and an early cell costs nothing.
#[test]
fn of_the_virtual_scheduling_algorithm_without_tolerance() {
    let limit = ByHand::over(one(Quota::per(nonzero!(1), ms(10)).unwrap()));
    for (cell, conforms) in
        [(0, true), (9, false), (10, true), (19, false), (20, true), (45, true), (50, false), (55, true)]
    {
        limit.go_to(ms(cell));
        assert_eq!(limit.passes(), conforms, "the cell at {cell}");
    }
}
