//! Discovery, balancing and restarts at work: `cargo run -p fleet`.

use clap::{Parser, Subcommand};
use fleet::{BackendFlags, DemoFlags, demo, serve};

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
async fn main() -> anyhow::Result<()> {
    let Flags { demo: flags, command } = Flags::parse();
    match command {
        Some(Command::Backend(flags)) => serve(flags).await,
        None => demo(flags, &std::env::current_exe()?).await,
    }
}
