//! Any limiter that says yes or no.

use std::time::Instant;

use kit_base::{End, Error, Gate, Now, RetryHint};

/// A limiter that says yes or no at once. A closure `Fn() -> bool` is one.
#[doc(alias = "Allower")]
#[doc(alias = "AllowerFunc")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no limiter that says yes or no",
    label = "not a limiter",
    note = "a closure `|| -> bool` is one; `governor::RateLimiter` is one with the feature `governor` of kit-ratelimit; else implement `kit_ratelimit::Allow`"
)]
pub trait Allow: Send + Sync + 'static {
    /// Whether a call may be made now. If it may, it is counted.
    ///
    /// # Errors
    /// It may not; and what is known about another try.
    fn allow(&self, now: Instant) -> Result<(), RetryHint>;
}

impl<F: Fn() -> bool + Send + Sync + 'static> Allow for F {
    fn allow(&self, _: Instant) -> Result<(), RetryHint> {
        if self() { Ok(()) } else { Err(RetryHint::None) }
    }
}

/// A gate that asks any limiter, and refuses what that does not allow.
#[doc(alias = "NewErroringLimiter")]
#[doc(alias = "ErrLimited")]
#[derive(Clone, Debug)]
pub struct Erroring<A>(A);

impl<A: Allow> Erroring<A> {
    /// A gate that asks this limiter.
    pub const fn new(limiter: A) -> Self {
        Self(limiter)
    }

    /// The limiter.
    pub const fn limiter(&self) -> &A {
        &self.0
    }
}

impl<Req, Res, Err, A: Allow> Gate<Req, Res, Err> for Erroring<A> {
    type Permit = ();

    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<(), Error> {
        self.0.allow(now.get()).map_err(|hint| {
            Error::resource_exhausted("rate limit exceeded").with_reason("RATE_LIMITED").with_retry_hint(hint)
        })
    }

    fn finish(&self, (): (), _: &End<'_>) {}
}
