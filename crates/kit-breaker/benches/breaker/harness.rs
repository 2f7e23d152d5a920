//! A row of the benchmark, and how its time and its allocations are taken.

use std::fmt;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use kit_testing::alloc;

/// One subject.
pub(crate) struct Row {
    pub(crate) title: &'static str,
    /// The title of the row that this one is compared with.
    pub(crate) over: Option<&'static str>,
    pub(crate) bound: Bound,
    /// Whether two threads may call it at the same time.
    pub(crate) shared: bool,
    /// Makes this many calls.
    pub(crate) run: Box<dyn Fn(u64) + Send + Sync>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("title", &self.title).finish_non_exhaustive()
    }
}

/// What a row must keep. Only exact figures are bounds: time is not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bound {
    /// Allocations a call, exactly.
    pub(crate) allocations: Option<f64>,
    /// Instructions over the row that it is compared with, at most.
    pub(crate) over: Option<u64>,
}

/// What was measured of a row, per call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) nanoseconds: Option<f64>,
    /// For each of two threads that call at the same time.
    pub(crate) of_two: Option<f64>,
    pub(crate) allocations: f64,
    pub(crate) instructions: Option<u64>,
}

/// Odd, so that there is a median. Each round takes every row once: what disturbs the machine disturbs all of them.
const ROUNDS: usize = 41;
/// Short, so that most samples are not interrupted by what else the machine does.
const SAMPLE: Duration = Duration::from_millis(1);

/// Counts allocations.
pub(crate) fn allocations(rows: &[Row]) -> Vec<Figures> {
    const CALLS: u64 = 100;
    let count = |row: &Row| {
        (row.run)(1);
        let counts = alloc::count(|| (row.run)(CALLS));
        Figures { allocations: counts.allocations as f64 / CALLS as f64, ..Figures::default() }
    };
    rows.iter().map(count).collect()
}

/// Takes the time: the median over the rounds.
pub(crate) fn times(rows: &[Row], results: &mut [Figures]) {
    let calls: Vec<u64> = rows.iter().map(calibrated).collect();
    let mut one = vec![Vec::with_capacity(ROUNDS); rows.len()];
    let mut two = one.clone();
    for _ in 0..ROUNDS {
        for (index, (row, &calls)) in rows.iter().zip(&calls).enumerate() {
            // Once before, for the caches to be as they are when calls follow on calls.
            time(row, calls);
            one[index].push(time(row, calls));
            if row.shared {
                two[index].push(time_of_two(row, calls));
            }
        }
    }
    for ((figures, one), two) in results.iter_mut().zip(one).zip(two) {
        figures.nanoseconds = median(one);
        figures.of_two = median(two);
    }
}

fn median(mut samples: Vec<f64>) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}

/// Nanoseconds a call.
fn time(row: &Row, calls: u64) -> f64 {
    let start = Instant::now();
    (row.run)(black_box(calls));
    start.elapsed().as_nanos() as f64 / calls as f64
}

/// The same for each of two threads that begin at the same time.
fn time_of_two(row: &Row, calls: u64) -> f64 {
    let begin = Barrier::new(2);
    let run = || {
        begin.wait();
        time(row, calls)
    };
    thread::scope(|scope| {
        let other = scope.spawn(run);
        let this = run();
        f64::midpoint(this, other.join().expect("no call panics"))
    })
}

/// How many calls fill a sample.
fn calibrated(row: &Row) -> u64 {
    // The shortest of a few: one that is interrupted looks long enough, and is too short to be warm.
    let shortest = |calls| (0..5).map(|_| time(row, calls)).fold(f64::INFINITY, f64::min);
    let mut calls = 64;
    while shortest(calls) * (calls as f64) < SAMPLE.as_nanos() as f64 {
        calls *= 2;
    }
    calls
}
