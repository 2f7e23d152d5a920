//! Instructions a request: few and many in two runs, whose difference is free of start and end.

use std::error::Error;
use std::path::Path;

use kit_testing::temp;

use crate::load::Connections;
use crate::subject::{self, Serving};

const FEW: usize = 500;
const MANY: usize = 2_500;

/// What the server's process needs for a request.
pub(crate) fn server(name: &str) -> Result<f64, Box<dyn Error>> {
    difference(|requests, file| {
        let server = Serving::start(name, Some(file))?;
        Connections::open(server.addr, 1)?.requests(requests)?;
        server.stop()
    })
}

/// What the client's process needs for a call.
pub(crate) fn client(name: &str) -> Result<f64, Box<dyn Error>> {
    let server = Serving::start("hyper", None)?;
    difference(|calls, file| subject::call(name, server.addr, calls, Some(file)))
}

fn difference(run: impl Fn(usize, &Path) -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let folder = temp::temp_dir()?;
    let count = |requests: usize| {
        let file = folder.path().join(requests.to_string());
        run(requests, &file)?;
        total(&file)
    };
    let (few, many) = (count(FEW)?, count(MANY)?);
    Ok((many as f64 - few as f64) / (MANY - FEW) as f64)
}

fn total(file: &Path) -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string(file)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    Ok(total.ok_or("callgrind wrote no total")?.trim().parse()?)
}
