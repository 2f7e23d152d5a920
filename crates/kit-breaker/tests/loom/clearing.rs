//! A closed circuit that forgets from time to time.

use crate::circuit::{Circuit, Limits, Nanos};
use crate::support::{
    AGAIN, DUE, LIMITS, UNTIL, admitted, all, both, closed, fails, half_open, interrupted, open, phase, three,
};
use crate::word::{CLEARED, Phase};
use loom::sync::Arc;

const THREE: Limits = Limits { consecutive: Some(3), ..LIMITS };

/// Due to forget at 101, with this many failures before.
fn used(failures: u32) -> Arc<Circuit> {
    let circuit = closed(CLEARED);
    assert_eq!(admitted(circuit.admit(&THREE, 1)), Some(0));
    assert_eq!(circuit.moment(), 101);
    for _ in 0..failures {
        assert!(!circuit.failure(0, &THREE));
    }
    circuit
}

fn ask(now: Nanos) -> impl Fn(&Circuit) -> u32 + Copy + 'static {
    move |circuit| admitted(circuit.admit(&THREE, now)).expect("it is closed")
}

#[test]
fn two_callers_forget_once() {
    all(|| {
        let circuit = used(2);
        let (one, other) = both(&circuit, ask(101), ask(101));
        // Whoever comes second may still be of the time before.
        assert!(one.max(other) == 1, "{one} {other}");
        assert_eq!((circuit.word().generation(), circuit.word().failures()), (1, 0));
        assert_eq!(circuit.moment(), 201);
    });
}

#[test]
fn two_callers_at_the_first_look_forget_nothing() {
    all(|| {
        let circuit = closed(CLEARED);
        let call = |circuit: &Circuit| {
            let generation = admitted(circuit.admit(&THREE, 1)).expect("it is closed");
            circuit.failure(generation, &THREE)
        };
        assert_eq!(both(&circuit, call, call), (false, false));
        assert_eq!((circuit.word().generation(), circuit.word().failures()), (0, 2));
    });
}

#[test]
fn the_last_failure_opens_it_or_is_forgotten() {
    all(|| {
        let circuit = used(2);
        let forget = |circuit: &Circuit| {
            let (moment, word) = circuit.look();
            circuit.forget(word, moment, &THREE, 101)
        };
        let (_, opened) = both(&circuit, forget, |circuit| fails(circuit, 0, &THREE, UNTIL));
        if opened {
            assert_eq!((phase(&circuit), circuit.moment()), (Phase::Open, UNTIL));
        } else {
            assert_eq!((phase(&circuit), circuit.word().failures()), (Phase::Closed, 0));
        }
    });
}

#[test]
fn a_circuit_that_closes_begins_to_count_its_time() {
    all(|| {
        let limits = Limits { probes: 2, successes: 1, ..LIMITS };
        let (circuit, probe) = half_open(CLEARED, &limits);
        let succeed = move |circuit: &Circuit| circuit.success(probe, false, &limits, 30);
        let ask = move |circuit: &Circuit| admitted(circuit.admit(&limits, 30));
        let (closes, asked) = both(&circuit, succeed, ask);
        assert!(closes && asked.is_some());
        assert_eq!((phase(&circuit), circuit.moment()), (Phase::Closed, 130));
    });
}

#[test]
fn a_circuit_that_is_reset_begins_to_count_its_time() {
    // Whether it was open for long, or about to be half-open.
    all(|| {
        let circuit = open(CLEARED);
        let reset = |circuit: &Circuit| circuit.force(Phase::Closed);
        let ((), asked) = both(&circuit, reset, |circuit| circuit.admit(&THREE, DUE));
        assert!(asked != crate::circuit::Admission::Uncounted);
        assert_eq!(phase(&circuit), Phase::Closed);
        let generation = circuit.word().generation();
        assert_eq!(admitted(circuit.admit(&THREE, DUE)), Some(generation));
        assert_eq!(circuit.moment(), DUE + THREE.clear_every);
    });
}

three_threads!(callers_of_one_time_forget_and_open_it_as_one, 1, 3, || {
    let circuit = used(2);
    let call = |circuit: &Circuit| {
        let generation = admitted(circuit.admit(&THREE, 101));
        generation.is_some_and(|generation| fails(circuit, generation, &THREE, AGAIN))
    };
    let (one, two, three) = three(&circuit, call, call, call);
    let opened = [one, two, three].into_iter().filter(|&opened| opened).count();
    match phase(&circuit) {
        Phase::Open => assert_eq!(opened, 1),
        Phase::Closed => assert_eq!(opened, 0),
        other => panic!("{other:?}"),
    }
});
