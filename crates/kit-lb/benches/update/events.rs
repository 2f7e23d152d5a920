//! From what discovery says to the next call.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use kit_base::{Instance, Publisher};
use kit_lb::{Endpointer, Registry};
use stats_alloc::INSTRUMENTED_SYSTEM;

use crate::{connect, equal, instance, instances, median, mixed, runtime};

/// A kind of weights.
type Weight = fn(usize) -> u32;

/// What discovery says in this round, made before the time is taken.
type Full = fn(usize, usize, Weight) -> Vec<Instance>;

/// Of which a set is told nothing.
const UNCHANGED: &str = "full set, nothing new";

pub(crate) fn print(sizes: &[usize], rounds: usize) {
    println!(
        "us: median of {rounds}, time of the processor; publish: until the followers are woken; set: until the next call sees it; visible: both; after: what is no longer needed is dropped\n"
    );
    println!(
        "| event | instances | publish us | set us | visible us | after us | allocations |\n|---|--:|--:|--:|--:|--:|--:|"
    );
    let full: [(&str, Full, Weight); 5] = [
        (UNCHANGED, |count, _, weight| instances(count, weight), equal),
        ("full set, one changed", one_changed, equal),
        ("full set, one changed, weights 1:2:4", one_changed, mixed),
        ("full set, half new", |count, round, weight| shifted(count, round * count.div_ceil(2), weight), equal),
        ("full set, all new", |count, round, weight| shifted(count, round * count, weight), equal),
    ];
    for &count in sizes {
        for (title, make, weight) in full {
            let publisher = Publisher::new();
            publisher.publish(instances(count, weight), Instant::now());
            let changed = |round: usize| {
                let told = make(count, round, weight);
                let publisher = &publisher;
                move || publisher.publish(told, Instant::now())
            };
            row(title, count, rounds, publisher.clone(), changed);
        }
        for (title, weight, first) in
            [("one changed", equal as Weight, 0), ("one changed, weights 1:2:4", mixed, 0), ("one new", equal, count)]
        {
            let registry = Registry::new();
            instances(count, weight).into_iter().for_each(|instance| registry.insert(instance));
            let changed = |round: usize| {
                let number = if first == 0 { round * 7 % count } else { first + round };
                let mut instance = instance(number, weight(number));
                instance.zone = Some(round.to_string());
                let registry = &registry;
                move || registry.insert(instance)
            };
            row(title, count, rounds, registry.clone(), changed);
        }
    }
    println!();
}

fn one_changed(count: usize, round: usize, weight: Weight) -> Vec<Instance> {
    let mut told = instances(count, weight);
    told[count / 2].zone = Some(round.to_string());
    told
}

fn shifted(count: usize, by: usize, weight: Weight) -> Vec<Instance> {
    (by..by + count).map(|number| instance(number, weight(number))).collect()
}

fn row<F: FnOnce()>(
    title: &str,
    count: usize,
    rounds: usize,
    instancer: impl kit_base::Instancer + 'static,
    event: impl Fn(usize) -> F,
) {
    runtime().block_on(async {
        let mut follower = instancer.subscribe();
        let set = Endpointer::new(instancer, connect);
        tokio::task::yield_now().await;
        let (mut told, woken) = (Instant::now(), Arc::new(Woken::default()));
        let mut samples: [Vec<f64>; 5] = Default::default();
        for round in 1..=rounds {
            let event = event(round);
            let mut cx = Context::from_waker(Waker::noop());
            while follower.poll_changed(&mut cx).is_ready() {}
            let waker = Waker::from(Arc::clone(&woken));
            let _pending = follower.poll_changed(&mut Context::from_waker(&waker));
            let (begun, allocations) = (now(), allocated());
            event();
            let (published, time) = (now(), Instant::now());
            // Nobody is woken where there is nothing new.
            let woken = woken.at().max(begun);
            // The keeper has been woken, and runs before this goes on.
            tokio::task::yield_now().await;
            let (seen, allocations) = (now(), allocated() - allocations);
            let since = set.snapshot().since;
            let knows = since.is_some_and(|since| since <= time && since > told);
            assert!(knows || title == UNCHANGED, "{title}: the set does not know of round {round}");
            told = since.unwrap_or(told);
            let before = now();
            tokio::task::yield_now().await;
            let after = (published - woken) + (now() - before);
            let (publish, set) = (woken - begun, seen - published);
            let times = [publish, set, publish + set, after].map(|time| time.as_secs_f64() * 1e6);
            for (samples, sample) in samples.iter_mut().zip(times.into_iter().chain([allocations as f64])) {
                samples.push(sample);
            }
        }
        let [publish, set, visible, after, allocations] = samples.map(median);
        println!("| {title} | {count} | {publish:.1} | {set:.1} | {visible:.1} | {after:.1} | {allocations} |");
    });
}

/// When a follower was woken.
#[derive(Default)]
struct Woken(Mutex<Duration>);

impl Woken {
    fn at(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now();
    }
}

/// The time that this thread has had of a processor: the whole time where nothing else runs, and nothing more where the machine
/// is busy.
fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn allocated() -> usize {
    INSTRUMENTED_SYSTEM.stats().allocations
}
