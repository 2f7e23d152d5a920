//! What is refused is refused at once, even while the inner service hangs, and never reaches it.

use crate::laws::bench::Bench;
use crate::laws::declared::{Declared, Kind, Readiness};
use crate::laws::law::{Law, Step};
use crate::laws::outer::End;
use crate::laws::subject::Failed;
use crate::laws::world::NodeState;

/// With an inner service that is ready, and with one that is not.
pub(super) fn cases(declared: &Declared, tower: bool, _: u64) -> u64 {
    // Who declares that he is ready when the inner service is has said that nobody is refused while that hangs.
    let waits = tower && declared.readiness() == Readiness::Passed;
    match (&declared.kind, waits) {
        (Kind::Refusing, false) => 2,
        (Kind::Refusing, true) => 1,
        _ => 0,
    }
}

pub(super) async fn run(bench: &mut Bench<'_>, case: u64) -> Step {
    if !bench.exhaust(0).await? {
        return Ok(());
    }
    if case == 1 {
        bench.set_node(0, NodeState::Pending);
    }
    let call = bench.start().await?;
    let reached = bench.reached(call);
    match bench.calls[call].end() {
        _ if reached > 0 => Law::RefusedStayOut.broken("everything is used up, and the call got in"),
        Some(End::Failed(Failed::Refused(_))) => {
            bench.finish().await?;
            bench.capacity().await
        }
        Some(end) => Law::Bound.broken(format!("everything is used up, and the call came out as {end:?}")),
        None if case == 1 => {
            Law::RefusesAtOnce.broken("the inner service hangs, and a call that is to be refused waits")
        }
        None => Law::RefusesAtOnce.broken("everything is used up, and the call waits"),
    }
}
