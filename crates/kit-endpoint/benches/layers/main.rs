//! What a layer costs: gates and `async fn` middleware, on endpoints and on the tower face, beside tower's own forms.
//!
//! `cargo bench -p kit-endpoint --bench layers` prints one table. With `-- --check` it takes no time, only allocations
//! and (where valgrind is installed) instructions, and fails when a bound is broken. Further words filter the rows.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is what this program is for")]

mod callgrind;
mod harness;
mod rows;
mod subjects;
mod table;

use std::process::ExitCode;

use kit_testing::alloc::{self, CountingAllocator};
use kit_testing::tools;

use crate::table::Table;

#[global_allocator]
static ALLOCATOR: CountingAllocator = alloc::counting();

fn main() -> ExitCode {
    let (flags, words): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let has = |flag: &str| flags.iter().any(|arg| arg == flag);
    let mut rows = rows::all();
    rows.retain(|row| row.over.is_none() || words.iter().all(|word| row.title.contains(word.as_str())));

    if has(callgrind::CHILD) {
        callgrind::run(&mut rows);
        return ExitCode::SUCCESS;
    }
    // `cargo test --benches` gives no `--bench`: one call each, to see that they run.
    if !has("--bench") && !has("--check") {
        rows.iter_mut().for_each(|row| (row.run)(1));
        return ExitCode::SUCCESS;
    }

    let check = has("--check");
    let mut results = harness::allocations(&mut rows);
    // Where CI must count and cannot, this ends the program.
    let valgrind = if check { tools::skip_unless("valgrind") } else { tools::find("valgrind").is_some() };
    if valgrind {
        if let Err(reason) = callgrind::count(&rows, &words, &mut results) {
            eprintln!("error: instructions cannot be counted: {reason}");
            return ExitCode::FAILURE;
        }
    }
    if !check {
        harness::times(&mut rows, &mut results);
    }
    let table = Table { rows: &rows, results: &results };
    table.print();

    let broken = table.broken();
    broken.iter().for_each(|line| println!("broken: {line}"));
    if check && !broken.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
