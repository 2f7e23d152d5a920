//! The subjects: an endpoint of no work, gates to compare with, and what one would write by hand to limit a rate.

use std::hint::black_box;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

use kit_base::{End, Endpoint, Error, Gate, Now, Request, Response, Verdict};

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

/// Reads tokio's clock, and calls the innermost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timed;

impl Endpoint<Ask> for Timed {
    type Response = Response<u64>;
    type Error = Error;

    async fn call(&self, request: Ask) -> Answer {
        black_box(tokio::time::Instant::now());
        leaf(request).await
    }
}

/// Does nothing: what a guard costs. With `IN`, it asks for the time on the way in.
#[derive(Debug)]
pub(crate) struct Idle<const IN: bool>;

impl<const IN: bool, Req, Res, Err> Gate<Req, Res, Err> for Idle<IN> {
    type Permit = ();

    #[inline]
    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<(), Error> {
        if IN {
            black_box(now.get());
        }
        Ok(())
    }

    #[inline]
    fn finish(&self, (): (), _: &End<'_>) {}
}

/// A reading of the clock, and the error of a refusal.
#[derive(Debug)]
pub(crate) struct Refusing;

impl<Req, Res, Err> Gate<Req, Res, Err> for Refusing {
    type Permit = ();

    #[inline]
    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<(), Error> {
        black_box(now.get());
        Err(refusal(black_box(Duration::from_secs(1))))
    }

    #[inline]
    fn finish(&self, (): (), _: &End<'_>) {}
}

fn refusal(wait: Duration) -> Error {
    Error::resource_exhausted("rate limit exceeded").with_reason("RATE_LIMITED").with_retry_after(wait)
}

/// The least that is a limit: one word that says when the bucket is full again, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Word {
    began: Instant,
    interval: u64,
    refill: u64,
    full_at: AtomicU64,
}

impl Word {
    pub(crate) fn new(interval: Duration, burst: u64) -> Self {
        let interval = interval.as_nanos() as u64;
        Self { began: Instant::now(), interval, refill: interval * burst, full_at: AtomicU64::new(0) }
    }

    /// Takes a token, or says for how long there is none.
    #[inline]
    pub(crate) fn take(&self, now: Instant) -> Result<(), u64> {
        let now = now.saturating_duration_since(self.began).as_nanos() as u64;
        let mut full_at = self.full_at.load(Relaxed);
        loop {
            let after = full_at.max(now) + self.interval;
            if after > now + self.refill {
                return Err(after - now - self.refill);
            }
            match self.full_at.compare_exchange_weak(full_at, after, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => full_at = other,
            }
        }
    }
}

impl<Req, Res, Err> Gate<Req, Res, Err> for Word {
    type Permit = ();

    #[inline]
    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<(), Error> {
        self.take(now.get()).map_err(|wait| refusal(Duration::from_nanos(wait)))
    }

    #[inline]
    fn finish(&self, (): (), _: &End<'_>) {}
}

/// The least that is a circuit breaker: it opens after so many failures in a row, for an hour.
#[derive(Debug)]
pub(crate) struct Breaker {
    began: Instant,
    /// Nanoseconds; 0 while closed.
    open_until: AtomicU64,
    failures: AtomicU32,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), open_until: AtomicU64::new(0), failures: AtomicU32::new(0) }
    }
}

impl<Req, Res, Err> Gate<Req, Res, Err> for Breaker {
    type Permit = ();

    #[inline]
    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<(), Error> {
        let until = self.open_until.load(Acquire);
        if until == 0 {
            return Ok(());
        }
        let now = now.get().saturating_duration_since(self.began).as_nanos() as u64;
        if now < until { Err(refusal(Duration::from_nanos(until - now))) } else { Ok(()) }
    }

    #[inline]
    fn finish(&self, (): (), end: &End<'_>) {
        if end.judgement.verdict == Verdict::Success {
            if self.failures.load(Relaxed) != 0 {
                self.failures.store(0, Relaxed);
            }
        } else if end.judgement.is_failure() && self.failures.fetch_add(1, AcqRel) == 5 {
            let until = end.now.get().saturating_duration_since(self.began) + Duration::from_secs(3_600);
            self.open_until.store(until.as_nanos() as u64, Relaxed);
        }
    }
}

/// Counts calls by how they ended.
#[derive(Debug, Default)]
pub(crate) struct Counter([AtomicU64; 2]);

impl<Req, Res, Err> Gate<Req, Res, Err> for Counter {
    const REFUSES: bool = false;
    type Permit = ();

    #[inline]
    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        Ok(())
    }

    #[inline]
    fn finish(&self, (): (), end: &End<'_>) {
        self.0[usize::from(end.judgement.is_failure())].fetch_add(1, Relaxed);
    }
}

/// Counts calls by how long they took: a bucket for each power of two.
#[derive(Debug)]
pub(crate) struct Histogram([AtomicU64; 65]);

impl Histogram {
    pub(crate) fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 65])
    }
}

impl<Req, Res, Err> Gate<Req, Res, Err> for Histogram {
    const REFUSES: bool = false;
    type Permit = Instant;

    #[inline]
    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<Instant, Error> {
        Ok(now.get())
    }

    #[inline]
    fn finish(&self, start: Instant, end: &End<'_>) {
        let took = end.now.get().saturating_duration_since(start).as_nanos() as u64;
        self.0[(64 - took.leading_zeros()) as usize].fetch_add(1, Relaxed);
    }
}
