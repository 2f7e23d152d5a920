//! Clocks stand still until they are moved.

use std::time::Duration;

use kit_base::Clock;
use kit_testing::clock::{ManualClock, tokio_clock};

#[test]
fn a_manual_clock_moves_by_hand_alone_and_for_all_of_its_clones() {
    let clock = ManualClock::new();
    let clone = clock.clone();
    let start = clock.now();
    assert_eq!(clock.now(), start);
    clone.advance(Duration::from_nanos(1));
    clock.advance(Duration::from_secs(3600));
    assert_eq!(clock.now(), start + Duration::new(3600, 1));
    assert_eq!(clone.now(), clock.now());
    assert_eq!(clock.elapsed(), Duration::new(3600, 1));
}

#[test]
#[should_panic(expected = "ends after 584 years")]
fn a_manual_clock_does_not_wrap_around() {
    let clock = ManualClock::new();
    clock.advance(Duration::from_nanos(u64::MAX));
    clock.advance(Duration::from_nanos(1));
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_tokio_is_paused_with_it() {
    let clock = tokio_clock();
    let start = clock.now();
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    assert_eq!(clock.now() - start, Duration::from_secs(86_400));
    tokio::time::advance(Duration::from_millis(5)).await;
    assert_eq!(clock.now() - start, Duration::new(86_400, 5_000_000));
}
