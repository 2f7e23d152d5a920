//! Time passes when the checker says so, and only then.

use std::time::Duration;

use tokio::time::Instant;

use crate::laws::bench::Bench;
use crate::laws::declared::{Breaker, Declared, Kind};
use crate::laws::law::{Law, Step};
use crate::laws::outer::End;
use crate::laws::world::Reply;

pub(super) fn cases(declared: &Declared, _: bool, _: u64) -> u64 {
    let timed = declared.breaker.is_some() || declared.quota.is_some() || declared.gives_up.is_some();
    u64::from(timed) + u64::from(declared.keeps_deadlines)
}

pub(super) async fn run(bench: &mut Bench<'_>, case: u64) -> Step {
    let declared = bench.declared;
    if case == 1 || (declared.breaker.is_none() && declared.quota.is_none() && declared.gives_up.is_none()) {
        return a_deadline(bench).await;
    }
    if let Some(limit) = declared.gives_up {
        gives_up(bench, limit).await?;
    }
    if let Some((quota, period)) = declared.quota {
        refills(bench, quota, period).await?;
    }
    if let Some(breaker) = declared.breaker {
        half_opens(bench, breaker).await?;
    }
    Ok(())
}

/// A call to an inner service that hangs ends at its limit, neither before nor after.
async fn gives_up(bench: &mut Bench<'_>, limit: Duration) -> Step {
    let began = Instant::now();
    let call = bench.start().await?;
    let before = limit.saturating_sub(Duration::from_millis(2));
    let woken = bench.wait(before).await?;
    bench.drive(call).await?;
    if bench.calls[call].is_over() {
        return Law::Clock.broken(format!("it gave up after {:?}, the limit is {limit:?}", began.elapsed()));
    }
    if woken && began.elapsed() < before {
        bench.wait(before - began.elapsed()).await?;
    }
    bench.wait(Duration::from_millis(4)).await?;
    bench.drive(call).await?;
    if !bench.calls[call].is_over() {
        return Law::Clock.broken(format!("{limit:?} have passed, and it has not given up"));
    }
    Ok(())
}

/// Who waits for a place gives up at the deadline of the call, if not before.
async fn a_deadline(bench: &mut Bench<'_>) -> Step {
    let left = Duration::from_millis(500);
    bench.exhaust(0).await?;
    if !bench.can_start() {
        return bench.finish().await;
    }
    let ask = bench.ask(true, Some(left));
    let call = bench.make(0, ask);
    bench.world.note(format!("call {} has a deadline in {left:?}", ask.id));
    bench.drive(call).await?;
    let end = Instant::now() + left + Duration::from_millis(3);
    while !bench.calls[call].is_over() && bench.wait(end.saturating_duration_since(Instant::now())).await? {
        bench.drive(call).await?;
    }
    if !bench.calls[call].is_over() {
        return Law::NoHang.broken(format!("call {} still waits after its deadline", ask.id));
    }
    Ok(())
}

async fn refills(bench: &mut Bench<'_>, quota: usize, period: Duration) -> Step {
    bench.exhaust(0).await?;
    bench.advance(period + Duration::from_millis(2)).await?;
    let call = bench.start().await?;
    if bench.reached(call) == 0 {
        return Law::Clock.broken(format!("{quota} calls got in, {period:?} have passed, and no other gets in"));
    }
    bench.finish().await?;
    // Time in which nobody called is not saved up: the check of each step counts those who get in now.
    bench.advance(period * 5).await?;
    for _ in 0..quota * 4 {
        if bench.can_start() {
            bench.start().await?;
        }
    }
    for call in 0..bench.calls.len() {
        bench.leave(call).await?;
    }
    // Whoever stands in line for those who left finds out when it is their turn.
    bench.advance(period * 2).await
}

async fn half_opens(bench: &mut Bench<'_>, breaker: Breaker) -> Step {
    let Breaker { failures, open_for, .. } = breaker;
    bench.trip(0, failures).await?;
    if bench.declared.kind == Kind::Refusing {
        let call = bench.start().await?;
        if bench.reached(call) > 0 {
            return Law::HalfOpen.broken(format!("{failures} calls have failed, and the circuit is not open"));
        }
    }
    bench.advance(open_for.saturating_sub(Duration::from_millis(2))).await?;
    let call = bench.start().await?;
    if bench.reached(call) > 0 {
        return Law::Clock.broken(format!("the circuit is open for {open_for:?}, and lets a call in before"));
    }
    bench.leave(call).await?;
    bench.advance(Duration::from_millis(4)).await?;
    let call = bench.start().await?;
    if bench.reached(call) == 0 {
        return Law::Clock.broken(format!("the circuit was open for {open_for:?}, and still lets no call in"));
    }
    for number in bench.unanswered() {
        bench.answer(number, Reply::OK).await?;
    }
    bench.drive(call).await?;
    match bench.calls[call].end() {
        Some(End::Answered) => Ok(()),
        other => Law::HalfOpen.broken(format!("a probe was answered, and came out as {other:?}")),
    }
}
