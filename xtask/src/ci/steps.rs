//! The steps of every `cargo xtask ci`.

use std::path::Path;

use super::Run;
use crate::run::{Failure, Program, Result};
use crate::totals::Totals;
use crate::workspace::Workspace;
use crate::{servers, tidy};

/// The version that deny.toml is written for; a newer one may read it differently.
const CARGO_DENY: &str = "0.20.2";

/// What clippy and the tests are both given, so that libraries are resolved with the same features.
const SHARED: [&str; 2] = ["--locked", "--all-features"];

/// Tools, and the sources of every crate in the lock file: from here on the network is not needed.
pub(super) fn preflight(run: &mut Run) -> Result {
    servers::install_for_ci(&run.root)?;
    println!("{}", Program::new("rustc").arg("--version").dir(&run.root).capture()?.trim());
    Program::cargo(&run.root).args(["fetch", "--locked", "--quiet"]).run()
}

pub(super) fn fmt(run: &mut Run) -> Result {
    Program::cargo(&run.root).args(["fmt", "--all", "--check"]).run()
}

/// Warnings are denied here, on clippy's own command line: RUSTFLAGS would build every dependency again.
pub(super) fn clippy(run: &mut Run) -> Result {
    Program::cargo(&run.root)
        .args(["clippy", "--workspace", "--all-targets"])
        .args(SHARED)
        .args(["--", "-D", "warnings"])
        .run()
}

pub(super) fn tidy(run: &mut Run) -> Result {
    tidy::run(&run.root)
}

pub(super) fn deny(run: &mut Run) -> Result {
    let installed = Program::cargo(&run.root).args(["deny", "--version"]).capture().unwrap_or_default();
    if installed.split_whitespace().last() != Some(CARGO_DENY) {
        println!("installing cargo-deny {CARGO_DENY} (about 4 minutes, once)");
        if !installed.is_empty() {
            println!("(in place of {})", installed.trim());
        }
        Program::cargo(&run.root)
            .args(["install", "--locked", "--force", "--version", CARGO_DENY, "cargo-deny"])
            .run()?;
    }
    Program::cargo(&run.root).args(["deny", "--offline", "check", "bans", "licenses", "sources"]).run()
}

pub(super) fn test(run: &mut Run) -> Result {
    run_tests(&run.root, &[], &[], true, &mut run.totals)
}

/// All tests, documentation tests too, to the end even if some fail. In `ci` a missing server is a failure.
pub(super) fn run_tests(root: &Path, packages: &[String], rest: &[String], ci: bool, totals: &mut Totals) -> Result {
    let mut program = Program::cargo(root).args(["test", "--no-fail-fast"]).args(SHARED);
    program = match packages {
        [] => program.arg("--workspace"),
        packages => packages.iter().fold(program, |program, package| program.args(["-p", package])),
    };
    if !rest.is_empty() {
        program = program.arg("--").args(rest);
    }
    if ci {
        program = as_ci(program, root);
    }
    stream_tests(program, totals)
}

/// Lets a missing server be a failure, but for those that CI goes on without.
pub(super) fn as_ci(program: Program, root: &Path) -> Program {
    // Set even where it is empty: nothing that the environment says may hide more.
    program.env("CI", "true").env("KIT_TESTING_MAY_LACK", &servers::vanished(root).join(","))
}

/// Runs test programs, adding up what they report.
pub(super) fn stream_tests(program: Program, totals: &mut Totals) -> Result {
    let mut own = Totals::default();
    let result = program.stream(|line| own.read(line));
    if result.is_err() {
        own.note_crash();
    }
    let silent = own.programs == 0;
    totals.add(own);
    if result.is_ok() && silent {
        return Err(Failure::new("the tests passed without one `test result:` line: has its form changed?"));
    }
    result
}

pub(super) fn doc(run: &mut Run) -> Result {
    Program::cargo(&run.root)
        .args(["doc", "--workspace", "--no-deps"])
        .args(SHARED)
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()
}

/// Each example program as a newcomer starts it: alone, with no more features than it asks for itself. (What the
/// programs answer is the matter of their own tests, which the test step runs.)
pub(super) fn examples(run: &mut Run) -> Result {
    let workspace = Workspace::load(&run.root)?;
    let mut started = 0;
    for package in workspace.packages.iter().filter(|package| package.dir.starts_with("examples")) {
        for bin in &package.bins {
            Program::cargo(&run.root)
                .args(["run", "--quiet", "--locked", "-p", &package.name, "--bin", bin, "--", "--help"])
                .run()?;
            started += 1;
        }
    }
    println!("{started} example programs started");
    Ok(())
}

/// The bounds of a middleware, which hold on any machine: allocations and instructions, no times.
pub(super) fn bounds(run: &mut Run) -> Result {
    check_bench(run, "kit-endpoint", "layers")
}

/// Whether a benchmark keeps its bounds.
pub(super) fn check_bench(run: &Run, package: &str, bench: &str) -> Result {
    Program::cargo(&run.root)
        .args(["bench"])
        .args(SHARED)
        .args(["-p", package, "--bench", bench, "--", "--check"])
        .env("CI", "true")
        .run()
}
