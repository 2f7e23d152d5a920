//! Calls addsvc: `cargo run -p addcli -- 1 2`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use addsvc::{Add, AddError, ConcatRequest, SumRequest, grpc_client, http_client};
use clap::{Parser, ValueEnum};
use kit_base::{Context, Deadline};

/// Calls addsvc, and prints what it answers.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  addcli 1 2\n  addcli --method concat a b\n  addcli --method concat -- -a -b")]
struct Flags {
    /// Where addsvc serves HTTP.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
    http_addr: String,
    /// Where addsvc serves gRPC. If given, it is called there.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "http_addr")]
    grpc_addr: Option<String>,
    /// What to call.
    #[arg(long, value_enum, default_value_t = Method::Sum)]
    method: Method,
    /// How long to wait: 300ms, 2s, 1m.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// The first number, or text.
    #[arg(allow_negative_numbers = true)]
    a: String,
    /// The second one.
    #[arg(allow_negative_numbers = true)]
    b: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Method {
    Sum,
    Concat,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(help) => {
            // Nothing to be done where even that cannot be printed.
            let _ = help.print();
            return if help.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match run(flags).await {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            report(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<String, Box<dyn Error>> {
    match &flags.grpc_addr {
        Some(addr) => call(grpc_client(&url(addr)?)?, &flags).await,
        None => call(http_client(&url(&flags.http_addr)?)?, &flags).await,
    }
}

fn url(addr: &str) -> Result<String, String> {
    match addr.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok() => {
            Ok(format!("http://{addr}"))
        }
        _ => Err(format!("{addr:?} is no address: want host:port")),
    }
}

/// Calls the service, wherever it is.
async fn call(add: impl Add, Flags { method, timeout, a, b, .. }: &Flags) -> Result<String, Box<dyn Error>> {
    let cx = Context::new().with_deadline(Deadline::after(Instant::now(), *timeout));
    match method {
        Method::Sum => {
            let (a, b) = (number(a)?, number(b)?);
            let reply = add.sum(&cx, SumRequest { a, b }).await?;
            Ok(format!("{a} + {b} = {}", reply.v))
        }
        Method::Concat => {
            let reply = add.concat(&cx, ConcatRequest { a: a.clone(), b: b.clone() }).await?;
            Ok(format!("{a:?} + {b:?} = {:?}", reply.v))
        }
    }
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("{text:?} is not a whole number of 64 bits"))
}

/// The error and its causes. The service's own errors stand alone, as Go kit's addcli prints them.
fn report(error: &(dyn Error + 'static)) {
    let own = error.downcast_ref::<AddError>().is_some_and(|error| !matches!(error, AddError::Other(_)));
    eprint!("error: {error}");
    let mut cause = error.source().filter(|_| !own);
    while let Some(inner) = cause {
        eprint!(": {inner}");
        cause = inner.source();
    }
    eprintln!();
}
