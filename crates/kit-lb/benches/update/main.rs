//! What a change of the set costs until the next call sees it, what an instance costs that nobody calls, and what picks feel
//! of a storm of changes.
//!
//! `cargo bench -p kit-lb --bench update` prints three tables.

#![allow(clippy::print_stdout, reason = "the tables are what this program is for")]

mod events;
mod memory;
mod storm;

use std::convert::Infallible;

use kit_base::Instance;
use kit_testing::alloc::{self, CountingAllocator};
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOCATOR: CountingAllocator = alloc::counting();

fn main() {
    // `cargo test --benches` gives no `--bench`: once with few, to see that they run.
    let measured = std::env::args().any(|arg| arg == "--bench");
    let sizes: &[usize] = if measured { &[10, 1_000, 10_000] } else { &[10] };
    events::print(sizes, if measured { 21 } else { 1 });
    memory::print(*sizes.last().expect("a size"));
    storm::print(*sizes.last().expect("a size"), if measured { 9 } else { 1 });
}

/// A connection that holds nothing.
#[derive(Debug)]
struct Nothing;

fn connect(_: &Instance) -> Result<Nothing, Infallible> {
    Ok(Nothing)
}

/// As a registry tells of it.
fn instance(number: usize, weight: u32) -> Instance {
    let mut instance =
        Instance::new(format!("addsvc-{number:06}"), format!("10.0.{}.{}:8081", number >> 8, number & 255));
    instance.weight = weight;
    instance
}

fn instances(count: usize, weight: fn(usize) -> u32) -> Vec<Instance> {
    (0..count).map(|number| instance(number, weight(number))).collect()
}

fn equal(_: usize) -> u32 {
    1
}

fn mixed(number: usize) -> u32 {
    1 << (number % 3)
}

/// One thread: what was published is taken over when the thread yields.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime")
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
