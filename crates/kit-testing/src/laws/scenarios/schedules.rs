//! Anything, in an order by seed: calls, polls, answers, failures, panics, callers who leave, time.

use std::time::Duration;

use crate::laws::bench::Bench;
use crate::laws::declared::Kind;
use crate::laws::law::Step;
use crate::laws::outer::Outer;
use crate::laws::world::{Life, NodeState, Reply, ReplyEnd};

const STEPS: usize = 40;
const CALLS: usize = 14;

pub(super) async fn run(bench: &mut Bench<'_>, _: u64) -> Step {
    let relayered = !bench.declared.state_per_service && bench.has_clones() && bench.rng.bool();
    if relayered {
        bench.layer_again();
    }
    for _ in 0..STEPS {
        step(bench).await?;
    }
    bench.finish().await?;
    bench.capacity().await
}

async fn step(bench: &mut Bench<'_>) -> Step {
    match bench.rng.u8(..100) {
        0..25 if bench.calls.len() < CALLS && bench.can_start() => {
            let (service, idempotent) = (bench.a_service(), bench.rng.u8(..4) > 0);
            let deadline = (bench.rng.u8(..4) == 0).then_some(Duration::from_secs(7200));
            let ask = bench.ask(idempotent, deadline);
            bench.make(service, ask);
            Ok(())
        }
        0..60 => {
            // Mostly those who were woken, and now and then one who was not.
            let spurious = bench.rng.u8(..8) == 0;
            let Some(call) = any(bench, |call| !call.is_over() && (spurious || call.alarm.has_rung())) else {
                return Ok(());
            };
            bench.poll(call).await
        }
        60..78 => {
            let running = bench.unanswered();
            let Some(&number) = bench.rng.choice(&running) else { return part(bench).await };
            let reply = reply(bench);
            bench.answer(number, reply).await
        }
        78..86 => part(bench).await,
        86..92 => match any(bench, |call| !call.is_over()) {
            Some(call) => bench.leave(call).await,
            None => Ok(()),
        },
        92..96 => {
            let node = bench.rng.usize(..bench.declared.nodes());
            let to = match bench.world.node_state(node) {
                NodeState::Pending => NodeState::Ready,
                _ => NodeState::Pending,
            };
            bench.set_node(node, to);
            Ok(())
        }
        _ => {
            // Enough to matter to what has a period, and never so much that a waiter would rightly give up.
            let step = bench.declared.recovery().mul_f64(bench.rng.f64());
            bench.advance(step).await
        }
    }
}

/// One of the calls that are so.
fn any(bench: &mut Bench<'_>, so: impl Fn(&Outer) -> bool) -> Option<usize> {
    let found: Vec<usize> = (0..bench.calls.len()).filter(|&call| so(&bench.calls[call])).collect();
    bench.rng.choice(found)
}

fn reply(bench: &mut Bench<'_>) -> Reply {
    let end = match bench.rng.u8(..20) {
        0 => ReplyEnd::Panic,
        // A selection would rightly avoid what fails.
        1..6 if !matches!(bench.declared.kind, Kind::Selecting { .. }) => ReplyEnd::Fail,
        _ => ReplyEnd::Ok,
    };
    Reply { end, parts: bench.rng.usize(..3) }
}

async fn part(bench: &mut Bench<'_>) -> Step {
    let streaming: Vec<usize> = {
        let state = bench.world.lock();
        (0..state.arrived.len()).filter(|&number| state.arrived[number].life == Life::Streaming).collect()
    };
    if let Some(&number) = bench.rng.choice(&streaming) {
        bench.world.note(format!("inner call {number} gives a part"));
        bench.world.release(number);
    }
    Ok(())
}
