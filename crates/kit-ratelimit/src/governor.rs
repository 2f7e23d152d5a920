//! Limiters of the crate governor.

use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::RateLimitingMiddleware;
use governor::state::{DirectStateStore, NotKeyed};
use governor::{NotUntil, RateLimiter};
use kit_base::{Deadline, Error, Origin, RetryHint};
use tokio::time::sleep;

use crate::line::now;
use crate::{Allow, Wait};

/// By governor's own clock.
impl<S, C, M> Allow for RateLimiter<NotKeyed, S, C, M>
where
    S: DirectStateStore + Send + Sync + 'static,
    C: Clock + Send + Sync + 'static,
    M: RateLimitingMiddleware<C::Instant, NegativeOutcome = NotUntil<C::Instant>> + Send + Sync + 'static,
{
    fn allow(&self, _: Instant) -> Result<(), RetryHint> {
        pass_or_wait(self).map_err(RetryHint::After)
    }
}

/// By governor's own clock, and tokio's timer. Nobody is in a line: whoever asks when the time has come goes. So what is known
/// about the deadline is how long it takes at least.
impl<S, C, M> Wait for RateLimiter<NotKeyed, S, C, M>
where
    S: DirectStateStore + Send + Sync + 'static,
    C: Clock + Send + Sync + 'static,
    M: RateLimitingMiddleware<C::Instant, NegativeOutcome = NotUntil<C::Instant>> + Send + Sync + 'static,
{
    async fn wait(&self, deadline: Option<Deadline>) -> Result<(), Error> {
        while let Err(wait) = pass_or_wait(self) {
            if deadline.is_some_and(|deadline| deadline.left(now()) <= wait) {
                let late = "the deadline would pass before the rate limit lets the call through";
                return Err(Error::deadline_exceeded(late).with_origin(Origin::NotSent));
            }
            sleep(wait).await;
        }
        Ok(())
    }
}

/// Passes, or says how long to wait for another try.
fn pass_or_wait<S, C, M>(limiter: &RateLimiter<NotKeyed, S, C, M>) -> Result<(), Duration>
where
    S: DirectStateStore,
    C: Clock,
    M: RateLimitingMiddleware<C::Instant, NegativeOutcome = NotUntil<C::Instant>>,
{
    limiter.check().map(drop).map_err(|not_until| not_until.wait_time_from(limiter.clock().now()))
}
