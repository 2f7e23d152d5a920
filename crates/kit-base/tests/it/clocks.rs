//! The clock: read once on entry and once on exit of a stack, and only if somebody asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use kit_base::{Clock, End, Endpoint, Error, Gate, Guard, Monotonic, Now, Request, Standard};
use tower_layer::Layer;

use crate::support::{Func, Log, Probe, now, one_turn, poll_once};

/// A clock that counts its readings and gains a second with each.
#[derive(Clone)]
struct Ticking {
    start: Instant,
    readings: Arc<AtomicU64>,
}

impl Ticking {
    fn new() -> Self {
        Self { start: Instant::now(), readings: Arc::default() }
    }
}

impl Clock for Ticking {
    fn now(&self) -> Instant {
        self.start + Duration::from_secs(self.readings.fetch_add(1, SeqCst))
    }
}

/// A gate that measures how long a call takes.
struct Timed(Log);

impl<Req, Res, Err> Gate<Req, Res, Err> for Timed {
    const REFUSES: bool = false;
    type Permit = Instant;

    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<Instant, Error> {
        assert_eq!(now.get(), now.get());
        Ok(now.get())
    }

    fn finish(&self, start: Instant, end: &End<'_>) {
        self.0.add(format!("{:?}", end.now.get() - start));
    }
}

fn inner() -> impl Endpoint<Request<u8>, Response = u8, Error = Error> {
    Func(|_: Request<u8>| async { Ok::<u8, Error>(1) })
}

#[test]
fn a_tuple_reads_the_clock_once_on_entry_and_once_on_exit() {
    let (log, clock) = (Log::default(), Ticking::new());
    let gates = (Timed(log.clone()), Timed(log.clone()), (Timed(log.clone()), Timed(log.clone())));
    let guarded = Guard::with(gates, Standard, clock.clone()).layer(inner());
    now(guarded.call(Request::new(1))).unwrap();
    assert_eq!(clock.readings.load(SeqCst), 2);
    log.expect(["1s"; 4]);

    drop(guarded.call(Request::new(1)));
    assert_eq!(clock.readings.load(SeqCst), 4);
    log.expect(["1s"; 4]);
}

#[test]
fn a_refusal_ends_at_the_moment_of_its_entry() {
    let (log, clock) = (Log::default(), Ticking::new());
    let gates = (Timed(log.clone()), Timed(log.clone()), Probe::refusing("p", &Log::default()));
    let guarded = Guard::with(gates, Standard, clock.clone()).layer(inner());
    now(guarded.call(Request::new(1))).unwrap_err();
    assert_eq!(clock.readings.load(SeqCst), 1);
    log.expect(["0ns"; 2]);
}

#[test]
fn a_stack_that_never_asks_never_reads_the_clock() {
    let clock = Ticking::new();
    let log = Log::default();
    let gates = (Probe::new("a", &log), Probe::new("b", &log));
    let guarded = Guard::with(gates, Standard, clock.clone()).layer(inner());
    now(guarded.call(Request::new(1))).unwrap();
    drop(guarded.call(Request::new(1)));
    assert_eq!(clock.readings.load(SeqCst), 0);
}

#[test]
fn any_function_is_a_clock() {
    let start = Instant::now();
    let hand = Arc::new(AtomicU64::new(0));
    let clock = {
        let hand = hand.clone();
        move || start + Duration::from_millis(hand.load(SeqCst))
    };
    let log = Log::default();
    let guarded = Guard::with(Timed(log.clone()), Standard, clock).layer(Func(|_: Request<u8>| async {
        one_turn().await;
        Ok::<u8, Error>(1)
    }));
    let mut call = Box::pin(guarded.call(Request::new(1)));
    assert!(poll_once(call.as_mut()).is_pending());
    hand.store(1500, SeqCst);
    assert!(poll_once(call.as_mut()).is_ready());
    log.expect(["1.5s"]);
}

#[tokio::test(start_paused = true)]
async fn the_paused_clock_of_tokio_is_a_clock() {
    let log = Log::default();
    let clock = || tokio::time::Instant::now().into_std();
    let guarded = Guard::with(Timed(log.clone()), Standard, clock).layer(Func(|_: Request<u8>| async {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        Ok::<u8, Error>(1)
    }));
    guarded.call(Request::new(1)).await.unwrap();
    log.expect(["3600s"]);
}

#[test]
fn the_moment_shows_itself_only_once_it_was_read() {
    let now = Now::new(&Monotonic);
    assert_eq!(format!("{now:?}"), "Now(None)");
    now.get();
    assert!(format!("{now:?}").starts_with("Now(Some("));
}
