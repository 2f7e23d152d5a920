//! The readiness of a tower service: passed on, or ready at once, as declared; and never called without.

use std::time::Duration;

use crate::laws::bench::Bench;
use crate::laws::declared::{Declared, Readiness};
use crate::laws::law::{Law, Step};
use crate::laws::outer::Stage;
use crate::laws::world::{NodeState, Reply};

pub(super) fn cases(_: &Declared, tower: bool, _: u64) -> u64 {
    if tower { 4 } else { 0 }
}

pub(super) async fn run(bench: &mut Bench<'_>, case: u64) -> Step {
    match case {
        0 => an_inner_service_that_is_not_ready(bench).await,
        1 => a_broken_inner_service(bench).await,
        2 => asked_twice(bench).await,
        _ => everybody_leaves(bench).await,
    }
}

/// The inner service is never ready again, and all callers leave: nothing may go on waiting for it.
async fn everybody_leaves(bench: &mut Bench<'_>) -> Step {
    bench.set_nodes(NodeState::Pending);
    for _ in 0..2 {
        if bench.can_start() {
            bench.start().await?;
        }
    }
    for call in 0..bench.calls.len() {
        bench.leave(call).await?;
    }
    Ok(())
}

async fn an_inner_service_that_is_not_ready(bench: &mut Bench<'_>) -> Step {
    bench.set_nodes(NodeState::Pending);
    let ask = bench.ask(true, None);
    let call = bench.make(0, ask);
    bench.poll(call).await?;
    // What tells its readiness in the background may need a moment.
    let waits = matches!(bench.calls[call].stage, Stage::Readying);
    match bench.declared.readiness() {
        Readiness::Passed if !waits => {
            return Law::Readiness.broken("it says that it is ready, and the inner service is not");
        }
        Readiness::AtOnce if waits => {
            return Law::Readiness.broken("it is declared to be ready at once, and waits for the inner service");
        }
        _ => {}
    }
    bench.drive(call).await?;
    if bench.declared.sheds {
        return match bench.calls[call].end() {
            Some(_) => Ok(()),
            None => Law::RefusesAtOnce.broken("the inner service is not ready, and the call waits"),
        };
    }
    if bench.called(call) > 0 {
        return Law::Readiness.broken("the inner service is not ready, and was called");
    }
    // One is enough where those that are not ready are skipped; else it may wait for any of them, or for all.
    for node in 0..if bench.declared.skips_unready { 1 } else { bench.declared.nodes() } {
        bench.set_node(node, NodeState::Ready);
    }
    bench.drive(call).await?;
    // A layer that asks now and then has its time; the others are woken.
    if bench.reached(call) == 0 && !bench.calls[call].is_over() {
        bench.wait(Duration::from_secs(60)).await?;
        bench.drive(call).await?;
    }
    if bench.reached(call) == 0 {
        return Law::NoHang.broken("the inner service became ready, and the call was not woken");
    }
    bench.finish().await?;
    bench.capacity().await
}

async fn a_broken_inner_service(bench: &mut Bench<'_>) -> Step {
    bench.set_node(0, NodeState::Broken);
    let call = bench.start().await?;
    bench.wait(Duration::from_secs(60)).await?;
    bench.drive(call).await?;
    // Who waits for a new connection gets one in the end.
    bench.finish().await
}

async fn asked_twice(bench: &mut Bench<'_>) -> Step {
    let ask = bench.ask(true, None);
    let call = bench.make(0, ask);
    for _ in 0..3 {
        bench.poll(call).await?;
        if !matches!(bench.calls[call].stage, Stage::Ready) {
            break;
        }
        bench.calls[call].stage = Stage::Readying;
    }
    bench.drive(call).await?;
    for number in bench.unanswered() {
        bench.answer(number, Reply::OK).await?;
    }
    bench.finish().await?;
    bench.capacity().await
}
