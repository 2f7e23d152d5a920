//! What the tests share: an endpoint, limits on tokio's clock, and limits that are asked by hand at moments of the test's own.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kit_base::{End, Endpoint, Error, Event, Gate, Guard, Judgement, Kind, Now, Observer, Origin, Request, Standard};
use kit_ratelimit::Quota;

/// tokio's clock, which tests pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

pub(crate) fn nz(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

pub(crate) const fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// So many a second, so many at once.
pub(crate) fn quota(rate: u32, burst: u32) -> Quota {
    Quota::per_second(nz(rate)).with_burst(nz(burst))
}

/// Answers what it is asked, and counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Echo(pub(crate) Arc<AtomicUsize>);

impl Echo {
    pub(crate) fn reached(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl<T: Send + 'static> Endpoint<Request<T>> for Echo {
    type Response = T;
    type Error = Error;

    async fn call(&self, request: Request<T>) -> Result<T, Error> {
        self.0.fetch_add(1, SeqCst);
        Ok(request.into_message())
    }
}

/// A guard on tokio's clock.
pub(crate) fn on_tokios_clock<G>(gate: G) -> Guard<G, Standard, fn() -> Instant> {
    Guard::with(gate, Standard, now as fn() -> Instant)
}

/// A gate whose calls are made by hand, one step after the other, at moments of the test's own.
pub(crate) struct ByHand<G> {
    pub(crate) gate: G,
    began: Instant,
    passed: Cell<Duration>,
}

impl<G> ByHand<G> {
    pub(crate) fn over(gate: G) -> Self {
        // There is room for moments before the beginning.
        Self { gate, began: Instant::now() + Duration::from_secs(1000 * 24 * 3600), passed: Cell::default() }
    }

    pub(crate) fn advance(&self, time: Duration) {
        self.passed.set(self.passed.get() + time);
    }

    /// Goes to this time after the beginning, be it back.
    pub(crate) fn go_to(&self, passed: Duration) {
        self.passed.set(passed);
    }

    pub(crate) fn now(&self) -> Instant {
        self.began + self.passed.get()
    }

    /// Asks for one call of this request.
    pub(crate) fn ask<Req>(&self, mut request: Req) -> Result<G::Permit, Error>
    where
        G: Gate<Req, (), Error>,
    {
        let now = self.now();
        let clock = move || now;
        self.gate.admit(&mut request, &Now::new(&clock))
    }

    /// Whether one call of a request of no interest passes.
    pub(crate) fn passes(&self) -> bool
    where
        G: Gate<(), (), Error>,
    {
        self.ask(()).is_ok()
    }

    /// How many of so many pass.
    pub(crate) fn pass_of(&self, calls: usize) -> usize
    where
        G: Gate<(), (), Error>,
    {
        (0..calls).filter(|_| self.passes()).count()
    }

    /// The time after which to come back.
    #[track_caller]
    pub(crate) fn refused(&self) -> Option<Duration>
    where
        G: Gate<(), (), Error, Permit: std::fmt::Debug>,
    {
        self.ask(()).expect_err("it is refused").retry_after()
    }

    /// A call was not made: a gate inside had no room for it.
    pub(crate) fn not_made<Req>(&self, permit: G::Permit)
    where
        G: Gate<Req, (), Error>,
    {
        let now = self.now();
        let clock = move || now;
        self.gate.finish(permit, &End::answered(&no_room(), &Now::new(&clock)));
    }
}

/// How a call ends that a gate inside has no room for.
pub(crate) fn no_room() -> Judgement {
    let mut judgement = Judgement::of_kind(Kind::Unavailable);
    judgement.origin = Origin::LocalRefusal;
    judgement
}

/// An event: its key, what, and its amount.
type Tell = (String, &'static str, f64);

/// What a limit has told, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<Tell>>>);

impl Told {
    /// What was told since the last time.
    pub(crate) fn take(&self) -> Vec<Tell> {
        std::mem::take(&mut *self.0.lock().expect("nobody panics with it"))
    }
}

impl Observer for Told {
    fn observe(&self, event: &Event<'_>) {
        assert_eq!(event.source, "ratelimit");
        self.0.lock().expect("nobody panics with it").push((event.key.to_owned(), event.what, event.amount));
    }
}
