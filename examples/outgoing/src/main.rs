//! Circuit breakers around a plain app's outgoing clients: `cargo run -p outgoing`.

use std::io::Write as _;
use std::time::Duration;

use clap::{Parser, Subcommand};
use outgoing::{Clients, app, demo};
use tokio::net::TcpListener;

/// Shows what circuit breakers around the reqwest and tonic clients of a plain axum app do: services that fail, circuits that
/// open, refuse, try and close again, and what the callers of the app see.
#[derive(Debug, Parser)]
struct Flags {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Is the app alone, until it is stopped.
    Serve(ServeFlags),
}

#[derive(Debug, clap::Args)]
struct ServeFlags {
    /// Where to serve HTTP.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8000")]
    http_addr: String,
    /// Where the quotes service is: any page over HTTP.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8001/")]
    quotes_url: String,
    /// Where the health service is: any server with gRPC's health service.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8082")]
    health_url: String,
    /// How long a service may take to answer.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = humantime::parse_duration)]
    limit: Duration,
    /// How long a circuit stays open.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    open_for: Duration,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Flags::parse().command {
        Some(Command::Serve(flags)) => serve(flags).await,
        None => demo().await,
    }
}

async fn serve(flags: ServeFlags) -> anyhow::Result<()> {
    let clients = Clients::new(flags.health_url, flags.limit, flags.open_for)?;
    let listener = TcpListener::bind(&flags.http_addr).await?;
    // A closed standard output is no reason not to serve.
    let _ = writeln!(std::io::stdout(), "outgoing: http on {}", listener.local_addr()?);
    Ok(axum::serve(listener, app(clients, flags.quotes_url)).await?)
}
