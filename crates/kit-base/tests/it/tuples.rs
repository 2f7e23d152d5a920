//! A tuple of gates is a gate: order, refusals in the middle, nesting.

use kit_base::{End, Endpoint, Error, Gate, Guard, Monotonic, Now, Request};
use tower_layer::Layer;

use crate::support::{Func, Log, Probe, Watch, now};

fn inner(log: &Log) -> impl Endpoint<Request<u8>, Response = u8, Error = Error> {
    let log = log.clone();
    Func(move |_: Request<u8>| {
        log.add("called");
        async { Ok::<u8, Error>(1) }
    })
}

#[test]
fn the_first_gate_is_the_outermost() {
    let log = Log::default();
    let gates = (Probe::new("a", &log), Probe::new("b", &log), Probe::new("c", &log));
    assert_eq!(now(Guard::new(gates).layer(inner(&log)).call(Request::new(1))).unwrap(), 1);
    log.expect([
        "a admits",
        "b admits",
        "c admits",
        "called",
        "c answers success",
        "b answers success",
        "a answers success",
        "c: success, Answered",
        "b: success, Answered",
        "a: success, Answered",
    ]);
}

#[test]
fn the_gates_before_a_refusal_are_answered_and_finished_with_it_innermost_first() {
    let log = Log::default();
    let gates = (Probe::new("a", &log), Probe::new("b", &log), Probe::refusing("c", &log), Probe::new("d", &log));
    let error = now(Guard::new(gates).layer(inner(&log)).call(Request::new(1))).unwrap_err();
    assert_eq!(error.message(), "full");
    log.expect([
        "a admits",
        "b admits",
        "c refuses",
        "b answers overloaded",
        "b: overloaded, Answered",
        "a answers overloaded",
        "a: overloaded, Answered",
    ]);
}

#[test]
fn a_gate_may_change_the_refusal_of_a_later_one() {
    struct Soften;
    impl<Req> Gate<Req, u8, Error> for Soften {
        type Permit = ();
        fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
            Ok(())
        }
        fn answer(&self, (): &mut (), outcome: &mut Result<u8, Error>, _: &kit_base::Judgement) {
            assert_eq!(outcome.as_ref().unwrap_err().message(), "full");
            *outcome = Ok(0);
        }
        fn finish(&self, (): (), _: &End<'_>) {}
    }
    let log = Log::default();
    let guarded = Guard::new((Soften, Probe::refusing("b", &log))).layer(inner(&log));
    assert_eq!(now(guarded.call(Request::new(1))).unwrap(), 0);
    log.expect(["b refuses"]);
}

#[test]
fn a_nested_tuple_is_a_flat_one() {
    let log = Log::default();
    let nested = (Probe::new("a", &log), (Probe::new("b", &log), (Probe::refusing("c", &log),)));
    now(Guard::new(nested).layer(inner(&log)).call(Request::new(1))).unwrap_err();
    log.expect([
        "a admits",
        "b admits",
        "c refuses",
        "b answers overloaded",
        "b: overloaded, Answered",
        "a answers overloaded",
        "a: overloaded, Answered",
    ]);

    let nested = ((Probe::new("a", &log), Probe::new("b", &log)), Probe::refusing("c", &log));
    now(Guard::new(nested).layer(inner(&log)).call(Request::new(1))).unwrap_err();
    log.expect([
        "a admits",
        "b admits",
        "c refuses",
        "b answers overloaded",
        "a answers overloaded",
        "b: overloaded, Answered",
        "a: overloaded, Answered",
    ]);
}

/// A gate of one's own around another gate calls its `admit`, and that other may be a tuple.
#[test]
fn a_tuple_that_is_admitted_by_hand_finishes_the_gates_before_a_refusal_with_it() {
    let log = Log::default();
    let tuple = (Probe::new("a", &log), Probe::new("b", &log), Probe::refusing("c", &log));
    let admitted = Gate::<_, u8, Error>::admit(&tuple, &mut Request::new(1u8), &Now::new(&Monotonic));
    assert_eq!(admitted.unwrap_err().message(), "full");
    log.expect(["a admits", "b admits", "c refuses", "b: overloaded, Answered", "a: overloaded, Answered"]);
}

#[test]
fn up_to_eight_gates_make_a_tuple() {
    let log = Log::default();
    let p = |name| Probe::new(name, &log);
    let gates = (p("1"), p("2"), p("3"), p("4"), p("5"), p("6"), p("7"), Probe::refusing("8", &log));
    now(Guard::new(gates).layer(inner(&log)).call(Request::new(1))).unwrap_err();
    log.expect([
        "1 admits",
        "2 admits",
        "3 admits",
        "4 admits",
        "5 admits",
        "6 admits",
        "7 admits",
        "8 refuses",
        "7 answers overloaded",
        "7: overloaded, Answered",
        "6 answers overloaded",
        "6: overloaded, Answered",
        "5 answers overloaded",
        "5: overloaded, Answered",
        "4 answers overloaded",
        "4: overloaded, Answered",
        "3 answers overloaded",
        "3: overloaded, Answered",
        "2 answers overloaded",
        "2: overloaded, Answered",
        "1 answers overloaded",
        "1: overloaded, Answered",
    ]);
}

#[test]
fn a_tuple_refuses_if_one_of_its_gates_may() {
    fn refuses<G: Gate<Request<u8>, u8, Error>>(_: &G) -> bool {
        G::REFUSES
    }
    let log = Log::default();
    let (watch, probe) = (Watch(Probe::new("w", &log)), Probe::new("p", &log));
    assert!(!refuses(&(watch.clone(), watch.clone())));
    assert!(refuses(&(watch.clone(), probe)));
}
