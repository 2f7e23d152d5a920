//! Open to half-open, and the places of probes.

use crate::circuit::{Admission, Circuit, Limits, Nanos};
use crate::support::{
    AGAIN, DUE, LIMITS, admitted, all, both, fails, half_open, interrupted, open, phase, probes, three,
};
use crate::word::{Phase, Probes};

const TWO: Limits = Limits { probes: 2, successes: 2, ..LIMITS };
const SOON: Admission = Admission::Refused { wait: None, forced: false };

fn ask(limits: Limits, now: Nanos) -> impl Fn(&Circuit) -> Admission + Copy + 'static {
    move |circuit| circuit.admit(&limits, now)
}

fn began(admission: &Admission) -> bool {
    matches!(admission, Admission::Counted { began: true, .. })
}

#[test]
fn of_two_callers_who_find_it_due_one_is_the_probe() {
    all(|| {
        let circuit = open(0);
        let (one, other) = both(&circuit, ask(LIMITS, DUE), ask(LIMITS, DUE));
        let (probe, refused) = if began(&one) { (one, other) } else { (other, one) };
        assert_eq!(probe, Admission::Counted { generation: 2, probe: true, began: true });
        // It is not told to stay away for as long as the probe may take.
        assert_eq!(refused, SOON);
        assert_eq!((phase(&circuit), probes(&circuit).running), (Phase::HalfOpen, 1));
        assert_eq!(circuit.moment(), DUE + LIMITS.probe_within);
    });
}

three_threads!(of_three_callers_who_find_it_due_one_is_the_probe, 2, 3, || {
    let circuit = open(0);
    let (one, two, three) = three(&circuit, ask(LIMITS, DUE), ask(LIMITS, DUE), ask(LIMITS, DUE));
    let all = [one, two, three];
    assert_eq!(all.iter().filter(|it| began(it)).count(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|&&it| it == SOON).count(), 2, "{all:?}");
    assert_eq!((phase(&circuit), probes(&circuit).running), (Phase::HalfOpen, 1));
});

#[test]
fn clocks_that_differ_make_no_second_probe() {
    all(|| {
        let circuit = open(0);
        let (late, early) = both(&circuit, ask(LIMITS, DUE), ask(LIMITS, 9));
        assert!(began(&late));
        assert!(matches!(early, Admission::Refused { wait: None | Some(1), .. }), "{early:?}");
    });
}

three_threads!(of_three_callers_two_are_the_two_probes_at_most, 2, 3, || {
    let circuit = open(0);
    let (one, two, three) = three(&circuit, ask(TWO, DUE), ask(TWO, DUE), ask(TWO, DUE));
    let all = [one, two, three];
    let inside = all.iter().filter(|&&it| admitted(it).is_some()).count();
    assert!((1..=2).contains(&inside), "{all:?}");
    assert_eq!(all.iter().filter(|it| began(it)).count(), 1, "{all:?}");
    assert_eq!(probes(&circuit).running as usize, inside);
});

#[test]
fn the_last_place_goes_to_exactly_one() {
    // However many successes it needs.
    for successes in [2, 5] {
        the_last_place(Limits { successes, ..TWO });
    }
}

fn the_last_place(two: Limits) {
    all(move || {
        let (circuit, _) = half_open(0, &two);
        let (one, other) = both(&circuit, ask(two, 30), ask(two, 31));
        let inside = [one, other].into_iter().filter_map(admitted).count();
        assert_eq!(inside, 1, "{one:?} {other:?}");
        assert!(one == SOON || other == SOON, "{one:?} {other:?}");
        assert_eq!(probes(&circuit).running, 2);
    });
}

#[test]
fn a_probe_that_leaves_gives_its_place_back_while_another_asks() {
    all(|| {
        let (circuit, probe) = half_open(0, &LIMITS);
        let leave = move |circuit: &Circuit| circuit.give_back(probe, false);
        let ((), asked) = both(&circuit, leave, ask(LIMITS, 30));
        let inside = u32::from(admitted(asked).is_some());
        assert_eq!(probes(&circuit), Probes { running: inside, ..Probes::default() });
        assert_eq!(admitted(circuit.admit(&LIMITS, 40)).is_some(), inside == 0);
    });
}

#[test]
fn two_probes_that_leave_give_two_places_back() {
    interrupted(3, || {
        let (circuit, probe) = half_open(0, &TWO);
        assert_eq!(admitted(circuit.admit(&TWO, 30)), Some(probe));
        assert!(circuit.answered(probe));
        let leave = move |circuit: &Circuit| circuit.give_back(probe, false);
        let ((), (), asked) =
            three(&circuit, leave, move |circuit: &Circuit| circuit.give_back(probe, true), ask(TWO, 40));
        let inside = u32::from(admitted(asked).is_some());
        assert_eq!(probes(&circuit), Probes { running: inside, ..Probes::default() });
    });
}

#[test]
fn two_successes_of_two_close_it_once() {
    all(|| {
        let (circuit, probe) = half_open(0, &TWO);
        assert_eq!(admitted(circuit.admit(&TWO, 30)), Some(probe));
        let succeed = move |circuit: &Circuit| circuit.success(probe, false, &TWO, 30);
        let (one, other) = both(&circuit, succeed, succeed);
        assert!(one != other, "{one} {other}");
        assert_eq!((phase(&circuit), circuit.word().failures()), (Phase::Closed, 0));
    });
}

#[test]
fn of_a_success_and_a_failure_of_two_probes_the_failure_counts() {
    all(|| {
        let (circuit, probe) = half_open(0, &TWO);
        assert_eq!(admitted(circuit.admit(&TWO, 30)), Some(probe));
        let succeed = move |circuit: &Circuit| circuit.success(probe, false, &TWO, 30);
        let (closes, opened) = both(&circuit, succeed, |circuit| fails(circuit, probe, &TWO, AGAIN));
        assert!(opened && !closes);
        assert_eq!((phase(&circuit), circuit.moment()), (Phase::Open, AGAIN));
    });
}

three_threads!(a_probe_that_fails_while_others_ask_opens_it_for_its_time, 2, 3, || {
    let (circuit, probe) = half_open(0, &TWO);
    let fail = move |circuit: &Circuit| fails(circuit, probe, &TWO, AGAIN);
    let (opened, one, two) = three(&circuit, fail, ask(TWO, 30), ask(TWO, 30));
    assert!(opened);
    assert!(admitted(one).is_none() || admitted(two).is_none());
    // Whoever moved the moment on for his probe did not move it for the open circuit.
    assert_eq!((phase(&circuit), circuit.moment()), (Phase::Open, AGAIN));
});

#[test]
fn a_probe_of_before_frees_no_place_and_answers_for_none() {
    all(|| {
        let (circuit, old) = half_open(0, &TWO);
        assert!(fails(&circuit, old, &TWO, AGAIN));
        let new = admitted(circuit.admit(&TWO, AGAIN)).expect("the first probe");
        assert_ne!(old, new);
        let leave = move |circuit: &Circuit| {
            assert!(!circuit.answered(old));
            circuit.give_back(old, false);
        };
        let ((), asked) = both(&circuit, leave, ask(TWO, AGAIN));
        assert_eq!(admitted(asked), Some(new));
        assert_eq!(probes(&circuit), Probes { running: 2, ..Probes::default() });
    });
}
