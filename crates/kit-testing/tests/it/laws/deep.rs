//! The checker itself: no false alarm in a thousand seeds, no check that takes long, and the same report each time.

use std::time::{Duration, Instant};

use super::broken;

/// What the check of one layer may take in a debug build.
const LONGEST: Duration = Duration::from_secs(2);

#[test]
#[ignore = "long"]
fn a_thousand_seeds_accuse_no_correct_layer() {
    let (mut layers, mut runs) = (0, 0);
    let began = Instant::now();
    for (name, twin) in broken::twins() {
        let report = twin.seeds(1000).report();
        assert!(report.findings().is_empty(), "{name} is correct, and accused\n{report}");
        layers += 1;
        runs += report.runs();
    }
    println!("{layers} correct layers, {runs} runs in {:.1?}, and no false alarm", began.elapsed());
}

#[test]
fn the_check_of_a_layer_takes_at_most_two_seconds() {
    for index in 0..broken::twins().len() {
        let (mut name, mut quickest) = ("", Duration::MAX);
        // The machine may be busy with other tests, and more than them, so a slow check has more tries.
        for _ in 0..10 {
            if quickest > LONGEST {
                let (twin_name, twin) = broken::twins().swap_remove(index);
                let began = Instant::now();
                let runs = twin.report().runs();
                (name, quickest) = (twin_name, began.elapsed());
                println!("{name}: {quickest:.1?} for {runs} runs");
            }
        }
        assert!(quickest <= LONGEST, "{name} takes {quickest:.1?}");
    }
}

/// Races of threads aside.
#[test]
fn two_reports_on_one_layer_are_the_same() {
    for ((name, once), (_, again)) in broken::some().into_iter().zip(broken::some()) {
        let (once, again) = (once.without_threads().report(), again.without_threads().report());
        assert!(!once.findings().is_empty(), "{name} is broken");
        assert_eq!(once.findings().len(), again.findings().len(), "{name}\n{once}\n{again}");
        assert_eq!(once.runs(), again.runs(), "{name}");
        for (one, other) in once.findings().iter().zip(again.findings()) {
            assert_eq!((one.law(), one.seed(), one.found()), (other.law(), other.seed(), other.found()), "{name}");
            assert_eq!(one.steps(), other.steps(), "{name}");
        }
    }
}
