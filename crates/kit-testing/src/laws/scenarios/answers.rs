//! One call at a time: what it sends arrives, what is answered comes back, and its end is seen.

use std::time::Duration;

use crate::laws::bench::Bench;
use crate::laws::capacity::PAUSE;
use crate::laws::declared::{Declared, Kind};
use crate::laws::law::{Law, Step};
use crate::laws::outer::End;
use crate::laws::world::Reply;

const REPLIES: [Reply; 5] =
    [Reply::OK, Reply::FAIL, Reply { parts: 2, ..Reply::OK }, Reply { parts: 1, ..Reply::FAIL }, Reply::PANIC];

/// Each reply, to an idempotent call and another, with a deadline and without.
pub(super) fn cases(_: &Declared, _: bool, _: u64) -> u64 {
    REPLIES.len() as u64 * 4
}

pub(super) async fn run(bench: &mut Bench<'_>, case: u64) -> Step {
    let reply = REPLIES[(case / 4) as usize];
    let (idempotent, deadline) = (case % 2 == 0, case % 4 < 2);
    let ask = bench.ask(idempotent, deadline.then_some(Duration::from_secs(60)));
    let call = bench.make(0, ask);
    bench.drive(call).await?;
    if bench.unanswered().is_empty() && bench.declared.kind == Kind::Waiting {
        // It may take its own time.
        bench.wait(PAUSE).await?;
        bench.drive(call).await?;
    }
    if bench.unanswered().is_empty() {
        // A retry or a hedge may come later, but the first attempt comes at once.
        return match bench.calls[call].end() {
            Some(_) => Law::Unchanged.broken("the first call did not get in"),
            None => Law::NoHang.broken("the first call waits, and nothing keeps it"),
        };
    }
    for number in bench.unanswered() {
        bench.answer(number, reply).await?;
    }
    bench.finish().await?;
    let panicked = matches!(bench.calls[call].end(), Some(End::Panicked | End::Failed(_)));
    if reply == Reply::PANIC && !panicked && !bench.declared.retries() {
        return Law::Unchanged.broken("the inner service panicked, and the call was answered");
    }
    bench.capacity().await
}
