//! What is measured of a process: instructions a request, and processor time.

use std::error::Error;
use std::fs;
use std::path::Path;

use kit_testing::temp;

const FEW: usize = 500;
const MANY: usize = 2_500;

/// Instructions a request: few and many in two runs, whose difference is free of start and end. The closure makes so many
/// requests and has its subject's instructions counted into the file.
pub(crate) fn difference(run: impl Fn(usize, &Path) -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
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

/// The seconds that a process has had of a processor: fields 14 and 15 of `/proc/PID/stat`, in hundredths.
pub(crate) fn cpu(pid: u32) -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc/PID/stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(ticks as f64 / 100.0)
}

pub(crate) fn median(samples: impl Iterator<Item = f64>) -> f64 {
    let mut samples: Vec<_> = samples.collect();
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
