//! `cargo xtask`: everything this workspace does that is more than one cargo command.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program talks on its terminal")]

mod bench;
mod ci;
mod run;
mod servers;
mod tidy;
mod totals;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The workspace's own commands.
///
/// `cargo xtask ci` is what every change must pass. The others are parts of it, for while you work.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    after_help = "\
Typical day:
  cargo xtask test -p kit-base    the tests of what you are changing
  cargo xtask lint                before you commit
  cargo xtask ci                  before you push"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every check, as CI does; stops at the first failure and says how to run that step alone
    ///
    /// Steps: preflight (tools; installs what is missing), fmt, clippy, tidy, deny, test, doc, examples.
    /// The last line is `N passed, M failed`, over unit, integration and documentation tests.
    /// Use it before you push. Sets CI=true, so that a test whose server or tool is missing fails instead of skipping.
    #[command(
        after_help = "Examples:\n  cargo xtask ci\n  cargo xtask ci --deep    also what is long: once a week, and before a release"
    )]
    Ci {
        /// Also: each crate alone with each of its features, the ignored tests in release mode, benches compiled
        #[arg(long)]
        deep: bool,
    },
    /// Run the tests of the workspace, or of some packages
    ///
    /// Unit, integration and documentation tests with all features, added up at the end. A test that needs a
    /// missing server or tool skips with a printed line, unless CI is set in the environment.
    #[command(
        after_help = "Examples:\n  cargo xtask test\n  cargo xtask test -p kit-base\n  cargo xtask test -p kit-base -- deadline    only tests with that in their name"
    )]
    Test {
        /// Only this package; may be given more than once
        #[arg(short, long = "package", value_name = "CRATE")]
        packages: Vec<String>,
        /// Handed to the test programs
        #[arg(last = true, value_name = "ARGS")]
        rest: Vec<String>,
    },
    /// Check formatting and clippy's lints, as CI does
    ///
    /// Changes nothing. `cargo fmt` repairs the first half, `cargo clippy --fix` part of the second.
    #[command(after_help = "Example:\n  cargo xtask lint")]
    Lint,
    /// Check the rules that compilers do not: the star, files, docs, manifests, links
    ///
    /// Takes a few seconds and builds nothing. Each finding is `path:line: message` and how to mend it.
    /// The rules are those of crates/README.md; each check is a file in xtask/src/tidy.
    #[command(after_help = "Example:\n  cargo xtask tidy")]
    Tidy,
    /// Install the real servers and clients that tests and benches need, on a Debian machine
    ///
    /// Says what it does, and does nothing the second time. Debian packages need root; without root it prints the
    /// line to run and fails. Packages of Python, of npm and of other suites of
    /// Debian go into target/servers.
    #[command(
        after_help = "Examples:\n  cargo xtask servers            everything that is known\n  cargo xtask servers curl wrk   only these\n  cargo xtask servers --check    what is here and what is not; installs nothing"
    )]
    Servers {
        /// Which ones; all when none is named
        names: Vec<String>,
        /// Only report; fails when something is missing
        #[arg(long)]
        check: bool,
    },
    /// Run the benchmarks of the workspace, of one package, or one of them
    ///
    /// Runs each benchmark in release mode and prints where the results are. Do not use the machine meanwhile.
    #[command(
        after_help = "Examples:\n  cargo xtask bench             all\n  cargo xtask bench kit-base    those of a package\n  cargo xtask bench layers      the one of that name"
    )]
    Bench {
        /// A package or a benchmark
        name: Option<String>,
        /// Handed to the benchmark programs
        #[arg(last = true, value_name = "ARGS")]
        rest: Vec<String>,
    },
}

fn main() -> ExitCode {
    let root = workspace::root();
    let result = match Cli::parse().command {
        Command::Ci { deep } => ci::run(&root, deep),
        Command::Test { packages, rest } => ci::test(&root, &packages, &rest),
        Command::Lint => ci::lint(&root),
        Command::Tidy => tidy::run(&root),
        Command::Servers { names, check } => servers::run(&root, &names, check),
        Command::Bench { name, rest } => bench::run(&root, name.as_deref(), &rest),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_explains_itself_with_an_example() {
        let mut cli = Cli::command();
        cli.build();
        for command in cli.get_subcommands_mut().filter(|command| command.get_name() != "help") {
            let name = command.get_name().to_owned();
            let help = command.render_long_help().to_string();
            assert!(help.contains(&format!("cargo xtask {name}")), "{name} shows no example:\n{help}");
            assert!(command.get_long_about().is_some(), "{name} does not say when to use it");
        }
    }

    #[test]
    fn the_options_are_well_formed() {
        Cli::command().debug_assert();
    }
}
