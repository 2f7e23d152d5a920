//! Discovery, balancing and restarts at work: `cargo run -p fleet`.

use std::error::Error;

use clap::{Parser, Subcommand};
use fleet::{BackendFlags, serve};

/// Shows a fleet of addsvc behind a gateway.
#[derive(Debug, Parser)]
struct Flags {
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
async fn main() -> Result<(), Box<dyn Error>> {
    match Flags::parse().command {
        Some(Command::Backend(flags)) => serve(flags).await,
        None => Ok(()),
    }
}
