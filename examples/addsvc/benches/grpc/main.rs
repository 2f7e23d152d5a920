//! What a unary call costs over gRPC: kit's server and client beside bare tonic's.
//!
//! `cargo bench -p addsvc --bench grpc` prints the tables; `-- --check` counts instructions only, and fails when kit needs more
//! than 600 over tonic. The subjects run in processes of their own, this program again, so that nothing else is counted.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the tables are what this program is for")]

mod bare;
mod clients;
#[path = "../common/figures.rs"]
mod figures;
mod load;
mod servers;
mod service;
#[path = "../common/subject.rs"]
mod subject;
mod throughput;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use kit_testing::tools;

/// The most instructions that kit may need over tonic.
const MARGIN: f64 = 600.0;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<&str> = args.iter().map(String::as_str).filter(|arg| *arg != "--bench").collect();
    match args[..] {
        [subject::SERVE, name] => servers::serve(name).map(|()| ExitCode::SUCCESS),
        [subject::CALL, name, url, calls] => clients::call(name, url, calls.parse()?).map(|()| ExitCode::SUCCESS),
        [subject::SATURATE, name, url, at_once, millis] => {
            let time = Duration::from_millis(millis.parse()?);
            clients::saturate(name, url, at_once.parse()?, time).map(|()| ExitCode::SUCCESS)
        }
        // `cargo test --benches`: that each of them answers is all there is to see.
        [] if !std::env::args().any(|arg| arg == "--bench") => smoke(),
        ["--check"] => counts(),
        [] => {
            let code = counts()?;
            throughput::print()?;
            Ok(code)
        }
        _ => Err(format!("unknown arguments {args:?}: want none, or `--check`").into()),
    }
}

fn smoke() -> Result<ExitCode, Box<dyn Error>> {
    for name in servers::NAMES {
        let server = subject::Serving::start(name, None)?;
        load::Connections::open(server.addr, 1)?.requests(1)?;
        for client in clients::NAMES {
            subject::call(client, server.addr, 1, None)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Instructions, where valgrind can count them.
fn counts() -> Result<ExitCode, Box<dyn Error>> {
    if !tools::skip_unless("valgrind") {
        return Ok(ExitCode::SUCCESS);
    }
    println!("instructions of the process a call, on one connection\n");
    let server = table("server", &servers::NAMES, |name| {
        figures::difference(|requests, file| {
            let server = subject::Serving::start(name, Some(file))?;
            load::Connections::open(server.addr, 1)?.requests(requests)?;
            server.stop()
        })
    })?;
    let client = table("client", &clients::NAMES, |name| {
        let server = subject::Serving::start(servers::NAMES[servers::TONIC], None)?;
        figures::difference(|calls, file| subject::call(name, server.addr, calls, Some(file)))
    })?;
    for (what, over) in [("server", server), ("client", client)] {
        if over > MARGIN {
            println!("broken: kit's {what} needs {over:.0} instructions over tonic's, more than {MARGIN}");
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the counts; those of kit, which stands second, over tonic's.
fn table(
    title: &str,
    names: &[&str],
    count: impl Fn(&str) -> Result<f64, Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    println!("| {title} | instructions | over tonic |\n|---|--:|--:|");
    let mut counts = Vec::new();
    for name in names {
        counts.push(count(name)?);
        let (last, first) = (counts[counts.len() - 1], counts[0]);
        println!("| {name} | {last:.0} | {:.0} |", last - first);
    }
    println!();
    Ok(counts[1] - counts[0])
}
