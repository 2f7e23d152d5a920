//! What is used up through one clone is used up for all.

use crate::laws::bench::Bench;
use crate::laws::declared::Declared;
use crate::laws::law::{Law, Step};
use crate::laws::outer::End;

/// One clone, which shows that there is a limit at all; another clone; the layer put over an inner service once more.
pub(super) fn cases(declared: &Declared, _: bool, _: u64) -> u64 {
    let limits = declared.at_most.is_some() || declared.quota.is_some() || declared.breaker.is_some();
    match (limits, declared.state_per_service) {
        (false, _) => 0,
        (true, true) => 2,
        (true, false) => 3,
    }
}

pub(super) async fn run(bench: &mut Bench<'_>, case: u64) -> Step {
    match case {
        0 => one_clone(bench).await,
        1 => shared(bench, 0).await,
        _ => {
            let other = bench.layer_again();
            shared(bench, other).await
        }
    }
}

/// Uses up what there is through one clone, and calls through that very clone.
async fn one_clone(bench: &mut Bench<'_>) -> Step {
    bench.use_one_clone(true);
    bench.exhaust(0).await?;
    if bench.can_start() {
        let call = bench.start().await?;
        if bench.reached(call) > 0 {
            let law = if bench.declared.breaker.is_some() { Law::HalfOpen } else { Law::Bound };
            return law.broken("everything is used up, and a call through the same clone gets in");
        }
    }
    bench.use_one_clone(false);
    bench.finish().await
}

/// Uses up what there is through one service, each call through a clone, and calls through another.
async fn shared(bench: &mut Bench<'_>, other: usize) -> Step {
    let used_up = bench.exhaust(0).await;
    // A clone with a state of its own shows by what it lets in, which is more than is allowed.
    used_up.map_err(|broken| if broken.law == Law::Bound && other > 0 { Law::Shared.at(broken) } else { broken })?;
    if !bench.can_start() {
        return bench.finish().await;
    }
    let call = match bench.start_through(other, true).await {
        Ok(call) => call,
        Err(broken) if broken.law == Law::Bound => return Err(Law::Shared.at(broken)),
        Err(broken) => return Err(broken),
    };
    if bench.reached(call) > 0 {
        let how = if other > 0 { "the layer put over a service once more" } else { "another clone" };
        return Law::Shared.broken(format!("everything is used up, and a call through {how} gets in"));
    }
    if matches!(bench.calls[call].end(), Some(End::Answered)) {
        return Law::Unchanged.broken("a call was answered without being inside");
    }
    bench.finish().await?;
    bench.capacity().await
}
