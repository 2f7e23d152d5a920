//! Instructions per call: this program runs itself under valgrind's callgrind, which counts within one function only.
//!
//! Each row makes few calls, then many; the difference is free of what goes before and after. Callgrind writes a file
//! each time the function is left, so that one run does for all rows.

use std::ffi::OsString;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};

use kit_testing::temp;

use crate::harness::{Figures, Row};

/// The flag by which the program knows that it is the one under valgrind.
pub(crate) const CHILD: &str = "--callgrind-child";
const FEW: u64 = 100;
const MANY: u64 = 600;

/// Runs every row, under valgrind.
pub(crate) fn run(rows: &mut [Row]) {
    for row in rows {
        (row.run)(1);
        counted_calls(&mut row.run, FEW);
        counted_calls(&mut row.run, MANY);
    }
}

/// What callgrind counts in; its name is in the command below.
#[inline(never)]
fn counted_calls(run: &mut dyn FnMut(u64), calls: u64) {
    run(calls);
    // Without this the call above would be a jump, and callgrind would not see when the function is left.
    black_box(calls);
}

/// Fills in the instructions, or says why there are none.
pub(crate) fn count(rows: &[Row], words: &[String], results: &mut [Figures]) -> Result<(), String> {
    let folder = temp::temp_dir().map_err(|error| format!("no temporary folder: {error}"))?;
    let program = std::env::current_exe().map_err(|error| format!("this program has no path: {error}"))?;
    let out = folder.path().join("out");
    let mut file = OsString::from("--callgrind-out-file=");
    file.push(&out);
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--toggle-collect=*::counted_calls", "--dump-after=*::counted_calls"])
        .arg(file)
        .arg(program)
        .arg(CHILD)
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("valgrind does not start: {error}"))?;
    if !status.success() {
        return Err(format!("valgrind ended with {status}"));
    }
    for (index, (row, figures)) in rows.iter().zip(results).enumerate() {
        let few = total(&out, 2 * index + 1)?;
        let many = total(&out, 2 * index + 2)?;
        let instructions = many.checked_sub(few).ok_or_else(|| format!("the counts of {row:?} make no sense"))?;
        figures.instructions = Some((instructions + (MANY - FEW) / 2) / (MANY - FEW));
    }
    Ok(())
}

/// The total of one of callgrind's files.
fn total(out: &Path, number: usize) -> Result<u64, String> {
    let path = out.with_extension(number.to_string());
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    total.and_then(|total| total.trim().parse().ok()).ok_or_else(|| format!("{}: no total", path.display()))
}
