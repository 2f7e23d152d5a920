//! The subjects: an endpoint of no work, gates to compare with, and what one would write by hand to break a circuit.

use std::hint::black_box;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

use kit_base::{End, Endpoint, Error, Gate, Now, Request, Response, Verdict};
use kit_breaker::{Decision, Policy};

pub(crate) type Ask = Request<u64>;
pub(crate) type Answer = Result<Response<u64>, Error>;

/// The innermost: looks at the request, and answers at its first poll.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf;

impl Endpoint<Ask> for Leaf {
    type Response = Response<u64>;
    type Error = Error;

    async fn call(&self, request: Ask) -> Answer {
        leaf(request).await
    }
}

/// The same as a function, for a tower service.
pub(crate) async fn leaf(request: Ask) -> Answer {
    Ok(Response::new(black_box(request.into_message())))
}

/// Fails every second call, or each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failing<const EACH: bool>;

impl<const EACH: bool> Endpoint<Ask> for Failing<EACH> {
    type Response = Response<u64>;
    type Error = Error;

    async fn call(&self, request: Ask) -> Answer {
        let number = request.into_message();
        if EACH || number % 2 == 0 { Err(Error::unavailable("as told")) } else { Ok(Response::new(number)) }
    }
}

/// Does nothing: what a guard costs. With `IN`, it asks for the time on the way in, with `OUT` on the way out.
#[derive(Debug)]
pub(crate) struct Idle<const IN: bool, const OUT: bool>;

impl<const IN: bool, const OUT: bool, Req, Res, Err> Gate<Req, Res, Err> for Idle<IN, OUT> {
    type Permit = ();

    #[inline]
    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<(), Error> {
        if IN {
            black_box(now.get());
        }
        Ok(())
    }

    #[inline]
    fn finish(&self, (): (), end: &End<'_>) {
        if OUT {
            black_box(end.now.get());
        }
    }
}

/// A hook that sees how long each call took, and how it ended.
#[derive(Debug)]
pub(crate) struct Hook<F>(pub(crate) F);

impl<F, Req, Res, Err> Gate<Req, Res, Err> for Hook<F>
where
    F: Fn(Verdict, Duration) + Send + Sync + 'static,
{
    const REFUSES: bool = false;
    type Permit = Instant;

    #[inline]
    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<Instant, Error> {
        Ok(now.get())
    }

    #[inline]
    fn finish(&self, start: Instant, end: &End<'_>) {
        (self.0)(end.judgement.verdict, end.now.get().saturating_duration_since(start));
    }
}

/// The error of a refusal, and nothing else.
#[derive(Debug)]
pub(crate) struct Refusing;

impl<Req, Res, Err> Gate<Req, Res, Err> for Refusing {
    type Permit = ();

    #[inline]
    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        Err(refusal(black_box(Duration::from_secs(1))))
    }

    #[inline]
    fn finish(&self, (): (), _: &End<'_>) {}
}

fn refusal(wait: Duration) -> Error {
    Error::unavailable("circuit breaker is open").with_reason("CIRCUIT_OPEN").with_retry_after(wait)
}

/// The least that is a breaker: it opens after so many failures in a row. Results of late calls count wherever they fall,
/// and there is no half-open.
#[derive(Debug)]
pub(crate) struct ByHand {
    begin: Instant,
    /// Nanoseconds; 0 while closed.
    open_until: AtomicU64,
    failures: AtomicU32,
}

impl ByHand {
    pub(crate) fn new() -> Self {
        Self { begin: Instant::now(), open_until: AtomicU64::new(0), failures: AtomicU32::new(0) }
    }
}

impl<Req, Res, Err> Gate<Req, Res, Err> for ByHand {
    type Permit = ();

    #[inline]
    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<(), Error> {
        let until = self.open_until.load(Acquire);
        if until == 0 {
            return Ok(());
        }
        let now = now.get().saturating_duration_since(self.begin).as_nanos() as u64;
        if now < until {
            return Err(refusal(Duration::from_nanos(until - now)));
        }
        self.open_until.store(0, Relaxed);
        Ok(())
    }

    #[inline]
    fn finish(&self, (): (), end: &End<'_>) {
        if end.judgement.verdict == Verdict::Success {
            if self.failures.load(Relaxed) != 0 {
                self.failures.store(0, Relaxed);
            }
        } else if end.judgement.is_failure() && self.failures.fetch_add(1, AcqRel) == 5 {
            let until = end.now.get().saturating_duration_since(self.begin) + Duration::from_secs(3_600);
            self.failures.store(0, Relaxed);
            self.open_until.store(until.as_nanos() as u64, Relaxed);
        }
    }
}

/// A rule of the user's own, of next to no work.
#[derive(Debug, Default)]
pub(crate) struct Third {
    failures: u32,
}

impl Policy for Third {
    fn success(&mut self, _: Instant) {
        self.failures = 0;
    }

    fn failure(&mut self, _: Instant) -> Decision {
        self.failures += 1;
        if self.failures < 3 { Decision::Stay } else { Decision::Open }
    }

    fn reset(&mut self, _: Instant) {
        self.failures = 0;
    }
}
