//! Requests a second, and the processor time of the server for each: rounds in turn, so that what disturbs the machine
//! disturbs all of them.

use std::error::Error;
use std::time::Duration;

use crate::figures::{cpu, median};
use crate::load::Connections;
use crate::servers::{AXUM, HYPER, NAMES};
use crate::subject::Serving;

/// Odd, so that there is a median.
const ROUNDS: usize = 7;
const SAMPLE: Duration = Duration::from_secs(2);
const CONNECTIONS: usize = 32;

/// What one sample has shown.
#[derive(Clone, Copy, Debug)]
struct Sample {
    per_second: f64,
    /// Microseconds of the server's processor time for a request.
    cpu: f64,
}

pub(crate) fn print() -> Result<(), Box<dyn Error>> {
    let servers = NAMES.iter().map(|name| Serving::start(name, None)).collect::<Result<Vec<_>, _>>()?;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let mut samples = vec![None; servers.len()];
        for step in 0..servers.len() {
            // Each round in the other direction.
            let at = if round % 2 == 0 { step } else { servers.len() - 1 - step };
            samples[at] = Some(sample(&servers[at])?);
        }
        rounds.push(samples.into_iter().flatten().collect::<Vec<_>>());
    }
    println!("{CONNECTIONS} connections, medians of {ROUNDS} rounds of {SAMPLE:?}; ratios within a round\n");
    println!(
        "| server | requests/s | over axum | over hyper | cpu us/request | over axum | over hyper |\n|---|--:|--:|--:|--:|--:|--:|"
    );
    for (at, name) in NAMES.iter().enumerate() {
        let figure = |of: &dyn Fn(&[Sample]) -> f64| median(rounds.iter().map(|round| of(round)));
        println!(
            "| {name} | {:.0} | {:.2} | {:.2} | {:.1} | {:.2} | {:.2} |",
            figure(&|round| round[at].per_second),
            figure(&|round| round[at].per_second / round[AXUM].per_second),
            figure(&|round| round[at].per_second / round[HYPER].per_second),
            figure(&|round| round[at].cpu),
            figure(&|round| round[at].cpu / round[AXUM].cpu),
            figure(&|round| round[at].cpu / round[HYPER].cpu),
        );
    }
    println!();
    Ok(())
}

fn sample(server: &Serving) -> Result<Sample, Box<dyn Error>> {
    let before = cpu(server.pid())?;
    let (answered, took) = Connections::open(server.addr, CONNECTIONS)?.saturate(SAMPLE)?;
    let answered = answered as f64;
    Ok(Sample { per_second: answered / took.as_secs_f64(), cpu: (cpu(server.pid())? - before) / answered * 1e6 })
}
