//! Time, right to the tick.

use std::time::Duration;

use kit_breaker::{Settings, State, Window};

use crate::support::ByHand;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn a_window_of(time: Duration) -> Settings {
    Settings::new().failure_rate(1.0).window(Window::Time(time)).min_calls(3)
}

#[test]
fn a_window_of_time_sees_what_comes_after_however_long_a_quiet() {
    for (window, quiet) in [(ms(1), ms(1_000_000)), (ms(100), DAY), (ms(1_000), DAY * 10), (ms(10_000), DAY * 100)] {
        let by_hand = ByHand::new(a_window_of(window));
        for _ in 0..10 {
            by_hand.succeed(by_hand.begin());
            by_hand.advance(window / 10);
        }
        by_hand.advance(quiet);
        for _ in 0..3 {
            by_hand.fail(by_hand.begin());
        }
        assert_eq!(by_hand.state(), State::Open, "{window:?} after {quiet:?}");
    }
}

#[test]
fn a_window_that_begins_late_sees_as_well() {
    let by_hand = ByHand::new(Settings::gobreaker());
    by_hand.advance(DAY * 10);
    by_hand.breaker.change(a_window_of(ms(1_000))).unwrap();
    for _ in 0..3 {
        by_hand.fail(by_hand.begin());
    }
    assert_eq!(by_hand.state(), State::Open);
}
