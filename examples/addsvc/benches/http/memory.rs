//! What a kept connection takes of the server's memory.

use std::error::Error;
use std::fs;

use crate::load::Connections;
use crate::servers::NAMES;
use crate::subject::Serving;

const FEW: usize = 64;
/// Less than the usual limit of open files.
const MANY: usize = 900;

pub(crate) fn print() -> Result<(), Box<dyn Error>> {
    println!(
        "resident memory\n\n| server | idle, KiB | {FEW} connections, KiB | each further one, KiB |\n|---|--:|--:|--:|"
    );
    for name in NAMES {
        let server = Serving::start(name, None)?;
        let idle = resident(server.pid())?;
        let few = Connections::open(server.addr, FEW)?;
        let at_few = resident(server.pid())?;
        let many = Connections::open(server.addr, MANY)?;
        let each = (resident(server.pid())? - at_few) / MANY as f64;
        println!("| {name} | {idle:.0} | {at_few:.0} | {each:.1} |");
        drop((few, many));
    }
    println!();
    Ok(())
}

/// In KiB.
fn resident(pid: u32) -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
