//! A half-open circuit: exactly the allowed probes, and always a way out.

use std::time::Duration;

use crate::laws::bench::Bench;
use crate::laws::declared::{Breaker, Declared};
use crate::laws::law::{Law, Step};
use crate::laws::outer::{End, Stage};
use crate::laws::world::Reply;

const PLAIN: u64 = 7;
/// The case in which the failures come in the trailers.
const TRAILERS: u64 = 6;

/// The plain cases, and then races by seed.
pub(super) fn cases(declared: &Declared, _: bool, seeds: u64) -> u64 {
    if declared.breaker.is_some() { PLAIN + seeds } else { 0 }
}

pub(super) async fn run(bench: &mut Bench<'_>, case: u64) -> Step {
    let Some(breaker) = bench.declared.breaker else { return Ok(()) };
    // Calls from before, which end when the circuit has another state.
    let old =
        if case == 5 && bench.has_clones() { vec![bench.start().await?, bench.start().await?] } else { Vec::new() };
    let before = bench.unanswered();
    if case == TRAILERS {
        if !bench.declared.grpc {
            return Ok(());
        }
        fail_some(bench, breaker.failures, Reply::FAIL.with_parts(1)).await?;
        let call = bench.start().await?;
        if bench.reached(call) > 0 {
            let failures = breaker.failures;
            return Law::HalfOpen
                .broken(format!("{failures} calls have failed by trailers, and the circuit is not open"));
        }
    } else {
        fail_some(bench, breaker.failures, Reply::FAIL).await?;
    }
    bench.advance(breaker.open_for + Duration::from_millis(2)).await?;
    if case >= PLAIN {
        race(bench, breaker).await?;
    } else {
        let probes = probes(bench, breaker, before.len()).await?;
        match case {
            0 | TRAILERS => {}
            1 => {
                // One place is free again, and only one.
                let Some(&first) = probes.first() else { return wrong(breaker, 0) };
                bench.leave(first).await?;
                let next = bench.start().await?;
                if bench.reached(next) == 0 {
                    return Law::HalfOpen.broken("a probe left, and its place is not free again");
                }
                nobody_gets_in(bench).await?;
            }
            2 => {
                for &probe in &probes {
                    bench.leave(probe).await?;
                }
                self::probes(bench, breaker, before.len()).await?;
            }
            3 => {
                let Some(&inner) = bench.unanswered().first() else { return wrong(breaker, 0) };
                bench.answer(inner, Reply::FAIL).await?;
                bench.drive_all().await?;
                nobody_gets_in(bench).await?;
            }
            4 => {
                // All of them: of one lost place among several nothing would be seen.
                for inner in bench.unanswered() {
                    bench.answer(inner, Reply::PANIC).await?;
                }
                bench.drive_all().await?;
            }
            _ => {
                // What was called before the circuit opened says nothing about the probes.
                for number in before {
                    bench.answer(number, Reply::OK).await?;
                }
                for call in old {
                    bench.drive(call).await?;
                }
                nobody_gets_in(bench).await?;
            }
        }
    }
    for call in 0..bench.calls.len() {
        bench.leave(call).await?;
    }
    bench.capacity().await
}

/// Lets calls fail, one after the other, without touching those that are under way.
async fn fail_some(bench: &mut Bench<'_>, failures: usize, reply: Reply) -> Step {
    let others = bench.unanswered();
    for _ in 0..failures {
        let call = bench.start().await?;
        for number in bench.unanswered().into_iter().filter(|number| !others.contains(number)) {
            bench.answer(number, reply).await?;
            for _ in 0..reply.parts + usize::from(reply.parts > 0) {
                bench.world.release(number);
            }
        }
        bench.drive(call).await?;
    }
    Ok(())
}

/// Makes more calls than there are probes: exactly the probes get in.
async fn probes(bench: &mut Bench<'_>, breaker: Breaker, others: usize) -> Step<Vec<usize>> {
    let mut probes = Vec::new();
    for _ in 0..breaker.probes + 3 {
        if !bench.can_start() {
            break;
        }
        let call = bench.start().await?;
        if bench.reached(call) > 0 {
            probes.push(call);
        }
    }
    let inside = bench.unanswered().len().saturating_sub(others);
    if inside == breaker.probes { Ok(probes) } else { wrong(breaker, inside) }
}

fn wrong<T>(breaker: Breaker, inside: usize) -> Step<T> {
    Law::HalfOpen.broken(format!("{inside} calls get in while half-open, exactly {} are allowed", breaker.probes))
}

async fn nobody_gets_in(bench: &mut Bench<'_>) -> Step {
    if !bench.can_start() {
        return Ok(());
    }
    let call = bench.start().await?;
    if bench.reached(call) > 0 {
        return Law::HalfOpen.broken(format!("all probes are taken, and call {} gets in", bench.calls[call].ask.id));
    }
    Ok(())
}

/// Many callers at once, each a poll at a time, in an order by seed; some leave, some as soon as they are in.
async fn race(bench: &mut Bench<'_>, breaker: Breaker) -> Step {
    let callers = if bench.has_clones() { breaker.probes + 2 + bench.rng.usize(..6) } else { 1 };
    let mut racing = Vec::new();
    for _ in 0..callers {
        let ask = bench.ask(true, None);
        racing.push(bench.make(0, ask));
    }
    let leave_early = bench.rng.bool();
    for _ in 0..callers * 4 {
        let asks = |&&call: &&usize| !bench.calls[call].is_over() && bench.calls[call].alarm.has_rung();
        let polled: Vec<usize> = racing.iter().filter(asks).copied().collect();
        let Some(&call) = bench.rng.choice(&polled) else { break };
        if leave_early && bench.rng.u8(..8) == 0 {
            let ready = matches!(bench.calls[call].stage, Stage::Ready);
            match ready && bench.rng.bool() {
                true => bench.leave_unpolled(call).await?,
                false => bench.leave(call).await?,
            }
        } else {
            bench.poll(call).await?;
        }
        let inside = bench.unanswered().len();
        if inside > breaker.probes {
            return wrong(breaker, inside);
        }
    }
    bench.drive_all().await?;
    // Those who left gave their places back: others who come now fill them.
    while bench.can_start() && bench.unanswered().len() < breaker.probes {
        let call = bench.start().await?;
        if bench.reached(call) == 0 {
            return wrong(breaker, bench.unanswered().len());
        }
    }
    nobody_gets_in(bench).await?;
    if let (Some(&inner), true) = (bench.unanswered().first(), bench.rng.bool()) {
        bench.answer(inner, Reply::FAIL).await?;
        bench.drive_all().await?;
    }
    let failed = bench.calls.iter().filter(|call| matches!(call.end(), Some(End::Panicked))).count();
    if failed > 0 { Law::NoPanic.broken("a call panicked") } else { Ok(()) }
}
