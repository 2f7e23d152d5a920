//! Broken layers, each caught by its law, and their correct twins, which are accused of nothing.
//!
//! The bugs that peers had to fix, by their numbers in our survey, and the test that has one of each:
//!
//! | bug | test |
//! |---|---|
//! | 1 over-admission | `limits::who_has_waited_gets_in_without_a_place`, `limits::two_threads_take_the_last_place` |
//! | 2 half-open races | `circuits::admission_that_counts_finished_probes`, `circuits::a_probe_that_looks_for_its_place_...` |
//! | 3 half-open stuck | `circuits::a_probe_that_left_and_keeps_its_place` and those beside it |
//! | 4 asked after readiness | `circuits::a_circuit_that_is_asked_behind_poll_ready`, `..._behind_a_wait` |
//! | 5 hedges | `retries::a_hedge_whose_loser_goes_on`, `retries::a_hedge_of_what_is_not_idempotent` |
//! | 6 no readiness | `retries::a_second_attempt_that_asks_for_no_readiness` |
//! | 7 leaked permits | `permits` |
//! | 8 weights by clone | `selections::a_router_whose_clones_count_from_zero` |
//! | 9 reconnect | `selections::a_reconnect_that_keeps_the_broken_connection` |
//! | 10 first estimate | `selections::an_estimate_that_is_too_high` |
//! | 11 fresh context | `passing::a_request_gets_a_fresh_context`, `passing::a_part_of_the_context_is_lost` |
//! | 13 queue without end | `waiting::a_queue_keeps_calls_past_their_deadline` |
//! | 14 minimum sample | `retries::a_retry_that_needs_a_sample_of_calls` |
//!
//! 12 (a setting that is no number) is met by the constructors, and 15 (a watcher's tight loop) by the crates of discovery.

mod circuits;
mod limits;
mod passing;
mod permits;
mod readiness;
mod retries;
mod selections;
mod waiting;

use std::future::poll_fn;

use kit_base::Request;
use kit_testing::laws::{Fault, Inner, Law, Laws};
use tower_service::Service;

/// Which of two layers that differ in the one wrong line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Broken,
    Right,
}

use Version::{Broken, Right};

/// The plainest finding is of this law, and its run can be played again.
#[track_caller]
pub(crate) fn caught(law: Law, laws: impl Fn() -> Laws) {
    let report = laws().report();
    assert_eq!(report.law(), Some(law), "in {} runs\n{report}", report.runs());
    let first = &report.findings()[0];
    let again = laws().replay(first.seed()).report();
    assert_eq!(again.law(), Some(law), "played again\n{again}");
    let second = &again.findings()[0];
    assert_eq!((first.found(), first.steps()), (second.found(), second.steps()));
}

/// Only a race of threads shows it. On a busy machine threads may miss each other, so they may race a few times.
#[track_caller]
pub(crate) fn caught_by_threads(law: Law, laws: impl Fn() -> Laws) {
    accused_of_nothing(laws().without_threads());
    let caught = (0..20).any(|_| laws().replay("threads/0").report().law() == Some(law));
    assert!(caught, "twenty races of threads did not show that the layer breaks {law:?}");
}

#[track_caller]
pub(crate) fn accused_of_nothing(laws: Laws) {
    let report = laws.report();
    assert!(report.findings().is_empty(), "a correct layer is accused\n{report}");
}

/// The broken version breaks this law, and the right one none.
#[track_caller]
fn told_apart(law: Law, laws: impl Fn(Version) -> Laws) {
    caught(law, || laws(Broken));
    accused_of_nothing(laws(Right));
}

/// Waits until the service inside is ready for a message.
async fn ready(inner: &mut Inner) -> Result<(), Fault> {
    poll_fn(|cx| Service::<Request<u64>>::poll_ready(inner, cx)).await
}

/// The correct layers of all files, for checks with more seeds.
pub(crate) fn twins() -> Vec<(&'static str, Laws)> {
    let limits = [limits::twins(), permits::twins(), passing::twins(), readiness::twins(), waiting::twins()];
    let policies = [circuits::twins(), retries::twins(), selections::twins()];
    limits.into_iter().chain(policies).flatten().collect()
}

/// Broken layers of all kinds, for checks of the reports.
pub(crate) fn some() -> Vec<(&'static str, Laws)> {
    [circuits::broken(), retries::broken(), selections::broken()].into_iter().flatten().collect()
}
