//! What is ready is cloned. The clone has not asked yet, and has no place that its original holds.

use crate::laws::bench::Bench;
use crate::laws::declared::Declared;
use crate::laws::law::Step;
use crate::laws::outer::Stage;

pub(super) fn cases(_: &Declared, tower: bool, _: u64) -> u64 {
    u64::from(tower)
}

pub(super) async fn run(bench: &mut Bench<'_>, _: u64) -> Step {
    if !bench.has_clones() {
        return Ok(());
    }
    for _ in 1..bench.declared.at_most.unwrap_or(1) {
        bench.start().await?;
    }
    let ask = bench.ask(true, None);
    let call = bench.make(0, ask);
    bench.poll(call).await?;
    if matches!(bench.calls[call].stage, Stage::Ready) {
        let of = ask.id;
        let ask = bench.ask(true, None);
        let clone = bench.make_through_a_clone_of(call, ask);
        bench.world.note(format!("call {} goes through a clone of what is ready for call {of}", ask.id));
        bench.drive(clone).await?;
    }
    bench.drive(call).await?;
    bench.finish().await?;
    bench.capacity().await
}
