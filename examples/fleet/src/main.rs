//! Discovery, balancing and restarts at work: `cargo run -p fleet`.

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fleet::{BackendFlags, BoxError, DemoFlags, demo, serve};

/// Shows three addsvc, found by discovery, behind a gateway under steady requests, while one is killed and one is restarted: a
/// line a second of who served what.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Flags {
    #[command(flatten)]
    demo: DemoFlags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Is one of the backends.
    #[command(hide = true)]
    Backend(BackendFlags),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<bool, BoxError> {
    match flags.command {
        Some(Command::Backend(flags)) => serve(flags).await.map(|()| true),
        None => demo(flags.demo, &std::env::current_exe()?).await,
    }
}

#[expect(clippy::print_stderr, reason = "the last words of the program")]
fn report(error: &dyn Error) {
    eprint!("fleet: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        eprint!(": {inner}");
        cause = inner.source();
    }
    eprintln!();
}
