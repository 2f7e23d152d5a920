//! Broken layers, each caught by its law, and their correct twins, which are accused of nothing.

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
