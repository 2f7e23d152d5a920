//! Any limiter that says yes or no.

use std::sync::Arc;
use std::time::Instant;

use kit_base::{End, Error, Gate, Now, RetryHint};

/// A limiter that says yes or no at once. A closure `Fn() -> bool` is one; so is governor's direct `RateLimiter`, with the
/// feature `governor`; and an `Arc` of one, for several that share it.
///
/// ```
/// use std::time::{Duration, Instant};
/// use kit_base::RetryHint;
/// use kit_ratelimit::{Allow, Erroring};
///
/// /// Closed until a moment, for maintenance.
/// struct ClosedUntil(Instant);
///
/// impl Allow for ClosedUntil {
///     fn allow(&self, now: Instant) -> Result<(), RetryHint> {
///         match self.0.checked_duration_since(now) {
///             Some(left) if !left.is_zero() => Err(RetryHint::After(left)),
///             _ => Ok(()),
///         }
///     }
/// }
///
/// let now = Instant::now();
/// let closed = Erroring::new(ClosedUntil(now + Duration::from_secs(5)));
/// assert_eq!(closed.limiter().allow(now), Err(RetryHint::After(Duration::from_secs(5))));
/// assert_eq!(closed.limiter().allow(now + Duration::from_secs(5)), Ok(()));
/// ```
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

/// For several that share one limiter.
impl<A: Allow + ?Sized> Allow for Arc<A> {
    fn allow(&self, now: Instant) -> Result<(), RetryHint> {
        (**self).allow(now)
    }
}

impl<F: Fn() -> bool + Send + Sync + 'static> Allow for F {
    fn allow(&self, _: Instant) -> Result<(), RetryHint> {
        if self() { Ok(()) } else { Err(RetryHint::None) }
    }
}

/// A gate that asks any limiter, and refuses what that does not allow, with `ResourceExhausted` and what the limiter knows about
/// another try.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use kit_base::{Endpoint, Error, Kind, Request};
/// use kit_ratelimit::{Erroring, Guard, Layer};
///
/// # struct Echo;
/// # impl Endpoint<Request<u32>> for Echo {
/// #     type Response = u32;
/// #     type Error = Error;
/// #     async fn call(&self, request: Request<u32>) -> Result<u32, Error> { Ok(request.into_message()) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// // Two calls in all.
/// let made = AtomicU32::new(0);
/// let limited = Guard::new(Erroring::new(move || made.fetch_add(1, Ordering::Relaxed) < 2)).layer(Echo);
/// assert_eq!(limited.call(Request::new(1)).await.unwrap(), 1);
/// assert_eq!(limited.call(Request::new(2)).await.unwrap(), 2);
/// assert_eq!(limited.call(Request::new(3)).await.unwrap_err().kind(), Kind::ResourceExhausted);
/// # }
/// ```
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
