//! Calls addsvc: `cargo run -p addcli -- 1 2`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]

mod breaker;

use std::error::Error;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use addsvc::{Add, AddError, ConcatRequest, SumRequest, grpc_client, http_client};
use clap::builder::ArgPredicate;
use clap::{Parser, ValueEnum};
use kit_base::{Context, Deadline};
use tokio::time::sleep;

/// Calls addsvc, and prints what it answers.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  addcli 1 2
  addcli --method concat a b
  addcli --method concat -- -a -b
  addcli --breaker 1 2                          # stop addsvc first: six failures, then refusals
  addcli --breaker --times 60 --pause 1s 1 2    # stop addsvc meanwhile, and start it again")]
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
    /// How long to wait for an answer: 300ms, 2s, 1m.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// How often to call, one call after the other. 10 with --breaker unless given.
    #[arg(long, value_name = "N", default_value = "1", default_value_if("breaker", ArgPredicate::IsPresent, "10"))]
    times: NonZeroU32,
    /// How long to wait before each further call.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    pause: Duration,
    /// Puts a circuit breaker around each method, as Go kit's clients do: after six failures in a row it refuses calls for 30s
    /// (concat: 10s) without asking addsvc, then lets one try. An error of addsvc's own is no failure.
    #[arg(long)]
    breaker: bool,
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
        Ok(code) => code,
        Err(error) => {
            report(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<ExitCode, Box<dyn Error>> {
    let add = match &flags.grpc_addr {
        Some(addr) => grpc_client(&url(addr)?)?,
        None => http_client(&url(&flags.http_addr)?)?,
    };
    match flags.breaker {
        true => Ok(calls(breaker::around(add)?, &flags).await),
        false => Ok(calls(add, &flags).await),
    }
}

/// Calls as often as wanted, and tells how each call went. The code tells whether all went well.
async fn calls(add: impl Add, flags: &Flags) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for n in 0..flags.times.get() {
        if n > 0 && !flags.pause.is_zero() {
            sleep(flags.pause).await;
        }
        match call(&add, flags).await {
            Ok(line) => println!("{line}"),
            Err(error) => {
                report(&*error);
                code = ExitCode::FAILURE;
            }
        }
    }
    code
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
async fn call(add: &impl Add, Flags { method, timeout, a, b, .. }: &Flags) -> Result<String, Box<dyn Error>> {
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
    let (own, other) = match error.downcast_ref() {
        Some(AddError::Other(error)) => (false, Some(error)),
        other => (other.is_some(), None),
    };
    eprint!("error: {error}");
    let mut cause = error.source().filter(|_| !own);
    while let Some(inner) = cause {
        eprint!(": {inner}");
        cause = inner.source();
    }
    if let Some(after) = other.and_then(kit_base::Error::retry_after) {
        eprint!(", retry in {}s", after.as_secs_f64().ceil());
    }
    eprintln!();
}
