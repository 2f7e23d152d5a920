//! A row of the benchmark, and how its time and its allocations are taken.

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use kit_testing::alloc;

/// One subject at one number of instances.
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) instances: usize,
    pub(crate) bound: Option<Bound>,
    /// Makes this many calls.
    pub(crate) run: Box<dyn FnMut(u64)>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("title", &self.title).field("instances", &self.instances).finish_non_exhaustive()
    }
}

/// What a row must keep. Only exact figures are bounds: time is not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    /// Allocations a call, exactly.
    pub(crate) allocations: u64,
    /// Instructions a call, at most, and the same at any number of instances.
    pub(crate) instructions: u64,
}

/// What was measured of a row, per call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) nanoseconds: Option<f64>,
    pub(crate) allocations: f64,
    pub(crate) instructions: Option<u64>,
}

/// Odd, so that there is a median. Each round takes every row once: what disturbs the machine disturbs all of them.
const ROUNDS: usize = 41;
/// Short, so that most samples are not interrupted by what else the machine does.
const SAMPLE: Duration = Duration::from_millis(1);

/// Counts allocations.
pub(crate) fn allocations(rows: &mut [Row]) -> Vec<Figures> {
    const CALLS: u64 = 100;
    let count = |row: &mut Row| {
        (row.run)(1);
        let counts = alloc::count(|| (row.run)(CALLS));
        Figures { allocations: counts.allocations as f64 / CALLS as f64, ..Figures::default() }
    };
    rows.iter_mut().map(count).collect()
}

/// Takes the time: the median over the rounds.
pub(crate) fn times(rows: &mut [Row], results: &mut [Figures]) {
    let calls: Vec<u64> = rows.iter_mut().map(calibrated).collect();
    let mut samples = vec![Vec::with_capacity(ROUNDS); rows.len()];
    for _ in 0..ROUNDS {
        for ((row, &calls), samples) in rows.iter_mut().zip(&calls).zip(&mut samples) {
            // Once before, for the caches to be as they are when calls follow on calls.
            time(row, calls);
            samples.push(time(row, calls).as_nanos() as f64 / calls as f64);
        }
    }
    for (figures, mut samples) in results.iter_mut().zip(samples) {
        samples.sort_by(f64::total_cmp);
        figures.nanoseconds = Some(samples[ROUNDS / 2]);
    }
}

fn time(row: &mut Row, calls: u64) -> Duration {
    let start = Instant::now();
    (row.run)(black_box(calls));
    start.elapsed()
}

/// How many calls fill a sample.
fn calibrated(row: &mut Row) -> u64 {
    let mut calls = 64;
    while time(row, calls) < SAMPLE {
        calls *= 2;
    }
    calls
}
