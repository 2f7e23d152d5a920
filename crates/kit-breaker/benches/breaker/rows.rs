//! The rows: each subject, what it is compared with, and what it must keep.

use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use kit_base::{Clock, Endpoint, Error, Guard, Guarded, Response, Standard, Tower};
use kit_breaker::{Breaker, Bulkhead, Fallback, Keyed, Settings, Window};
use tower::{Service, service_fn};
use tower_layer::Layer;

use crate::harness::{Bound, Row};
use crate::others;
use crate::subjects::{Ask, ByHand, Failing, Hook, Idle, Leaf, Refusing, Third, leaf};

pub(crate) const BARE: &str = "a: the endpoint alone";
const GATE: &str = "b: a gate that does nothing";
const CLOCK: &str = "c: a gate that reads the clock at the end";
const CLOCKS: &str = "d: a gate that reads the clock at both ends";
const ERROR: &str = "e: a gate that makes the error of a refusal";
const CLOCK_ERROR: &str = "f: a gate that reads the clock, before one that makes the error";
const SOME_FAIL: &str = "g: every second call fails, a gate that does nothing";
const ALL_FAIL: &str = "h: every call fails, a gate that reads a clock of its own at both ends";
const HALF_FAIL: &str = "i: every second call fails, a gate that reads a clock of its own at both ends";
const TOWER: &str = "j: tower face, a gate that does nothing";
pub(crate) const SERVICE: &str = "k: tower, the service alone";
const HOOK: &str = "l: a finish hook";

const FREE: Bound = Bound { allocations: None, over: None };
const OPEN_FOR: Duration = Duration::from_secs(60 * 60);

const fn at_most(instructions: u64) -> Bound {
    Bound { allocations: Some(0.0), over: Some(instructions) }
}

const fn boxes(allocations: f64, instructions: u64) -> Bound {
    Bound { allocations: Some(allocations), over: Some(instructions) }
}

/// Every row.
pub(crate) fn all() -> Vec<Row> {
    let mut rows = Rows(Vec::new());
    rows.floors();
    rows.closed();
    rows.keyed();
    rows.beside();
    rows.failing();
    rows.refusals();
    rows.tower();
    rows.hooks();
    others::add(&mut rows);
    rows.0
}

pub(crate) struct Rows(Vec<Row>);

impl Rows {
    pub(crate) fn row(
        &mut self,
        title: &'static str,
        over: Option<&'static str>,
        bound: Bound,
        run: impl Fn(u64) + Send + Sync + 'static,
    ) {
        self.0.push(Row { title, over, bound, shared: true, run: Box::new(run) });
    }

    /// Says that two threads may not call these rows, and those that are compared with them.
    pub(crate) fn alone<const N: usize>(&mut self, titles: [&str; N]) {
        let alone = |row: &&mut Row| [Some(row.title), row.over].iter().flatten().any(|title| titles.contains(title));
        self.0.iter_mut().filter(alone).for_each(|row| row.shared = false);
    }

    fn floors(&mut self) {
        self.endpoint(BARE, None, FREE, Leaf);
        self.endpoint(GATE, Some(BARE), FREE, Guard::new(Idle::<false, false>).layer(Leaf));
        self.endpoint(CLOCK, Some(GATE), FREE, Guard::new(Idle::<false, true>).layer(Leaf));
        self.endpoint(CLOCKS, Some(GATE), FREE, Guard::new(Idle::<true, true>).layer(Leaf));
        self.endpoint("by hand: closed", Some(GATE), FREE, Guard::new(ByHand::new()).layer(Leaf));
    }

    fn closed(&mut self) {
        let rate = || Settings::new().failure_rate(0.5);
        let rows = [
            ("kit: closed, failures in a row", GATE, 60, Settings::gobreaker()),
            ("kit: closed, failure rate of 100 calls", GATE, 240, rate().window(Window::Calls(100))),
            ("kit: closed, failure rate of all calls", GATE, 230, rate().window(Window::Whole)),
            ("kit: closed, failure rate of 10 s", CLOCK, 310, rate().window(Window::Time(Duration::from_secs(10)))),
            ("kit: closed, a policy", CLOCK, 220, Settings::new().policy(Third::default)),
            ("kit: closed, slow calls of 10 s", CLOCKS, 450, Settings::new().slow_calls(Duration::from_secs(60), 0.5)),
            ("kit: closed, cleared every hour", CLOCKS, 285, Settings::gobreaker().clear_every(OPEN_FOR)),
        ];
        for (title, over, instructions, settings) in rows {
            self.endpoint(title, Some(over), at_most(instructions), Guard::new(breaker(settings)).layer(Leaf));
        }
        let forced = breaker(Settings::gobreaker());
        forced.force_closed();
        self.endpoint("kit: forced closed", Some(GATE), at_most(95), Guard::new(forced).layer(Leaf));
        let disabled = breaker(Settings::gobreaker());
        disabled.disable();
        self.endpoint("kit: disabled", Some(GATE), at_most(95), Guard::new(disabled).layer(Leaf));
    }

    fn keyed(&mut self) {
        let keyed = Keyed::per_operation(Settings::gobreaker()).expect("settings that make sense");
        self.endpoint("kit: keyed by operation, closed", Some(GATE), at_most(700), Guard::new(keyed).layer(Leaf));
        let key = |ask: &Ask| Some(*ask.message() % 100);
        let keyed = Keyed::by(Settings::gobreaker(), key).expect("settings that make sense");
        let endpoint = Guard::new(keyed).layer(Leaf);
        // The first call of a key makes its circuit.
        (0..100).for_each(|number| drop(answer(pin!(call(&endpoint, ask(number))))));
        self.endpoint("kit: keyed by 100 numbers, closed", Some(GATE), at_most(400), endpoint);
    }

    fn beside(&mut self) {
        let bulkhead = || Bulkhead::new(10).expect("there are places");
        self.endpoint("kit: a bulkhead with room", Some(GATE), at_most(225), bulkhead().layer(Leaf));
        let full = Bulkhead::new(1).expect("there is a place");
        let endpoint = full.layer(Leaf);
        // Nobody polls it, so it holds the place for ever.
        std::mem::forget(endpoint.call(ask(0)));
        self.endpoint("kit: a full bulkhead", Some(ERROR), boxes(3.0, 1350), endpoint);
        let fallback = Fallback::new(|failed: Result<Response<u64>, Error>| async { failed });
        self.endpoint("kit: a fallback that is not asked", Some(BARE), at_most(60), fallback.layer(Leaf));
    }

    fn failing(&mut self) {
        self.endpoint(SOME_FAIL, None, FREE, Guard::new(Idle::<false, false>).layer(Failing::<false>));
        let title = "by hand: every second call fails";
        self.endpoint(title, Some(SOME_FAIL), FREE, Guard::new(ByHand::new()).layer(Failing::<false>));
        let title = "kit: every second call fails, failures in a row";
        let guard = Guard::new(breaker(Settings::gobreaker()));
        self.endpoint(title, Some(SOME_FAIL), boxes(0.5, 260), guard.layer(Failing::<false>));
        let title = "kit: every second call fails, failure rate of 100 calls";
        let guard = Guard::new(breaker(Settings::new().failure_rate(0.75).window(Window::Calls(100))));
        self.endpoint(title, Some(SOME_FAIL), boxes(0.5, 500), guard.layer(Failing::<false>));

        // Each reading of their clock is a minute later, so that no call finds a circuit open: they go through half-open.
        let idle = || Guard::with(Idle::<true, true>, Standard, minutes());
        let at_once = || {
            let settings = Settings::new().consecutive_failures(1).open_for(Duration::from_secs(1));
            Guard::with(breaker(settings), Standard, minutes())
        };
        self.endpoint(ALL_FAIL, None, FREE, idle().layer(Failing::<true>));
        let title = "kit: half-open, a probe fails";
        self.endpoint(title, Some(ALL_FAIL), boxes(1.0, 765), at_once().layer(Failing::<true>));
        self.endpoint(HALF_FAIL, None, FREE, idle().layer(Failing::<false>));
        let title = "kit: a call opens it, a probe closes it, in turn";
        self.endpoint(title, Some(HALF_FAIL), boxes(0.5, 535), at_once().layer(Failing::<false>));
        // Two threads would find it open.
        self.alone([ALL_FAIL, HALF_FAIL]);
    }

    fn refusals(&mut self) {
        self.endpoint(ERROR, None, FREE, Guard::new(Refusing).layer(Leaf));
        let title = "by hand: open";
        self.endpoint(title, Some(ERROR), FREE, opened(Guard::new(ByHand::new())).layer(Leaf));
        let open = || {
            let guard = Guard::new(breaker(Settings::gobreaker().open_for(OPEN_FOR)));
            opened(guard)
        };
        self.endpoint("kit: open", Some(ERROR), boxes(1.0, 170), open().layer(Leaf));
        let forced = breaker(Settings::gobreaker());
        forced.force_open();
        self.endpoint("kit: forced open", Some(ERROR), boxes(1.0, 25), Guard::new(forced).layer(Leaf));

        self.endpoint(CLOCK_ERROR, None, FREE, Guard::new((Idle::<true, false>, Refusing)).layer(Leaf));
        let title = "by hand: open, after a gate that reads the clock";
        self.endpoint(
            title,
            Some(CLOCK_ERROR),
            FREE,
            opened(Guard::new((Idle::<true, false>, ByHand::new()))).layer(Leaf),
        );
        let title = "kit: open, after a gate that reads the clock";
        let settings = Settings::gobreaker().open_for(OPEN_FOR);
        let guard = opened(Guard::new((Idle::<true, false>, breaker(settings))));
        self.endpoint(title, Some(CLOCK_ERROR), boxes(1.0, 105), guard.layer(Leaf));
    }

    fn tower(&mut self) {
        let leaf = service_fn(leaf);
        self.service(SERVICE, None, FREE, leaf);
        self.service(TOWER, Some(SERVICE), FREE, Tower::new(Guard::new(Idle::<false, false>)).layer(leaf));
        let guard = || Guard::new(breaker(Settings::gobreaker().open_for(OPEN_FOR)));
        self.service("kit: tower face, closed", Some(TOWER), boxes(1.0, 95), Tower::new(guard()).layer(leaf));
        let title = "kit: tower face, open";
        self.service(title, Some(TOWER), boxes(2.0, 380), Tower::new(opened(guard())).layer(leaf));
    }

    fn hooks(&mut self) {
        let hook = || {
            let (calls, nanoseconds) = (AtomicU64::new(0), AtomicU64::new(0));
            Hook(move |_, took: Duration| {
                calls.fetch_add(1, Relaxed);
                nanoseconds.fetch_add(took.as_nanos() as u64, Relaxed);
            })
        };
        let circuit = || breaker(Settings::gobreaker());
        self.endpoint(HOOK, Some(GATE), FREE, Guard::new(hook()).layer(Leaf));
        let idle = || Idle::<false, false>;
        let title = "a finish hook and a gate that does nothing, one tuple";
        self.endpoint(title, Some(HOOK), FREE, Guard::new((hook(), idle())).layer(Leaf));
        let title = "a finish hook and a gate that does nothing, nested";
        self.endpoint(title, Some(HOOK), FREE, Guard::new(hook()).layer(Guard::new(idle()).layer(Leaf)));
        let tuple = Guard::new((hook(), circuit())).layer(Leaf);
        self.endpoint("kit: a breaker and a finish hook, one tuple", Some(HOOK), at_most(95), tuple);
        let nested = Guard::new(hook()).layer(Guard::new(circuit()).layer(Leaf));
        self.endpoint("kit: a breaker and a finish hook, nested", Some(HOOK), at_most(150), nested);
    }

    fn endpoint<E>(&mut self, title: &'static str, over: Option<&'static str>, bound: Bound, endpoint: E)
    where
        E: Endpoint<Ask, Response = Response<u64>, Error = Error> + 'static,
    {
        self.row(title, over, bound, move |calls| {
            for number in 0..calls {
                drop(answer(pin!(call(&endpoint, ask(number)))));
            }
        });
    }

    pub(crate) fn service<S>(&mut self, title: &'static str, over: Option<&'static str>, bound: Bound, service: S)
    where
        S: Service<Ask, Response = Response<u64>> + Clone + Send + Sync + 'static,
        S::Error: Send + 'static,
    {
        self.row(title, over, bound, move |calls| {
            let mut service = service.clone();
            for number in 0..calls {
                let ready = service.poll_ready(&mut Context::from_waker(Waker::noop()));
                assert!(matches!(ready, Poll::Ready(Ok(()))), "it is ready at once");
                drop(answer(pin!(call_service(&mut service, ask(number)))));
            }
        });
    }
}

fn breaker(settings: Settings) -> Breaker {
    Breaker::new(settings).expect("settings that make sense")
}

/// A clock that goes on by a minute at each reading.
fn minutes() -> impl Clock {
    let (begin, readings) = (Instant::now(), AtomicU64::new(0));
    move || begin + Duration::from_secs(60 * readings.fetch_add(1, Relaxed))
}

/// Opens the circuit of a guard that opens at six failures in a row.
fn opened<G>(guard: Guard<G>) -> Guard<G>
where
    Guarded<Failing<true>, G>: Endpoint<Ask, Response = Response<u64>, Error = Error>,
{
    let failing = guard.layer(Failing::<true>);
    (0..6).for_each(|number| drop(answer(pin!(call(&failing, ask(number))))));
    guard
}

pub(crate) fn ask(number: u64) -> Ask {
    Ask::new(black_box(number))
}

// Futures are made behind a call that is not inlined, as where a router, a box or another crate calls.

#[inline(never)]
fn call<E: Endpoint<Req>, Req>(endpoint: &E, request: Req) -> impl Future<Output = Result<E::Response, E::Error>> {
    endpoint.call(request)
}

#[inline(never)]
fn call_service<S: Service<Req>, Req>(service: &mut S, request: Req) -> S::Future {
    service.call(request)
}

/// Polls a future until it is ready, through a vtable and at a place of which the optimiser knows nothing: as a runtime
/// polls a task.
#[inline(never)]
pub(crate) fn answer<T>(mut future: Pin<&mut dyn Future<Output = T>>) -> T {
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(answer) = black_box(future.as_mut()).poll(&mut cx) {
            return answer;
        }
    }
}
