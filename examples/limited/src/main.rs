//! Rate limits around a plain router and a plain tonic server: `cargo run -p limited`.

use std::io::Write as _;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use limited::{demo, serve_rpc, serve_web};
use tokio::net::TcpListener;

/// Shows what rate limits around a plain axum router and a plain tonic server do: a flood of which they let through what they
/// should, refusals that say when to come back, and clients that have a limit each.
#[derive(Debug, Parser)]
struct Flags {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves, until it is stopped.
    Serve(ServeFlags),
}

#[derive(Debug, clap::Args)]
struct ServeFlags {
    /// Where to serve HTTP.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8000")]
    http_addr: String,
    /// Where to serve gRPC.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8082")]
    grpc_addr: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Flags::parse().command {
        Some(Command::Serve(flags)) => serve(flags).await,
        None => demo().await,
    }
}

async fn serve(flags: ServeFlags) -> anyhow::Result<()> {
    let (web, rpc) = (listen(&flags.http_addr).await?, listen(&flags.grpc_addr).await?);
    let (http, grpc) = (web.local_addr()?, rpc.local_addr()?);
    // A closed standard output is no reason not to serve.
    let _ = writeln!(
        std::io::stdout(),
        r"limited: http on {http}, grpc on {grpc}
try
  curl -i 'http://{http}/?[1-8]'
  curl -i http://{http}/mine    # and --interface 127.0.0.2
  printf '\0\0\0\0\0' | curl --http2-prior-knowledge --data-binary @- -sD- -o/dev/null \
    -H 'content-type: application/grpc' http://{grpc}/grpc.health.v1.Health/Check"
    );
    tokio::select! {
        served = serve_web(web) => Ok(served?),
        served = serve_rpc(rpc) => Ok(served?),
    }
}

async fn listen(addr: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr:?}"))
}
