//! Real threads, a bounded number of calls. What races here cannot be played again, so these come last.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::laws::declared::Declared;
use crate::laws::law::{Law, Step};
use crate::laws::setup::{LawsClock, Setup};
use crate::laws::subject::{Ask, Handle, Mount, Outcome};
use crate::laws::world::{Auto, Reply, World};

const THREADS: u64 = 4;
const CALLS: u64 = 60;
/// Rounds of what is over after one race.
const ROUNDS: u64 = 40;
/// Races for one place.
const LAST_PLACES: usize = 300;
/// Polls until a caller leaves.
const POLLS: usize = 40;

/// Races callers on threads against the limit that the layer declares.
pub(crate) fn run(declared: &Declared, make: &dyn Fn(&Setup) -> Box<dyn Mount>) -> Step {
    let races = declared.at_most.is_some() || declared.quota.is_some() || declared.breaker.is_some();
    if !races {
        return Ok(());
    }
    let rounds = if declared.at_most.is_some() { 2 } else { ROUNDS };
    for _ in 0..rounds {
        round(declared, make)?;
    }
    Ok(())
}

fn round(declared: &Declared, make: &dyn Fn(&Setup) -> Box<dyn Mount>) -> Step {
    // What spawns needs a runtime, and somebody who drives it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime starts");
    let tokio = runtime.handle().clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let driver = thread::spawn(move || runtime.block_on(stopped));
    let outcome = {
        let _inside = tokio.enter();
        let world = Arc::new(World::default());
        let setup = Setup::new(LawsClock::manual());
        let mount = make(&setup);
        let service = mount.mount(&world);
        if service.another().is_some() { race(declared, &setup, &world, service.as_ref(), &tokio) } else { Ok(()) }
    };
    drop(stop);
    let _ = driver.join();
    outcome
}

fn race(
    declared: &Declared,
    setup: &Setup,
    world: &Arc<World>,
    service: &dyn Handle,
    tokio: &tokio::runtime::Handle,
) -> Step {
    let answers = |reply, polls| world.answer_by_itself(Some(Auto { reply, polls }));
    if let Some(breaker) = declared.breaker {
        // Time that nobody can move cannot make a circuit half-open without a wait.
        if !setup.clock_was_taken() {
            return Ok(());
        }
        answers(Reply::FAIL, 0);
        for id in 0..breaker.failures as u64 {
            if let Some(mut handle) = service.another() {
                call(declared, handle.as_mut(), id, false);
            }
        }
        setup.advance(breaker.open_for + Duration::from_millis(2));
        answers(Reply::OK, usize::MAX);
        let before = world.lock().arrived.len();
        stress(declared, service, tokio, breaker.probes as u64 + 1, true);
        let inside = world.lock().arrived.len() - before;
        if inside != breaker.probes {
            let allowed = breaker.probes;
            let found =
                format!("{inside} calls got in while half-open, raced by threads, exactly {allowed} are allowed");
            return Law::HalfOpen.broken(found);
        }
        return Ok(());
    }
    answers(Reply::OK, 3);
    stress(declared, service, tokio, if declared.quota.is_some() { 3 } else { CALLS }, false);
    let state = world.lock();
    if let Some(most) = declared.at_most.filter(|&most| state.most_running > most) {
        return Law::Bound
            .broken(format!("{} calls were inside at the same time, {most} are allowed", state.most_running));
    }
    let arrived = state.arrived.len();
    if let Some((quota, period)) = declared.quota.filter(|&(quota, _)| setup.clock_was_taken() && arrived > quota) {
        return Law::Bound.broken(format!("{arrived} calls got in at once, {quota} per {period:?} are allowed"));
    }
    drop(state);
    if let Some(most) = declared.at_most {
        all_places_are_free(declared, world, service, most)?;
        last_place(declared, world, service, tokio, most)?;
        return all_places_are_free(declared, world, service, most);
    }
    Ok(())
}

/// All places but one are taken, and threads race for that one, again and again: as many threads as can really run.
fn last_place(
    declared: &Declared,
    world: &Arc<World>,
    service: &dyn Handle,
    tokio: &tokio::runtime::Handle,
    most: usize,
) -> Step {
    world.answer_by_itself(Some(Auto { reply: Reply::OK, polls: usize::MAX }));
    let mut taken = Vec::new();
    for id in 1..most as u64 {
        if let Some(mut handle) = service.another() {
            taken.extend(call(declared, handle.as_mut(), 2_000_000 + id, true));
        }
    }
    let threads = thread::available_parallelism().map_or(2, usize::from).clamp(2, THREADS as usize);
    let meeting = Meeting::of(threads);
    let handles: Vec<_> = (0..threads).filter_map(|_| service.another()).collect();
    thread::scope(|scope| {
        for (thread, handle) in (0..).zip(handles) {
            let meeting = &meeting;
            scope.spawn(move || {
                let _inside = tokio.enter();
                for round in 0..LAST_PLACES {
                    let id = 3_000_000 + (round * threads + thread) as u64;
                    let clone = catch_unwind(AssertUnwindSafe(|| handle.another())).unwrap_or(None);
                    meeting.wait();
                    let held = clone.and_then(|mut clone| call(declared, clone.as_mut(), id, true));
                    meeting.wait();
                    // Nobody must wait for who panicked.
                    let _ = catch_unwind(AssertUnwindSafe(|| drop(held)));
                    meeting.wait();
                }
            });
        }
    });
    drop(taken);
    let inside = world.lock().most_running;
    if inside > most {
        return Law::Bound
            .broken(format!("{threads} threads took the last place: {inside} are inside, {most} are allowed"));
    }
    Ok(())
}

/// Where threads meet without being put to sleep, so that they go on at the same moment.
struct Meeting {
    threads: usize,
    came: AtomicUsize,
}

impl Meeting {
    fn of(threads: usize) -> Self {
        Self { threads, came: AtomicUsize::new(0) }
    }

    fn wait(&self) {
        let came = self.came.fetch_add(1, Ordering::AcqRel);
        let all = (came / self.threads + 1) * self.threads;
        let mut spins = 0_u32;
        while self.came.load(Ordering::Acquire) < all {
            spins += 1;
            // With more threads than cores, the one that is missing may need this core.
            if spins % 512 == 0 { thread::yield_now() } else { std::hint::spin_loop() }
        }
    }
}

/// Callers on threads, which begin at the same time, poll a few times, and leave. With `hold` they leave together.
fn stress(declared: &Declared, service: &dyn Handle, tokio: &tokio::runtime::Handle, calls: u64, hold: bool) {
    let start = Meeting::of(THREADS as usize);
    let handles: Vec<_> = (0..THREADS).filter_map(|_| service.another()).collect();
    thread::scope(|scope| {
        for (thread, handle) in (0..).zip(handles) {
            let start = &start;
            scope.spawn(move || {
                let _inside = tokio.enter();
                start.wait();
                let mut held = Vec::new();
                for number in 0..calls {
                    let clone = catch_unwind(AssertUnwindSafe(|| handle.another()));
                    let Ok(Some(mut clone)) = clone else { break };
                    let left = call(declared, clone.as_mut(), 1000 + thread * calls + number, hold);
                    held.extend(left.filter(|_| hold));
                }
                start.wait();
                drop(held);
                drop(handle);
            });
        }
    });
}

type Left = kit_base::BoxFuture<Outcome>;

/// Calls, polling by hand. The future comes back when it has not come to an end.
fn call(declared: &Declared, handle: &mut dyn Handle, id: u64, hold: bool) -> Option<Left> {
    let mut cx = Context::from_waker(Waker::noop());
    let ask = Ask { id, idempotent: true, deadline: None, grpc: declared.grpc };
    let polls = if hold { 1 } else { POLLS };
    // A panic is looked for in the runs that can be played again; here nobody must wait for who panicked.
    let polled = catch_unwind(AssertUnwindSafe(|| {
        let mut ready = false;
        for _ in 0..POLLS {
            match handle.poll_ready(&mut cx) {
                Poll::Ready(Ok(())) => ready = true,
                Poll::Ready(Err(_)) => return None,
                Poll::Pending => {}
            }
            if ready {
                break;
            }
            thread::yield_now();
        }
        if !ready {
            return None;
        }
        let mut future = handle.call(ask);
        for _ in 0..polls {
            if future.as_mut().poll(&mut cx).is_ready() {
                return None;
            }
            thread::yield_now();
        }
        Some(future)
    }));
    polled.unwrap_or(None)
}

/// After the race, as many get in as at the beginning. What is given back by a task has a moment for it.
fn all_places_are_free(declared: &Declared, world: &Arc<World>, service: &dyn Handle, most: usize) -> Step {
    world.answer_by_itself(None);
    let mut inside = 0;
    for _ in 0..100 {
        let before = world.lock().arrived.len();
        let mut held = Vec::new();
        for id in 0..most as u64 {
            if let Some(mut handle) = service.another() {
                held.extend(call(declared, handle.as_mut(), 1_000_000 + id, false));
            }
        }
        inside = world.lock().arrived.len() - before;
        if inside >= most {
            return Ok(());
        }
        drop(held);
        thread::sleep(Duration::from_millis(5));
    }
    Law::PermitsReturn.broken(format!("after a race of {THREADS} threads, {inside} of {most} calls get in"))
}
