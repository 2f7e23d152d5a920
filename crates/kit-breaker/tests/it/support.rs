//! What the tests share: an endpoint that answers as told, on tokio's clock.

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kit_base::{
    Cause, End, Endpoint, Error, Event, Gate, Guard, Guarded, Judgement, Kind, Now, Observer, Request, Standard,
};
use kit_breaker::{Breaker, Permit, Settings, Snapshot, State};
use tower_layer::Layer;

/// tokio's clock, which tests pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// An endpoint whose requests say how they end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AsTold;

/// How a call is to end.
#[derive(Debug)]
pub(crate) enum Ask {
    Succeed,
    Fail(Error),
    Panic,
    Hang,
}

impl Endpoint<Request<Ask>> for AsTold {
    type Response = ();
    type Error = Error;

    async fn call(&self, request: Request<Ask>) -> Result<(), Error> {
        match request.into_message() {
            Ask::Succeed => Ok(()),
            Ask::Fail(error) => Err(error),
            Ask::Panic => panic!("as told"),
            Ask::Hang => std::future::pending().await,
        }
    }
}

/// A guard on tokio's clock, to look at its breaker.
pub(crate) type OnTokiosClock = Guard<Breaker, Standard, fn() -> Instant>;

/// [`AsTold`] behind such a guard.
pub(crate) type Guarding = Guarded<AsTold, Breaker, Standard, fn() -> Instant>;

/// The guard, for the breaker's state, and the endpoint behind it.
pub(crate) fn guarding(settings: Settings) -> (OnTokiosClock, Guarding) {
    let guard =
        Guard::with(Breaker::new(settings).expect("settings that make sense"), Standard, now as fn() -> Instant);
    let endpoint = guard.layer(AsTold);
    (guard, endpoint)
}

pub(crate) async fn succeed(endpoint: &Guarding) -> Result<(), Error> {
    endpoint.call(Request::new(Ask::Succeed)).await
}

pub(crate) async fn fail(endpoint: &Guarding) -> Result<(), Error> {
    endpoint.call(Request::new(Ask::Fail(Error::unavailable("as told")))).await
}

/// A breaker whose calls are made by hand, one step after the other, at moments of the test's own.
pub(crate) struct ByHand<O: Observer + 'static = ()> {
    pub(crate) breaker: Breaker<O>,
    began: Instant,
    passed: Cell<Duration>,
}

impl ByHand {
    pub(crate) fn new(settings: Settings) -> Self {
        Self::over(Breaker::new(settings).expect("settings that make sense"))
    }
}

impl<O: Observer + 'static> ByHand<O> {
    pub(crate) fn over(breaker: Breaker<O>) -> Self {
        let by_hand = Self { breaker, began: Instant::now(), passed: Cell::default() };
        // The first look is where its time begins.
        by_hand.snapshot();
        by_hand
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

    pub(crate) fn state(&self) -> State {
        self.breaker.state_at(self.now())
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.breaker.snapshot_at(self.now())
    }

    pub(crate) fn admit(&self) -> Result<Permit, Error> {
        let now = self.now();
        let clock = move || now;
        Gate::<(), (), Error>::admit(&self.breaker, &mut (), &Now::new(&clock))
    }

    /// A call that is let in.
    #[track_caller]
    pub(crate) fn begin(&self) -> Permit {
        self.admit().expect("it is let in")
    }

    /// The time after which to come back.
    #[track_caller]
    pub(crate) fn refused(&self) -> Option<Duration> {
        self.admit().expect_err("it is refused").retry_after()
    }

    /// The head of an answer is there.
    pub(crate) fn answer(&self, permit: &mut Permit, judgement: Judgement) {
        Gate::<(), (), Error>::answer(&self.breaker, permit, &mut Ok(()), &judgement);
    }

    pub(crate) fn end(&self, permit: Permit, judgement: Judgement, cause: Cause) {
        let now = self.now();
        let clock = move || now;
        let now = Now::new(&clock);
        let mut end = End::answered(&judgement, &now);
        end.cause = cause;
        Gate::<(), (), Error>::finish(&self.breaker, permit, &end);
    }

    pub(crate) fn succeed(&self, permit: Permit) {
        self.end(permit, Judgement::SUCCESS, Cause::Answered);
    }

    pub(crate) fn fail(&self, permit: Permit) {
        self.end(permit, Judgement::of_kind(Kind::Unavailable), Cause::Answered);
    }

    pub(crate) fn leave(&self, permit: Permit) {
        self.end(permit, Judgement::LEFT, Cause::Left);
    }

    pub(crate) fn panic(&self, permit: Permit) {
        self.end(permit, Judgement::of_kind(Kind::Internal), Cause::Panicked);
    }
}

/// What a breaker has told, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<&'static str>>>);

impl Told {
    /// What was told since the last time.
    pub(crate) fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock().expect("nobody panics with it"))
    }
}

impl Observer for Told {
    fn observe(&self, event: &Event<'_>) {
        assert_eq!((event.source, event.amount), ("breaker", 1.0));
        self.0.lock().expect("nobody panics with it").push(event.what);
    }
}

/// Chance by a seed: `SplitMix64`.
#[derive(Debug)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number under this.
    pub(crate) fn under(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    /// One in so many.
    pub(crate) fn one_in(&mut self, of: u64) -> bool {
        self.under(of) == 0
    }

    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.under(choices.len() as u64) as usize]
    }
}

/// An endpoint whose future is large.
#[derive(Debug)]
pub(crate) struct Large;

impl Endpoint<Request<[u8; 4096]>> for Large {
    type Response = u8;
    type Error = Error;

    async fn call(&self, request: Request<[u8; 4096]>) -> Result<u8, Error> {
        tokio::task::yield_now().await;
        Ok(request.message()[0])
    }
}

/// Asserts that a layer keeps the future of the call once, and little beside it.
pub(crate) fn adds_few_words<L>(layer: &L)
where
    L: Layer<Large, Service: Endpoint<Request<[u8; 4096]>>>,
{
    let request = || Request::new([0; 4096]);
    let inner = size_of_val(&Large.call(request()));
    let layered = size_of_val(&layer.layer(Large).call(request()));
    assert!(layered <= inner + 64, "{layered} over {inner}");
}
