//! What calls more than once: as declared, only where it is safe, and not any more when the caller has its answer.

use std::time::Duration;

use crate::laws::bench::Bench;
use crate::laws::declared::Declared;
use crate::laws::law::{Law, Step};
use crate::laws::outer::End;
use crate::laws::world::{NodeState, Reply};

/// Longer than any pause between two attempts.
const LONG: Duration = Duration::from_secs(120);

pub(super) fn cases(declared: &Declared, tower: bool, _: u64) -> u64 {
    match (declared.retries(), tower) {
        (false, _) => 0,
        (true, false) => 7,
        (true, true) => 8,
    }
}

pub(super) async fn run(bench: &mut Bench<'_>, case: u64) -> Step {
    match case {
        0 => again(bench).await,
        1 => a_hanging_attempt(bench).await,
        2 => once(bench, Some(Reply::FAIL)).await,
        3 => once(bench, None).await,
        4 => always_failing(bench).await,
        5 => the_caller_leaves(bench).await,
        6 => went_well(bench).await,
        _ => not_ready_in_between(bench).await,
    }
}

/// The first attempt fails: another is made, though no call was ever made before.
async fn again(bench: &mut Bench<'_>) -> Step {
    if bench.declared.hedges() {
        return Ok(());
    }
    let call = bench.start().await?;
    let first = bench.unanswered();
    for number in first {
        bench.answer(number, Reply::FAIL).await?;
    }
    attempt(bench, call, 2).await?;
    bench.finish().await?;
    match bench.calls[call].end() {
        Some(End::Answered) => nothing_follows(bench, call).await,
        other => Law::Attempts.broken(format!("the second attempt was answered, and the call came out as {other:?}")),
    }
}

/// Waits until a call has been made so often inside.
async fn attempt(bench: &mut Bench<'_>, call: usize, wanted: usize) -> Step {
    bench.drive(call).await?;
    while bench.reached(call) < wanted {
        let woken = !bench.calls[call].is_over() && bench.wait(LONG).await?;
        bench.drive(call).await?;
        // An attempt in a task is made without a wake-up of the caller.
        let reached = bench.reached(call);
        if !woken && reached < wanted {
            return Law::Attempts.broken(format!("{reached} attempts were made, and should be tried again"));
        }
    }
    Ok(())
}

/// A hedge makes a second attempt, whose answer ends the first.
async fn a_hanging_attempt(bench: &mut Bench<'_>) -> Step {
    if !bench.declared.hedges() {
        return Ok(());
    }
    for fastest in 0..2 {
        let call = bench.start().await?;
        attempt(bench, call, 2).await?;
        let running = bench.unanswered();
        let Some(&number) = running.get(fastest).or(running.last()) else {
            return Law::Attempts.broken("two attempts were made, and none of them is under way");
        };
        bench.answer(number, Reply::OK).await?;
        bench.drive(call).await?;
        if !matches!(bench.calls[call].end(), Some(End::Answered)) {
            return Law::Attempts.broken("one of two attempts was answered, and the call was not");
        }
        nothing_follows(bench, call).await?;
    }
    Ok(())
}

/// What is not idempotent is called once: whether the attempt fails, or hangs.
async fn once(bench: &mut Bench<'_>, reply: Option<Reply>) -> Step {
    let call = bench.start_through(0, false).await?;
    if let Some(reply) = reply {
        for number in bench.unanswered() {
            bench.answer(number, reply).await?;
        }
        bench.drive(call).await?;
    }
    let mut left = 8;
    while left > 0 && bench.wait(LONG).await? {
        bench.drive(call).await?;
        left -= 1;
    }
    bench.finish().await
}

async fn always_failing(bench: &mut Bench<'_>) -> Step {
    let call = bench.start().await?;
    for _ in 0..64 {
        for number in bench.unanswered() {
            bench.answer(number, Reply::FAIL).await?;
        }
        bench.drive(call).await?;
        if bench.calls[call].is_over() {
            break;
        }
        bench.wait(LONG).await?;
    }
    match bench.calls[call].end() {
        Some(End::Failed(_)) => nothing_follows(bench, call).await,
        other => Law::Attempts.broken(format!("every attempt failed, and the call came out as {other:?}")),
    }
}

/// The caller leaves in a pause, or while attempts are under way: no other follows.
async fn the_caller_leaves(bench: &mut Bench<'_>) -> Step {
    for attempts in 1..=2 {
        let call = bench.start().await?;
        if attempts == 2 && bench.declared.hedges() {
            attempt(bench, call, 2).await?;
        } else if attempts == 2 {
            for number in bench.unanswered() {
                bench.answer(number, Reply::FAIL).await?;
            }
            bench.drive(call).await?;
        }
        bench.leave(call).await?;
        nothing_follows(bench, call).await?;
    }
    Ok(())
}

/// What went well is over: the caller has its answer, and there is no other attempt.
async fn went_well(bench: &mut Bench<'_>) -> Step {
    let call = bench.start().await?;
    let made = bench.reached(call);
    for number in bench.unanswered() {
        bench.answer(number, Reply::OK).await?;
    }
    bench.drive(call).await?;
    bench.wait(LONG).await?;
    bench.drive(call).await?;
    match bench.calls[call].end() {
        _ if bench.reached(call) > made => Law::Attempts.broken("an attempt was answered, and another was made"),
        Some(End::Answered) => Ok(()),
        other => Law::Attempts.broken(format!("an attempt was answered, and the call came out as {other:?}")),
    }
}

async fn nothing_follows(bench: &mut Bench<'_>, call: usize) -> Step {
    let before = bench.reached(call);
    bench.wait(LONG).await?;
    let after = bench.reached(call);
    if after > before {
        return Law::Cancelled.broken(format!("the call is over, and {} more attempts were made", after - before));
    }
    Ok(())
}

/// Each attempt asks for the readiness; a second one waits for it.
async fn not_ready_in_between(bench: &mut Bench<'_>) -> Step {
    let call = bench.start().await?;
    // Attempts may begin together.
    let made = bench.called(call);
    bench.set_node(0, NodeState::Pending);
    if !bench.declared.hedges() {
        for number in bench.unanswered() {
            bench.answer(number, Reply::FAIL).await?;
        }
    }
    bench.drive(call).await?;
    for _ in 0..4 {
        bench.wait(LONG).await?;
        bench.drive(call).await?;
    }
    if bench.called(call) > made {
        return Law::Readiness.broken("the inner service was not ready, and was called again");
    }
    bench.finish().await
}
