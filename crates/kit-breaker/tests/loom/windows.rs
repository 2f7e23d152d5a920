//! Windows, in which calls are counted without a lock.

use std::time::Duration;

use loom::sync::Arc;
use loom::thread;

use crate::support::{all, interrupted};
use crate::window::{Calls, Slices, Tally};

/// What two windows have in common.
trait Counts: Send + Sync + 'static {
    fn record(&self, generation: u32, failed: bool);
    fn tally(&self, generation: u32) -> Tally;
}

impl Counts for Calls {
    fn record(&self, generation: u32, failed: bool) {
        self.record(generation, failed, false);
    }

    fn tally(&self, generation: u32) -> Tally {
        self.tally(generation)
    }
}

impl Counts for Slices {
    fn record(&self, generation: u32, failed: bool) {
        self.record(generation, 1, failed, false);
    }

    fn tally(&self, generation: u32) -> Tally {
        self.tally(generation, 1)
    }
}

/// Of two that are slow at once, one at least sees both, and nobody sees a greater share than there is.
#[test]
fn of_two_that_are_slow_at_once_one_sees_both() {
    fn one_sees_both<W: Send + Sync + 'static>(make: fn() -> W, slow: fn(&W) -> Tally) {
        all(move || {
            let window = Arc::new(make());
            let shared = Arc::clone(&window);
            let one = thread::spawn(move || slow(&shared));
            let other = slow(&window);
            let one = one.join().expect("it ends");
            let both = |tally: &Tally| (tally.calls, tally.slow) == (2, 2);
            assert!(both(&one) || both(&other), "{one:?} {other:?}");
            assert!(one.slow <= one.calls && other.slow <= other.calls, "{one:?} {other:?}");
        });
    }
    let calls = |window: &Calls| {
        window.record(0, false, true);
        window.tally(0)
    };
    one_sees_both(|| Calls::new(4).and_slow(), calls);
    let slices = |window: &Slices| {
        window.record(0, 1, false, true);
        window.tally(0, 1)
    };
    one_sees_both(|| Slices::whole().and_slow(), slices);
}

/// Of two that fail at once, one at least sees both failures, so that no two failures are overlooked.
fn one_of_two_sees_both<W: Counts>(make: fn() -> W) {
    all(move || {
        let window = Arc::new(make());
        let fail = |window: &W| {
            window.record(0, true);
            window.tally(0)
        };
        let shared = Arc::clone(&window);
        let one = thread::spawn(move || fail(&shared));
        let other = fail(&window);
        let one = one.join().expect("it ends");
        let both = |tally: &Tally| (tally.calls, tally.failures) == (2, 2);
        assert!(both(&one) || both(&other), "{one:?} {other:?}");
        assert!(one.failures <= one.calls && other.failures <= other.calls, "{one:?} {other:?}");
        assert!(both(&window.tally(0)));
    });
}

#[test]
fn of_two_that_fail_at_once_one_sees_both() {
    one_of_two_sees_both(|| Calls::new(4));
    one_of_two_sees_both(Slices::whole);
    one_of_two_sees_both(|| Slices::sliding(Duration::from_millis(1)));
}

#[test]
fn of_two_that_fail_in_two_words_of_the_ring_one_sees_both() {
    all(|| {
        let window = Arc::new(Calls::new(64));
        for _ in 0..31 {
            window.record(0, false, false);
        }
        let fail = |window: &Calls| {
            window.record(0, true, false);
            window.tally(0).failures
        };
        let shared = Arc::clone(&window);
        let one = thread::spawn(move || fail(&shared));
        let other = fail(&window);
        let one = one.join().unwrap();
        assert_eq!(one.max(other), 2, "{one} {other}");
    });
}

#[test]
fn of_two_that_fail_in_two_slices_of_time_one_sees_both() {
    all(|| {
        let window = Arc::new(Slices::sliding(Duration::from_nanos(10)));
        let fail = |window: &Slices, now| {
            window.record(0, now, true, false);
            window.tally(0, 2).failures
        };
        let shared = Arc::clone(&window);
        let one = thread::spawn(move || fail(&shared, 1));
        let other = fail(&window, 2);
        let one = one.join().unwrap();
        assert_eq!(one.max(other), 2, "{one} {other}");
    });
}

#[test]
fn what_an_older_generation_brings_is_not_counted_in_a_newer() {
    fn never_mixed<W: Counts>(make: fn() -> W) {
        interrupted(4, move || {
            let window = Arc::new(make());
            window.record(1, true);
            let shared = Arc::clone(&window);
            let old = thread::spawn(move || shared.record(1, true));
            window.record(2, false);
            let seen = window.tally(2);
            assert_eq!((seen.calls, seen.failures), (1, 0));
            window.record(2, true);
            old.join().unwrap();
            let seen = window.tally(2);
            assert_eq!((seen.calls, seen.failures), (2, 1));
        });
    }
    never_mixed(|| Calls::new(4));
    never_mixed(Slices::whole);
    never_mixed(|| Slices::sliding(Duration::from_millis(1)));
}

/// It begins with the generation 0, of which half of all others are before: none of them is taken for one that comes too late.
#[test]
fn a_window_that_begins_after_many_generations_counts_them() {
    const ALL: u32 = 1 << 28;
    fn counts<W: Counts>(make: fn() -> W) {
        for generation in [1, ALL / 2 - 1, ALL / 2, ALL / 2 + 1, ALL - (1 << 20)] {
            all(move || {
                let window = make();
                window.record(generation, true);
                let seen = window.tally(generation);
                assert_eq!((seen.calls, seen.failures), (1, 1), "{generation}");
            });
        }
    }
    counts(|| Calls::new(4));
    counts(Slices::whole);
    counts(|| Slices::sliding(Duration::from_millis(1)));
}

#[test]
fn three_at_once_are_three() {
    fn all_counted<W: Counts>(make: fn() -> W) {
        interrupted(2, move || {
            let window = Arc::new(make());
            let calls: Vec<_> = [true, false]
                .into_iter()
                .map(|failed| {
                    let shared = Arc::clone(&window);
                    thread::spawn(move || shared.record(0, failed))
                })
                .collect();
            window.record(0, true);
            for call in calls {
                call.join().unwrap();
            }
            let seen = window.tally(0);
            assert_eq!((seen.calls, seen.failures), (3, 2));
        });
    }
    all_counted(|| Calls::new(3));
    all_counted(Slices::whole);
}
