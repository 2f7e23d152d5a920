//! What picks feel of a hundred changes a second.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use kit_base::Publisher;
use kit_lb::Endpointer;
use tokio::runtime::Builder;

use crate::{Nothing, connect, equal, instance, instances, median};

const WINDOW: Duration = Duration::from_millis(200);
const PICKS: u32 = 1_000;

pub(crate) fn print(count: usize, rounds: usize) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    let publisher = Publisher::new();
    publisher.publish(instances(count, equal), Instant::now());
    let set = Endpointer::new(publisher.clone(), connect);
    println!(
        "picks of the least loaded of two, {count} instances; ns a pick: median of {rounds} windows of {WINDOW:?}\n"
    );
    println!(
        "| storm of 100 a second | changes | quiet: median, 99th | storm: median, 99th | ratio |\n|---|--:|--:|--:|--:|"
    );
    for (title, full) in [("one changed", false), ("full set, half new", true)] {
        let (blows, over, changes) = (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0));
        let (mut quiet, mut storm) = (Vec::new(), Vec::new());
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut next = Instant::now();
                while !over.load(Relaxed) {
                    next += Duration::from_millis(10);
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                    if blows.load(Relaxed) {
                        change(&publisher, count, changes.fetch_add(1, Relaxed), full);
                    }
                }
            });
            for _ in 0..rounds {
                quiet.push(window(&set));
                blows.store(true, Relaxed);
                storm.push(window(&set));
                blows.store(false, Relaxed);
            }
            over.store(true, Relaxed);
        });
        let of = |windows: &[(f64, f64)], part: fn(&(f64, f64)) -> f64| median(windows.iter().map(part).collect());
        let ((a, b), (c, d)) = ((of(&quiet, |w| w.0), of(&quiet, |w| w.1)), (of(&storm, |w| w.0), of(&storm, |w| w.1)));
        let changes = changes.load(Relaxed);
        println!("| {title} | {changes} | {a:.1}, {b:.1} | {c:.1}, {d:.1} | {:.2} |", c / a);
    }
}

fn change(publisher: &Publisher, count: usize, number: usize, full: bool) {
    if full {
        let from = number % 2 * (count / 2);
        publisher.publish((from..from + count).map(|number| instance(number, 1)).collect(), Instant::now());
    } else {
        let mut changed = instance(number * 7 % count, 1);
        changed.zone = Some(number.to_string());
        publisher.publish_one(changed, Instant::now());
    }
}

/// Nanoseconds a pick over a window: the median of runs of some picks, and the 99th of 100.
fn window(set: &Endpointer<Nothing>) -> (f64, f64) {
    let (balancer, begun, mut runs) = (set.balancer(), Instant::now(), Vec::new());
    while begun.elapsed() < WINDOW {
        let start = Instant::now();
        (0..PICKS).for_each(|_| drop(black_box(balancer.pick().expect("there are some"))));
        runs.push(start.elapsed().as_nanos() as f64 / f64::from(PICKS));
    }
    runs.sort_by(f64::total_cmp);
    (runs[runs.len() / 2], runs[runs.len() * 99 / 100])
}
