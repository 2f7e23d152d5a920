//! What a JSON request costs over HTTP/1.1: kit's server beside bare hyper and axum, kit's client beside bare reqwest.
//!
//! `cargo bench -p addsvc --bench http` prints the tables; `-- --check` counts instructions only, and fails when kit's
//! server needs more of them than axum's. The subjects run in processes of their own, this program again, so that nothing
//! else is counted.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the tables are what this program is for")]

mod callgrind;
mod clients;
#[path = "../common/figures.rs"]
mod figures;
mod load;
mod memory;
mod servers;
mod service;
#[path = "../common/subject.rs"]
mod subject;
mod throughput;

use std::error::Error;
use std::process::ExitCode;

use kit_testing::tools;

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
        // `cargo test --benches`: that each of them answers is all there is to see.
        [] if !std::env::args().any(|arg| arg == "--bench") => smoke(),
        ["--check"] => counts(),
        [] => {
            let code = counts()?;
            throughput::print()?;
            memory::print()?;
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
    println!(
        "instructions of the process a request, on one connection\n\n| server | instructions | over hyper |\n|---|--:|--:|"
    );
    let mut counts = Vec::new();
    for name in servers::NAMES {
        let count = callgrind::server(name)?;
        counts.push(count);
        println!("| {name} | {count:.0} | {:.0} |", count - counts[servers::HYPER]);
    }
    println!("\n| client | instructions | over reqwest |\n|---|--:|--:|");
    let mut reqwest = None;
    for name in clients::NAMES {
        let count = callgrind::client(name)?;
        println!("| {name} | {count:.0} | {:.0} |", count - *reqwest.get_or_insert(count));
    }
    println!();
    if counts[servers::KIT] > counts[servers::AXUM] {
        println!("broken: kit's server needs more instructions than axum's");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
