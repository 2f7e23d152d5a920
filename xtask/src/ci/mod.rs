//! `cargo xtask ci`: the steps that every change passes, in order, with times and sums.

mod deep;
mod soak;
mod steps;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::run::{Failure, Result};
use crate::servers;
use crate::totals::Totals;

/// One step: what it is called, the command that runs it alone, and what it does.
struct Step {
    name: &'static str,
    alone: &'static str,
    run: fn(&mut Run) -> Result,
}

/// What the steps share.
struct Run {
    root: PathBuf,
    totals: Totals,
    soaks: Vec<soak::Soak>,
}

/// How long a step took and whether it passed; `None` for a step that was not reached.
type Outcome = Option<(Duration, bool)>;

const STEPS: &[Step] = &[
    Step { name: "preflight", alone: "cargo xtask servers git cc curl valgrind", run: steps::preflight },
    Step { name: "fmt", alone: "cargo fmt --all --check", run: steps::fmt },
    Step {
        name: "clippy",
        alone: "cargo clippy --workspace --all-targets --all-features -- -D warnings",
        run: steps::clippy,
    },
    Step { name: "tidy", alone: "cargo xtask tidy", run: steps::tidy },
    Step {
        name: "deny",
        alone: "cargo fetch --locked && cargo deny --offline check bans licenses sources",
        run: steps::deny,
    },
    Step { name: "test", alone: "cargo xtask test", run: steps::test },
    Step {
        name: "doc",
        alone: "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features",
        run: steps::doc,
    },
    Step { name: "examples", alone: "cargo run -p EXAMPLE -- --help", run: steps::examples },
    Step {
        name: "bounds",
        alone: "cargo bench -p kit-endpoint --all-features --bench layers -- --check",
        run: steps::bounds,
    },
];

const DEEP_STEPS: &[Step] = &[
    Step { name: "soak", alone: "cargo test -p CRATE --all-features --test it -- --ignored NAME", run: soak::begin },
    Step { name: "features", alone: "cargo check -p CRATE --no-default-features", run: deep::features },
    Step {
        name: "ignored",
        alone: "cargo test --workspace --all-features --profile bench --tests -- --ignored",
        run: deep::ignored,
    },
    Step { name: "benches", alone: "cargo bench --workspace --all-features --no-run", run: deep::benches },
    Step { name: "prices", alone: "cargo bench -p addsvc --bench http -- --check", run: deep::prices },
    Step { name: "soaked", alone: "cargo test -p CRATE --all-features --test it -- --ignored NAME", run: soak::end },
];

/// Runs all steps up to the first that fails, then says how each one went.
pub(crate) fn run(root: &Path, deep: bool) -> Result {
    let steps: Vec<&Step> = STEPS.iter().chain(if deep { DEEP_STEPS } else { &[] }).collect();
    let mut run = Run { root: root.to_owned(), totals: Totals::default(), soaks: Vec::new() };
    let (outcomes, result) = run_steps(&steps, &mut run);
    println!("\n{}", summary(&steps, &outcomes));
    println!("{}", run.totals.report());
    for name in servers::vanished(root) {
        println!("{}", servers::vanished_line(name));
    }
    result
}

/// The tests alone; all of the workspace when no package is named.
pub(crate) fn test(root: &Path, packages: &[String], rest: &[String]) -> Result {
    let mut totals = Totals::default();
    let result = steps::run_tests(root, packages, rest, false, &mut totals);
    println!("\n{}", totals.report());
    result
}

/// Formatting and clippy.
pub(crate) fn lint(root: &Path) -> Result {
    let mut run = Run { root: root.to_owned(), totals: Totals::default(), soaks: Vec::new() };
    steps::fmt(&mut run)?;
    steps::clippy(&mut run)
}

fn run_steps(steps: &[&Step], run: &mut Run) -> (Vec<Outcome>, Result) {
    let mut outcomes = vec![None; steps.len()];
    for (step, outcome) in steps.iter().zip(&mut outcomes) {
        println!("\n==> {}", step.name);
        let start = Instant::now();
        let result = (step.run)(run);
        let took = start.elapsed();
        *outcome = Some((took, result.is_ok()));
        if let Err(failure) = result {
            let text = format!("step `{}`: {failure}\nrun it alone: {}", step.name, step.alone);
            return (outcomes, Err(Failure(text)));
        }
        println!("<== {}: {:.1} s", step.name, took.as_secs_f64());
    }
    (outcomes, Ok(()))
}

fn summary(steps: &[&Step], outcomes: &[Outcome]) -> String {
    let mut text = format!("{:<10} {:>9}\n", "step", "seconds");
    let mut total = Duration::ZERO;
    for (step, outcome) in steps.iter().zip(outcomes) {
        let (seconds, word) = match outcome {
            Some((took, passed)) => {
                total += *took;
                (format!("{:.1}", took.as_secs_f64()), if *passed { "ok" } else { "FAILED" })
            }
            None => ("-".to_owned(), "not run"),
        };
        text.push_str(&format!("{:<10} {seconds:>9}  {word}\n", step.name));
    }
    text.push_str(&format!("{:<10} {:>9.1}\n", "total", total.as_secs_f64()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Step = Step { name: "good", alone: "cargo good", run: |_| Ok(()) };
    const BAD: Step = Step { name: "bad", alone: "cargo bad", run: |_| Err(Failure::new("it broke")) };

    #[test]
    fn the_first_failure_stops_the_run_and_names_the_command_that_repeats_it() {
        let steps = [&GOOD, &BAD, &GOOD];
        let mut run = Run { root: PathBuf::new(), totals: Totals::default(), soaks: Vec::new() };
        let (outcomes, result) = run_steps(&steps, &mut run);
        assert_eq!(result.unwrap_err().to_string(), "step `bad`: it broke\nrun it alone: cargo bad");
        let lines = summary(&steps, &outcomes);
        let words: Vec<_> = lines.lines().filter_map(|line| line.split_once("  ").map(|_| line)).collect();
        assert!(words[1].starts_with("good") && words[1].ends_with("ok"), "{lines}");
        assert!(words[2].starts_with("bad") && words[2].ends_with("FAILED"), "{lines}");
        assert!(words[3].starts_with("good") && words[3].ends_with("not run"), "{lines}");
    }

    #[test]
    fn all_steps_run_when_none_fails() {
        let mut run = Run { root: PathBuf::new(), totals: Totals::default(), soaks: Vec::new() };
        let (outcomes, result) = run_steps(&[&GOOD, &GOOD], &mut run);
        assert!(result.is_ok());
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Some((_, true)))));
    }
}
