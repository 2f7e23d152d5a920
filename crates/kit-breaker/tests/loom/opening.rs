//! Closed to open.

use crate::circuit::{Admission, Circuit, Limits};
use crate::support::{
    AGAIN, LIMITS, UNTIL, admitted, all, both, closed, fails, half_open, interrupted, open, opens, phase, three,
};
use crate::word::Phase;

#[test]
fn two_failing_callers_open_it_once() {
    for most in [1, 2] {
        all(move || {
            let limits = Limits { consecutive: Some(most), ..LIMITS };
            let circuit = closed(0);
            let call = move |circuit: &_| {
                admitted(Circuit::admit(circuit, &limits, 1))
                    .is_some_and(|generation| fails(circuit, generation, &limits, UNTIL))
            };
            let (one, other) = both(&circuit, call, call);
            assert_eq!(u32::from(one) + u32::from(other), 1, "{one} {other}");
            assert_eq!((phase(&circuit), circuit.moment()), (Phase::Open, UNTIL));
            assert_eq!(circuit.word().generation(), 1);
        });
    }
}

three_threads!(three_failing_callers_open_it_once, 2, 3, || {
    let circuit = closed(0);
    let call = |circuit: &_| fails(circuit, 0, &LIMITS, UNTIL);
    let (one, two, three) = three(&circuit, call, call, call);
    assert_eq!([one, two, three].into_iter().filter(|&opened| opened).count(), 1);
    assert_eq!((phase(&circuit), circuit.moment()), (Phase::Open, UNTIL));
});

#[test]
fn whoever_is_refused_while_it_opens_is_told_the_right_time_or_none() {
    all(|| {
        // The moment of the probe, which is over, is of no use to anybody any more.
        let (circuit, probe) = half_open(0, &LIMITS);
        let fail = move |circuit: &_| fails(circuit, probe, &LIMITS, AGAIN);
        let (opened, admission) = both(&circuit, fail, |circuit| circuit.admit(&LIMITS, 100));
        assert!(opened);
        let Admission::Refused { wait: None | Some(4_900), forced: false } = admission else {
            panic!("{admission:?}");
        };
    });
}

#[test]
fn a_success_between_two_failures_comes_before_or_after_both() {
    all(|| {
        let limits = Limits { consecutive: Some(2), ..LIMITS };
        let circuit = closed(0);
        assert!(!circuit.failure(0, &limits));
        let succeed = move |circuit: &_| Circuit::success(circuit, 0, false, &limits, 30);
        let (closes, opened) = both(&circuit, succeed, |circuit| fails(circuit, 0, &limits, UNTIL));
        assert!(!closes);
        if opened {
            assert_eq!((phase(&circuit), circuit.moment()), (Phase::Open, UNTIL));
        } else {
            assert_eq!(phase(&circuit), Phase::Closed);
            assert!(circuit.word().failures() <= 1);
        }
    });
}

#[test]
fn what_an_older_generation_brings_does_nothing_to_a_newer() {
    // A success of long ago, while the probe fails.
    all(|| {
        let (circuit, probe) = half_open(0, &LIMITS);
        let succeed = |circuit: &_| Circuit::success(circuit, 0, false, &LIMITS, 30);
        let (closes, opened) = both(&circuit, succeed, |circuit| fails(circuit, probe, &LIMITS, AGAIN));
        assert!(!closes && opened);
        assert_eq!((phase(&circuit), circuit.moment()), (Phase::Open, AGAIN));
    });
    // A failure of long ago, while the probe succeeds.
    all(|| {
        let (circuit, probe) = half_open(0, &LIMITS);
        let fail = |circuit: &_| fails(circuit, 0, &LIMITS, AGAIN);
        let (opened, closes) = both(&circuit, fail, |circuit| circuit.success(probe, false, &LIMITS, 30));
        assert!(closes && !opened);
        assert_eq!((phase(&circuit), circuit.word().failures()), (Phase::Closed, 0));
    });
    // Both of long ago, while the first probe begins.
    all(|| {
        let circuit = open(0);
        let (opened, closes, begun) = three(
            &circuit,
            |circuit: &_| fails(circuit, 0, &LIMITS, AGAIN),
            |circuit: &_| Circuit::success(circuit, 0, false, &LIMITS, 30),
            |circuit| circuit.admit(&LIMITS, 20),
        );
        assert!(!opened && !closes);
        assert!(matches!(begun, Admission::Counted { probe: true, began: true, .. }), "{begun:?}");
        assert_eq!((phase(&circuit), circuit.word().probes().running), (Phase::HalfOpen, 1));
    });
}

#[test]
fn whoever_opened_it_before_it_was_reset_does_not_open_it_for_another() {
    all(|| {
        let circuit = closed(0);
        let before = circuit.trip(0).expect("it was closed");
        let open = move |circuit: &Circuit| circuit.open(before, UNTIL);
        let (opened, again) = both(&circuit, open, |circuit| {
            circuit.force(Phase::Closed);
            opens(circuit, circuit.word().generation(), AGAIN)
        });
        // It may have been open for a moment before.
        let _ = opened;
        assert!(again);
        assert_eq!((phase(&circuit), circuit.moment()), (Phase::Open, AGAIN));
    });
}
