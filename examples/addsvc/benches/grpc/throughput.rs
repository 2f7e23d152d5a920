//! Calls a second, and processor time for each, of servers and of clients: rounds in turn, so that what disturbs the machine
//! disturbs all of them.

use std::error::Error;
use std::time::Duration;

use crate::figures::{cpu, median};
use crate::load::Connections;
use crate::subject::{self, Serving};
use crate::{clients, servers};

/// Odd, so that there is a median.
const ROUNDS: usize = 7;
const SAMPLE: Duration = Duration::from_secs(2);
const CONNECTIONS: usize = 8;
pub(crate) const AT_ONCE: usize = 8;

/// What one sample has shown.
#[derive(Clone, Copy, Debug)]
struct Sample {
    per_second: f64,
    /// Microseconds of processor time for a call.
    cpu: f64,
}

pub(crate) fn print() -> Result<(), Box<dyn Error>> {
    let running = servers::NAMES.iter().map(|name| Serving::start(name, None)).collect::<Result<Vec<_>, _>>()?;
    println!(
        "{CONNECTIONS} connections with {AT_ONCE} calls at once on each, medians of {ROUNDS} rounds of {SAMPLE:?}; ratios within a round\n"
    );
    table("server", &servers::NAMES, |at| {
        let server = &running[at];
        let before = cpu(server.pid())?;
        let (answered, took) = Connections::open(server.addr, CONNECTIONS)?.saturate(AT_ONCE, SAMPLE)?;
        let answered = answered as f64;
        Ok(Sample { per_second: answered / took.as_secs_f64(), cpu: (cpu(server.pid())? - before) / answered * 1e6 })
    })?;
    println!("clients, with {} calls at once over what each connects, to kit's server\n", CONNECTIONS * AT_ONCE);
    let server = &running[servers::KIT];
    let client = |name: &str| {
        let said = subject::saturate(name, server.addr, CONNECTIONS * AT_ONCE, SAMPLE)?;
        let figures = said.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        let [calls, took, cpu] = figures[..] else { return Err(format!("a client said {said:?}").into()) };
        Ok(Sample { per_second: calls / took, cpu: cpu / calls * 1e6 })
    };
    table("client", &clients::NAMES, |at| client(clients::NAMES[at]))?;
    table("client", &clients::ON_TWO_THREADS, |at| client(clients::ON_TWO_THREADS[at]))
}

fn table(
    title: &str,
    names: &[&str],
    sample: impl Fn(usize) -> Result<Sample, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let mut samples = vec![None; names.len()];
        for step in 0..names.len() {
            // Each round in the other direction.
            let at = if round % 2 == 0 { step } else { names.len() - 1 - step };
            samples[at] = Some(sample(at)?);
        }
        rounds.push(samples.into_iter().flatten().collect::<Vec<_>>());
    }
    println!(
        "| {title} | calls/s | over tonic | cpu us/call | calls per cpu-second over tonic |\n|---|--:|--:|--:|--:|"
    );
    for (at, name) in names.iter().enumerate() {
        let figure = |of: &dyn Fn(&[Sample]) -> f64| median(rounds.iter().map(|round| of(round)));
        println!(
            "| {name} | {:.0} | {:.2} | {:.1} | {:.2} |",
            figure(&|round| round[at].per_second),
            figure(&|round| round[at].per_second / round[0].per_second),
            figure(&|round| round[at].cpu),
            figure(&|round| round[0].cpu / round[at].cpu),
        );
    }
    println!();
    Ok(())
}
