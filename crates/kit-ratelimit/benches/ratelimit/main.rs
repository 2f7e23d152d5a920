//! What a limited call and a refusal cost, beside what one would write by hand and beside other limiters.
//!
//! `cargo bench -p kit-ratelimit --bench ratelimit` prints one table. With `-- --check` it takes no time, only
//! allocations and (where valgrind is installed) instructions, and fails when a bound is broken. Further words filter the rows.
//!
//! Go's limiter (`golang.org/x/time/rate` 0.3.0, Go 1.27) takes 97 ns for `Allow`, and 41 ns for `AllowN` with a reading of the clock
//! that is shared, on a machine and in a session where a reading of the clock takes 23 ns here, and 58 ns there. Measured by
//! `go test -bench . -cpu 1` in a folder with its one source file and
//! `func BenchmarkAllow(b *testing.B) { l := NewLimiter(1e9, 1<<40); for i := 0; i < b.N; i++ { l.Allow() } }`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is what this program is for")]

#[path = "../../../kit-endpoint/benches/layers/callgrind.rs"]
mod callgrind;
#[path = "../../../kit-breaker/benches/breaker/harness.rs"]
mod harness;
mod others;
mod rows;
mod runs;
mod stacks;
mod subjects;
#[path = "../../../kit-breaker/benches/breaker/table.rs"]
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
    let bases: Vec<_> = rows.iter().filter_map(|row| row.over).collect();
    rows.retain(|row| bases.contains(&row.title) || words.iter().all(|word| row.title.contains(word.as_str())));

    if has(callgrind::CHILD) {
        callgrind::run(&mut rows);
        return ExitCode::SUCCESS;
    }
    // `cargo test --benches` gives no `--bench`: one call each, to see that they run.
    if !has("--bench") && !has("--check") {
        rows.iter().for_each(|row| (row.run)(1));
        return ExitCode::SUCCESS;
    }

    let check = has("--check");
    let mut results = harness::allocations(&rows);
    // Where CI must count and cannot, this ends the program.
    let valgrind = if check { tools::skip_unless("valgrind") } else { tools::find("valgrind").is_some() };
    if valgrind {
        if let Err(reason) = callgrind::count(&rows, &words, &mut results) {
            eprintln!("error: instructions cannot be counted: {reason}");
            return ExitCode::FAILURE;
        }
    }
    if !check {
        harness::times(&rows, &mut results);
    }
    let table = Table { rows: &rows, results: &results };
    table.print();

    let broken = table.broken();
    broken.iter().for_each(|line| println!("broken: {line}"));
    if check && !broken.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
