//! The addsvc server: `cargo run -p addsvc`.

#![expect(clippy::print_stdout, reason = "it tells its addresses, and lines to try")]

use std::error::Error;
use std::process::ExitCode;

use addsvc::{Adder, http_service};
use axum::Router;
use axum::routing::get;
use clap::Parser;
use http::StatusCode;
use kit_base::Readiness;
use kit_serve::Server;
use tokio::sync::watch;

/// Adds numbers and joins texts, over HTTP.
#[derive(Debug, Parser)]
struct Flags {
    /// Where to serve HTTP.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
    http_addr: String,
    /// Where to serve /healthz and /readyz.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    debug_addr: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<(), Box<dyn Error>> {
    let http = Server::bind(&flags.http_addr).await?;
    let debug = Server::bind(&flags.debug_addr).await?;
    let signal = kit_serve::signal()?;
    let (http_addr, debug_addr) = (http.local_addr(), debug.local_addr());
    let readiness = Readiness::new();
    let (stop, stopped) = watch::channel(());
    let stopped = || {
        let mut stopped = stopped.clone();
        // The channel ends only with this function, which waits for both servers.
        async move { stopped.changed().await.unwrap_or(()) }
    };

    println!("addsvc: http on {http_addr}, debug on {debug_addr}; try");
    println!(r#"  curl -H 'content-type: application/json' -d '{{"a":1,"b":2}}' http://{http_addr}/sum"#);
    println!(r#"  cargo run -p addcli -- --http-addr {http_addr} --method concat 1 2"#);
    println!("  curl http://{debug_addr}/readyz");
    readiness.set(true);

    let serving = async {
        tokio::join!(
            http.serve(http_service(Adder)?, stopped()),
            debug.serve(debug_pages(readiness.clone()), stopped())
        );
        Ok::<(), Box<dyn Error>>(())
    };
    let stopping = async {
        signal.await;
        readiness.set(false);
        println!("addsvc: stopping");
        stop.send_replace(());
    };
    tokio::join!(serving, stopping).0
}

fn debug_pages(readiness: Readiness) -> Router {
    let ready = move || async move {
        match readiness.is_ready() {
            true => (StatusCode::OK, "ready\n"),
            false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        }
    };
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready))
}

#[expect(clippy::print_stderr, reason = "the last words of the program")]
fn report(error: &dyn Error) {
    eprint!("addsvc: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        eprint!(": {inner}");
        cause = inner.source();
    }
    eprintln!();
}
