//! Probes that are without an answer for too long.

use crate::circuit::{Admission, Circuit, Limits};
use crate::support::{AGAIN, EXPIRED, LIMITS, admitted, all, both, half_open, interrupted, opens, phase, three};
use crate::word::{CLEARED, Phase};

/// What the breaker does with a caller: it opens the circuit for him if the probes are lost, and asks again.
fn call(circuit: &Circuit, limits: &Limits, told: &mut Vec<&'static str>) -> Admission {
    loop {
        match circuit.admit(limits, EXPIRED) {
            Admission::Lost { generation } => {
                if opens(circuit, generation, AGAIN) {
                    told.push("opened");
                }
            }
            Admission::Closed => told.push("closed"),
            admission => return admission,
        }
    }
}

#[test]
fn a_lost_probe_is_given_up_by_one_of_two_callers() {
    all(|| {
        let (circuit, _) = half_open(0, &LIMITS);
        let ask = |circuit: &Circuit| {
            let mut told = Vec::new();
            assert_eq!(admitted(call(circuit, &LIMITS, &mut told)), None);
            told.len()
        };
        let (one, other) = both(&circuit, ask, ask);
        assert_eq!(one + other, 1);
        assert_eq!((phase(&circuit), circuit.moment()), (Phase::Open, AGAIN));
    });
}

#[test]
fn a_success_that_comes_as_the_probe_is_given_up_closes_it_or_is_ignored() {
    all(|| {
        let (circuit, probe) = half_open(0, &LIMITS);
        let succeed = move |circuit: &Circuit| circuit.success(probe, false, &LIMITS, 30);
        let mut told = Vec::new();
        let (closes, admission) = both(&circuit, succeed, |circuit| call(circuit, &LIMITS, &mut told));
        if closes {
            assert_eq!((told.as_slice(), phase(&circuit)), (&[][..], Phase::Closed));
            assert!(matches!(admission, Admission::Counted { probe: false, .. }), "{admission:?}");
        } else {
            assert_eq!((told.as_slice(), phase(&circuit)), (&["opened"][..], Phase::Open));
            assert_eq!(admitted(admission), None);
        }
    });
}

#[test]
fn a_stream_that_goes_on_closes_it_once_and_ends_as_it_likes() {
    interrupted(3, || {
        let (circuit, probe) = half_open(0, &LIMITS);
        assert!(circuit.answered(probe));
        let ask = |circuit: &Circuit| {
            let mut told = Vec::new();
            let admission = call(circuit, &LIMITS, &mut told);
            assert!(matches!(admission, Admission::Counted { probe: false, .. }), "{admission:?}");
            assert!(!told.contains(&"opened"), "{told:?}");
            told.len()
        };
        let succeed = move |circuit: &Circuit| usize::from(circuit.success(probe, true, &LIMITS, 30));
        let (one, two, success) = three(&circuit, ask, ask, succeed);
        assert_eq!(one + two + success, 1);
        assert_eq!(phase(&circuit), Phase::Closed);
    });
}

#[test]
fn a_stream_that_breaks_as_it_is_taken_for_a_success_opens_it_or_is_ignored() {
    all(|| {
        let (circuit, probe) = half_open(0, &LIMITS);
        assert!(circuit.answered(probe));
        let fail = move |circuit: &Circuit| crate::support::fails(circuit, probe, &LIMITS, AGAIN);
        let mut told = Vec::new();
        let (opened, admission) = both(&circuit, fail, |circuit| call(circuit, &LIMITS, &mut told));
        assert_eq!(opened, told.is_empty(), "{told:?}");
        assert_eq!(phase(&circuit), if opened { Phase::Open } else { Phase::Closed });
        assert_eq!(admitted(admission).is_some(), !opened);
    });
}

#[test]
fn a_circuit_that_a_stream_has_closed_forgets_when_it_should() {
    all(|| {
        let (circuit, probe) = half_open(CLEARED, &LIMITS);
        assert!(circuit.answered(probe));
        let ask = |circuit: &Circuit| admitted(call(circuit, &LIMITS, &mut Vec::new())).is_some();
        let _ = both(&circuit, ask, ask);
        assert!(ask(&circuit));
        assert_eq!((phase(&circuit), circuit.moment()), (Phase::Closed, EXPIRED + LIMITS.clear_every));
    });
}

#[test]
fn a_head_that_arrives_as_the_probe_is_given_up_is_seen_or_ignored() {
    all(|| {
        let (circuit, probe) = half_open(0, &LIMITS);
        let answer = move |circuit: &Circuit| circuit.answered(probe);
        let mut told = Vec::new();
        let (counted, _) = both(&circuit, answer, |circuit| call(circuit, &LIMITS, &mut told));
        match told.as_slice() {
            ["closed"] => assert!(counted && phase(&circuit) == Phase::Closed),
            // It may have come after the last look.
            ["opened"] => assert_eq!(phase(&circuit), Phase::Open),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_probe_that_begins_as_another_is_given_up_is_the_only_one_or_is_given_up_too() {
    all(|| {
        let (circuit, probe) = half_open(0, &LIMITS);
        let ask = |circuit: &Circuit| admitted(call(circuit, &LIMITS, &mut Vec::new()));
        let (asked, next) = both(&circuit, ask, move |circuit| {
            circuit.give_back(probe, false);
            admitted(circuit.admit(&LIMITS, EXPIRED))
        });
        assert!(asked.is_none() || next.is_none());
        match phase(&circuit) {
            // What it brings is ignored then, as if it had begun before.
            Phase::Open => assert_eq!((asked, circuit.moment()), (None, AGAIN)),
            Phase::HalfOpen => assert_eq!((circuit.word().probes().running, asked.or(next)), (1, Some(probe))),
            other => panic!("{other:?}"),
        }
    });
}
