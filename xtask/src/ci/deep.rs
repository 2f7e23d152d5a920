//! The steps that only `cargo xtask ci --deep` takes.

use super::steps::{as_ci, check_bench, stream_tests};
use super::{Run, soak};
use crate::run::{Program, Result};
use crate::workspace::{Package, Workspace};

/// Builds each published crate alone: in the workspace, another crate may bring a feature that this one forgot.
pub(super) fn features(run: &mut Run) -> Result {
    let workspace = Workspace::load(&run.root)?;
    let mut built = 0;
    for package in workspace.packages.iter().filter(|package| package.published()) {
        for flags in feature_sets(package) {
            Program::cargo(&run.root).args(["check", "--quiet", "--locked", "-p", &package.name]).args(flags).run()?;
            built += 1;
        }
    }
    println!("{built} combinations built");
    Ok(())
}

/// No features, the default ones, and each one by itself.
fn feature_sets(package: &Package) -> Vec<Vec<String>> {
    let none = || vec!["--no-default-features".to_owned()];
    let mut sets = vec![none()];
    for feature in &package.features {
        if feature == "default" {
            sets.push(Vec::new());
        } else {
            let mut set = none();
            set.extend(["--features".to_owned(), feature.clone()]);
            sets.push(set);
        }
    }
    sets
}

/// The tests marked `#[ignore]`, those that take long: optimised, since some of them measure,
/// and in the profile of the benches, which are built from the same libraries right after.
/// Where the test step has left none out, there is nothing to build for.
pub(super) fn ignored(run: &mut Run) -> Result {
    if run.totals.ignored == 0 {
        println!("no test is marked `#[ignore]`");
        return Ok(());
    }
    let program = Program::cargo(&run.root)
        .args(["test", "--workspace", "--all-features", "--locked", "--profile", "bench", "--no-fail-fast"])
        .args(["--tests", "--", "--ignored"])
        .args(soak::names().flat_map(|name| ["--skip", name]));
    let result = stream_tests(as_ci(program, &run.root), &mut run.totals);
    // They have run now: what the test step left out is no longer left out.
    if result.is_ok() {
        run.totals.ignored = 0;
        run.totals.ignored_names.clear();
    }
    result
}

pub(super) fn benches(run: &mut Run) -> Result {
    Program::cargo(&run.root).args(["bench", "--workspace", "--all-features", "--locked", "--no-run"]).run()
}

/// What a request, a pick, a circuit breaker and a rate limit cost, beside what a user would take instead: in instructions.
pub(super) fn prices(run: &mut Run) -> Result {
    check_bench(run, "kit-lb", "pick")?;
    check_bench(run, "kit-breaker", "breaker")?;
    check_bench(run, "kit-ratelimit", "ratelimit")?;
    check_bench(run, "addsvc", "http")?;
    check_bench(run, "addsvc", "grpc")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::fixture::Fixture;

    #[test]
    fn a_crate_is_built_with_no_the_default_and_each_feature() {
        let fixture = Fixture::new();
        fixture.crate_with("kit-base", "[features]\ndefault = [\"a\"]\na = []\nb = []\n");
        let workspace = fixture.load();
        let sets = feature_sets(workspace.package("kit-base").unwrap());
        let mut sets: Vec<String> = sets.iter().map(|set| set.join(" ")).collect();
        sets.sort();
        assert_eq!(
            sets,
            ["", "--no-default-features", "--no-default-features --features a", "--no-default-features --features b",]
        );
    }
}
