//! How calls are spread over several services.

use crate::laws::bench::Bench;
use crate::laws::declared::{Declared, Kind};
use crate::laws::law::{Law, Step};
use crate::laws::outer::End;
use crate::laws::world::{NodeState, Reply};

/// Enough calls for each weight of one, that chance cannot be taken for a fault.
const CALLS: usize = 250;

pub(super) fn cases(declared: &Declared, _: bool, _: u64) -> u64 {
    match declared.kind {
        Kind::Selecting { .. } => 2 + u64::from(declared.skips_unready),
        _ => 0,
    }
}

pub(super) async fn run(bench: &mut Bench<'_>, case: u64) -> Step {
    let Kind::Selecting { weights } = &bench.declared.kind else { return Ok(()) };
    match case {
        0 => spread(bench, weights, Law::Spread).await,
        1 => {
            callers_leave_one_of_them(bench).await?;
            spread(bench, weights, Law::PermitsReturn).await
        }
        _ => one_is_not_ready(bench, weights).await,
    }
}

/// Each call goes through a clone of its own, as under a server.
async fn spread(bench: &mut Bench<'_>, weights: &[u32], law: Law) -> Step {
    let sum: u32 = weights.iter().sum();
    let calls = CALLS * sum as usize;
    let before = bench.world.lock().arrived.len();
    bench.world.note(format!("{calls} calls are made and answered, one after the other"));
    for _ in 0..calls {
        one(bench).await?;
    }
    let mut counts = vec![0_usize; weights.len()];
    for inner in &bench.world.lock().arrived[before..] {
        if let Some(count) = counts.get_mut(inner.node) {
            *count += 1;
        }
    }
    for (&weight, &count) in weights.iter().zip(&counts) {
        let expected = calls as f64 * f64::from(weight) / f64::from(sum);
        // Five standard deviations of a fair die.
        let tolerance = 5.0 * (expected * (1.0 - f64::from(weight) / f64::from(sum))).sqrt();
        if (count as f64 - expected).abs() > tolerance + 1.0 {
            return law.broken(format!("{calls} calls for weights {weights:?} went to {counts:?}"));
        }
    }
    Ok(())
}

async fn one(bench: &mut Bench<'_>) -> Step {
    let call = bench.start().await?;
    if bench.reached(call) == 0 && !bench.calls[call].is_over() {
        return Law::NoHang.broken("a service is ready, and the call waits");
    }
    for number in bench.unanswered() {
        bench.answer(number, Reply::OK).await?;
    }
    bench.drive(call).await?;
    match bench.calls[call].end() {
        Some(End::Answered) => {
            // They are many: those that are over are forgotten.
            bench.calls[call].leave();
            Ok(())
        }
        other => Law::Unchanged.broken(format!("a call over ready services came out as {other:?}")),
    }
}

/// Callers leave, but only those whose calls are at the first service. It must not be taken for loaded for ever.
async fn callers_leave_one_of_them(bench: &mut Bench<'_>) -> Step {
    for _ in 0..30 {
        let call = bench.start().await?;
        for number in bench.unanswered() {
            let node = bench.world.lock().arrived[number].node;
            if node != 0 {
                bench.answer(number, Reply::OK).await?;
            }
        }
        bench.drive(call).await?;
        bench.leave(call).await?;
    }
    Ok(())
}

async fn one_is_not_ready(bench: &mut Bench<'_>, weights: &[u32]) -> Step {
    bench.set_node(0, NodeState::Pending);
    for _ in 0..weights.len() * 8 {
        one(bench).await?;
    }
    bench.set_node(0, NodeState::Ready);
    Ok(())
}
