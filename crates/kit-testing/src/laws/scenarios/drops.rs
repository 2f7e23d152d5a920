//! The caller leaves: at every poll of a schedule, alone, beside others, and while it waits for a place.

use crate::laws::bench::Bench;
use crate::laws::declared::{Declared, Kind};
use crate::laws::law::{Law, Step};
use crate::laws::outer::Stage;
use crate::laws::world::{NodeState, Reply};

/// What happens around a call, in order. The caller leaves before one of these.
#[derive(Clone, Copy)]
enum Op {
    Poll,
    /// The inner service becomes ready.
    Ready,
    /// The head comes, with two parts to follow.
    Head,
    /// A part comes, or the end.
    Part,
    /// One of the other calls is answered, which frees its place.
    Free,
}

use Op::{Free, Head, Part, Poll, Ready};

/// Alone: the inner service is not ready at first.
const ALONE: [Op; 18] =
    [Poll, Poll, Ready, Poll, Poll, Poll, Poll, Head, Poll, Poll, Poll, Part, Poll, Part, Poll, Part, Poll, Poll];
/// After others have taken all places.
const QUEUED: [Op; 16] =
    [Poll, Poll, Poll, Free, Poll, Poll, Poll, Head, Poll, Poll, Part, Poll, Part, Poll, Part, Poll];

const WAYS: u64 = 4;

pub(super) fn cases(_: &Declared, _: bool, _: u64) -> u64 {
    WAYS * (ALONE.len() as u64 + 1)
}

pub(super) async fn run(bench: &mut Bench<'_>, case: u64) -> Step {
    let (way, cut) = (case % WAYS, (case / WAYS) as usize);
    let most = bench.declared.at_most;
    match (way, most) {
        (0, _) => alone(bench, 0, cut).await?,
        (1, Some(most)) if most > 1 => alone(bench, most - 1, cut).await?,
        (2, Some(most)) if bench.declared.kind == Kind::Waiting && cut <= QUEUED.len() => {
            queued(bench, most, cut).await?;
        }
        (3, _) if cut == 0 => unpolled(bench).await?,
        _ => return Ok(()),
    }
    bench.capacity().await
}

async fn alone(bench: &mut Bench<'_>, others: usize, cut: usize) -> Step {
    for _ in 0..others {
        bench.start().await?;
    }
    bench.set_nodes(NodeState::Pending);
    let ask = bench.ask(true, None);
    let call = bench.make(0, ask);
    play(bench, call, &ALONE[..cut]).await?;
    bench.leave(call).await?;
    bench.finish().await
}

/// Two callers wait. The first leaves, at any time: the place that it was given, or would have been, is the other's.
async fn queued(bench: &mut Bench<'_>, most: usize, cut: usize) -> Step {
    for _ in 0..most {
        bench.start().await?;
    }
    if !bench.can_start() {
        return bench.finish().await;
    }
    let ask = bench.ask(true, None);
    let call = bench.make(0, ask);
    // Until it stands in the queue: an endpoint is asked for its readiness first.
    bench.drive(call).await?;
    let behind = if bench.can_start() { Some(bench.start().await?) } else { None };
    play(bench, call, &QUEUED[..cut]).await?;
    bench.leave(call).await?;
    // A queue may be full, and refuse who comes behind.
    let Some(behind) = behind.filter(|&behind| !bench.calls[behind].is_over()) else { return bench.finish().await };
    if !QUEUED[..cut].iter().any(|op| matches!(op, Free)) {
        free(bench).await?;
    }
    bench.drive(behind).await?;
    if bench.reached(behind) == 0 {
        // A poll that nobody asked for tells a lost wake-up from a lost place.
        bench.poll(behind).await?;
        bench.drive(behind).await?;
        if bench.reached(behind) > 0 {
            return Law::NoHang.broken("the first of two who wait left, a place is free, and the other was not woken");
        }
        return Law::PermitsReturn
            .broken("the first of two who wait left, a place is free, and the other does not get it");
    }
    bench.finish().await
}

async fn unpolled(bench: &mut Bench<'_>) -> Step {
    let places = bench.declared.at_most.unwrap_or(1) * 2;
    for _ in 0..places {
        let ask = bench.ask(true, None);
        let call = bench.make(0, ask);
        bench.poll(call).await?;
        if matches!(bench.calls[call].stage, Stage::Ready) {
            bench.leave_unpolled(call).await?;
        }
        bench.leave(call).await?;
    }
    Ok(())
}

async fn play(bench: &mut Bench<'_>, call: usize, ops: &[Op]) -> Step {
    for op in ops {
        match op {
            Poll if bench.calls[call].is_over() => {}
            Poll => bench.poll(call).await?,
            Ready => {
                bench.set_nodes(NodeState::Ready);
            }
            Free => free(bench).await?,
            Head | Part => {
                let Some((number, replied)) = running(bench, call) else { continue };
                match (op, replied) {
                    (Head, false) => bench.answer(number, Reply::OK.with_parts(2)).await?,
                    (Part, true) => bench.world.release(number),
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

/// The inner call that runs for this one, and whether it has been answered.
fn running(bench: &Bench<'_>, call: usize) -> Option<(usize, bool)> {
    let state = bench.world.lock();
    let (number, inner) = state.reached_by(bench.calls[call].ask.id).find(|(_, inner)| inner.is_running())?;
    Some((number, inner.reply.is_some()))
}

/// Answers the oldest call inside, and lets its caller have the answer.
async fn free(bench: &mut Bench<'_>) -> Step {
    let Some(&number) = bench.unanswered().first() else { return Ok(()) };
    let id = bench.world.lock().arrived[number].outer;
    bench.answer(number, Reply::OK).await?;
    let Some(call) = bench.calls.iter().position(|call| call.ask.id == id) else { return Ok(()) };
    bench.drive(call).await
}
