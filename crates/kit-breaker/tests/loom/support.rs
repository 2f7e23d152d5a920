//! What the models share: limits, circuits in a phase, and a caller as the breaker is one.

use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

use crate::circuit::{Admission, Circuit, Limits, Nanos};
use crate::word::{Phase, Probes};

/// One failure opens it, one probe, which has 1,000 ns.
pub(crate) const LIMITS: Limits =
    Limits { consecutive: Some(1), probes: 1, successes: 1, probe_within: 1_000, clear_every: 100 };

/// Until when a circuit of these models is open at first.
pub(crate) const UNTIL: Nanos = 10;
/// Later than that.
pub(crate) const DUE: Nanos = 20;
/// Later than what probes have that began when they were due.
pub(crate) const EXPIRED: Nanos = DUE + 1_000;
/// Until when it is open if it opens once more.
pub(crate) const AGAIN: Nanos = 5_000;

/// All interleavings of a model.
pub(crate) fn all(model: impl Fn() + Send + Sync + 'static) {
    Builder::new().check(model);
}

/// All interleavings in which threads are interrupted no more than so many times.
pub(crate) fn interrupted(times: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(times);
    builder.check(model);
}

/// Runs two at once: one on another thread.
pub(crate) fn both<A: 'static, B>(
    circuit: &Arc<Circuit>,
    one: impl FnOnce(&Circuit) -> A + 'static,
    other: impl FnOnce(&Circuit) -> B,
) -> (A, B) {
    let shared = Arc::clone(circuit);
    let one = thread::spawn(move || one(&shared));
    let other = other(circuit);
    (one.join().expect("it ends"), other)
}

/// Runs three at once: two on other threads.
pub(crate) fn three<A: 'static, B: 'static, C>(
    circuit: &Arc<Circuit>,
    one: impl FnOnce(&Circuit) -> A + 'static,
    two: impl FnOnce(&Circuit) -> B + 'static,
    three: impl FnOnce(&Circuit) -> C,
) -> (A, B, C) {
    let shared = Arc::clone(circuit);
    let one = thread::spawn(move || one(&shared));
    let (two, three) = both(circuit, two, three);
    (one.join().expect("it ends"), two, three)
}

pub(crate) fn closed(flags: u64) -> Arc<Circuit> {
    Arc::new(Circuit::new(flags))
}

/// Open until [`UNTIL`].
pub(crate) fn open(flags: u64) -> Arc<Circuit> {
    let circuit = closed(flags);
    let generation = circuit.word().generation();
    assert!(fails(&circuit, generation, &LIMITS, UNTIL));
    circuit
}

/// Half-open since [`DUE`], with one probe under way, and its generation.
pub(crate) fn half_open(flags: u64, limits: &Limits) -> (Arc<Circuit>, u32) {
    let circuit = open(flags);
    let probe = admitted(circuit.admit(limits, DUE)).expect("the first probe");
    (circuit, probe)
}

/// The generation that counts an admitted call.
pub(crate) fn admitted(admission: Admission) -> Option<u32> {
    match admission {
        Admission::Counted { generation, .. } => Some(generation),
        _ => None,
    }
}

/// What the breaker does when a call has failed. True if that opened the circuit.
pub(crate) fn fails(circuit: &Circuit, generation: u32, limits: &Limits, until: Nanos) -> bool {
    circuit.failure(generation, limits) && opens(circuit, generation, until)
}

/// What the breaker does when a circuit must open. True for whoever opened it.
pub(crate) fn opens(circuit: &Circuit, generation: u32, until: Nanos) -> bool {
    let tripped = circuit.trip(generation);
    tripped.is_some_and(|tripped| circuit.open(tripped, until))
}

pub(crate) fn phase(circuit: &Circuit) -> Phase {
    circuit.word().phase()
}

pub(crate) fn probes(circuit: &Circuit) -> Probes {
    circuit.word().probes()
}
