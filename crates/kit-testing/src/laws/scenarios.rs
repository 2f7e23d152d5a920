//! The runs that a layer is put through. Each is numbered cases of one idea, and each case can be played again.

mod answers;
mod clock;
mod clones;
mod drops;
mod half_open;
mod readiness;
mod refusals;
mod retries;
mod schedules;
mod sharing;
mod spread;
pub(crate) mod threads;

use std::future::Future;
use std::pin::Pin;

use super::bench::Bench;
use super::declared::Declared;
use super::law::Step;

type Run = for<'a, 'b> fn(&'a mut Bench<'b>, u64) -> Pin<Box<dyn Future<Output = Step> + 'a>>;

/// Numbered cases of one idea.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// How many cases there are: for this declaration, at the tower face or not, with so many seeds.
    pub(crate) cases: fn(&Declared, bool, u64) -> u64,
    pub(crate) run: Run,
}

/// In the order in which they are run: the plain ones first, so that the first finding is the plainest.
pub(crate) const SCENARIOS: [Scenario; 11] = [
    Scenario { name: "answers", cases: answers::cases, run: |bench, case| Box::pin(answers::run(bench, case)) },
    Scenario { name: "readiness", cases: readiness::cases, run: |bench, case| Box::pin(readiness::run(bench, case)) },
    Scenario { name: "sharing", cases: sharing::cases, run: |bench, case| Box::pin(sharing::run(bench, case)) },
    Scenario { name: "clones", cases: clones::cases, run: |bench, case| Box::pin(clones::run(bench, case)) },
    Scenario { name: "refusals", cases: refusals::cases, run: |bench, case| Box::pin(refusals::run(bench, case)) },
    Scenario { name: "clock", cases: clock::cases, run: |bench, case| Box::pin(clock::run(bench, case)) },
    Scenario { name: "half-open", cases: half_open::cases, run: |bench, case| Box::pin(half_open::run(bench, case)) },
    Scenario { name: "retries", cases: retries::cases, run: |bench, case| Box::pin(retries::run(bench, case)) },
    Scenario { name: "spread", cases: spread::cases, run: |bench, case| Box::pin(spread::run(bench, case)) },
    Scenario { name: "drops", cases: drops::cases, run: |bench, case| Box::pin(drops::run(bench, case)) },
    Scenario {
        name: "schedules",
        cases: |_, _, seeds| seeds,
        run: |bench, case| Box::pin(schedules::run(bench, case)),
    },
];
