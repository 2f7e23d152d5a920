//! Forced states, and settings that change.

use crate::circuit::{Admission, Circuit};
use crate::support::{
    AGAIN, DUE, LIMITS, admitted, all, both, closed, fails, half_open, interrupted, open, opens, phase, probes, three,
};
use crate::word::{CLEARED, Phase, WINDOWED};

#[test]
fn what_is_forced_stays_while_calls_fail_succeed_and_ask() {
    for forced in [Phase::ForcedOpen, Phase::ForcedClosed, Phase::Disabled] {
        interrupted(3, move || {
            let (circuit, probe) = half_open(0, &LIMITS);
            three(
                &circuit,
                move |circuit: &Circuit| fails(circuit, probe, &LIMITS, AGAIN),
                move |circuit: &Circuit| circuit.success(probe, false, &LIMITS, 30),
                move |circuit| circuit.force(forced),
            );
            assert_eq!(phase(&circuit), forced);
            assert_eq!(circuit.word().failures(), 0);
        });
        all(move || {
            let circuit = open(0);
            let (asked, ()) =
                both(&circuit, |circuit: &Circuit| circuit.admit(&LIMITS, DUE), |circuit| circuit.force(forced));
            assert_eq!(phase(&circuit), forced);
            if let Some(generation) = admitted(asked) {
                assert!(!fails(&circuit, generation, &LIMITS, AGAIN));
            }
            assert_eq!(phase(&circuit), forced);
        });
    }
}

#[test]
fn nothing_is_left_half_opened_when_it_is_forced_and_reset_as_it_opens() {
    interrupted(3, || {
        let circuit = closed(0);
        let (_, (), ()) = three(
            &circuit,
            |circuit: &Circuit| fails(circuit, 0, &LIMITS, AGAIN),
            |circuit: &Circuit| circuit.force(Phase::ForcedOpen),
            |circuit| circuit.force(Phase::Closed),
        );
        match phase(&circuit) {
            Phase::ForcedOpen => {}
            Phase::Closed => assert_eq!(circuit.word().failures(), 0),
            // The failure came last only if somebody forced nothing after it.
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn whoever_opens_it_does_not_open_what_was_forced_meanwhile() {
    for forced in [Phase::ForcedClosed, Phase::Closed] {
        all(move || {
            let circuit = closed(0);
            let tripped = circuit.trip(0).expect("it was closed");
            let open = move |circuit: &Circuit| circuit.open(tripped, AGAIN);
            both(&circuit, open, move |circuit| circuit.force(forced));
            assert_eq!(phase(&circuit), forced);
        });
    }
}

#[test]
fn flags_arrive_in_whatever_happens() {
    const FLAGS: u64 = CLEARED | WINDOWED;
    // While it begins.
    all(|| {
        let circuit = open(0);
        let set = |circuit: &Circuit| circuit.set_flags(FLAGS);
        let ((), asked) = both(&circuit, set, |circuit| circuit.admit(&LIMITS, DUE));
        assert!(matches!(asked, Admission::Counted { began: true, .. }), "{asked:?}");
        assert!(circuit.word().has(CLEARED) && circuit.word().has(WINDOWED));
        assert_eq!(probes(&circuit).running, 1);
    });
    // While it opens.
    all(|| {
        let circuit = closed(0);
        let set = |circuit: &Circuit| circuit.set_flags(FLAGS);
        let ((), opened) = both(&circuit, set, |circuit| fails(circuit, 0, &LIMITS, AGAIN));
        assert!(circuit.word().has(CLEARED) && circuit.word().has(WINDOWED));
        assert_eq!(phase(&circuit), if opened { Phase::Open } else { Phase::Closed });
        assert!(!opened || circuit.moment() == AGAIN);
    });
    // While it closes, and is opened once more.
    interrupted(3, || {
        let (circuit, probe) = half_open(0, &LIMITS);
        let ((), closes, opened) = three(
            &circuit,
            |circuit: &Circuit| circuit.set_flags(FLAGS),
            move |circuit: &Circuit| circuit.success(probe, false, &LIMITS, 30),
            move |circuit| opens(circuit, probe, AGAIN),
        );
        assert!(closes != opened);
        assert!(circuit.word().has(CLEARED) && circuit.word().has(WINDOWED));
        assert_eq!(phase(&circuit), if opened { Phase::Open } else { Phase::Closed });
    });
}

#[test]
fn two_changes_leave_the_flags_of_one_of_them() {
    all(|| {
        let circuit = closed(0);
        both(&circuit, |circuit: &Circuit| circuit.set_flags(CLEARED), |circuit| circuit.set_flags(WINDOWED));
        assert!(circuit.word().has(CLEARED) != circuit.word().has(WINDOWED));
    });
}
