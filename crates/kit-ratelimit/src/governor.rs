//! Limiters of the crate governor.

use std::time::Instant;

use governor::clock::Clock;
use governor::middleware::RateLimitingMiddleware;
use governor::state::{DirectStateStore, NotKeyed};
use governor::{NotUntil, RateLimiter};
use kit_base::RetryHint;

use crate::Allow;

/// By governor's own clock.
impl<S, C, M> Allow for RateLimiter<NotKeyed, S, C, M>
where
    S: DirectStateStore + Send + Sync + 'static,
    C: Clock + Send + Sync + 'static,
    M: RateLimitingMiddleware<C::Instant, NegativeOutcome = NotUntil<C::Instant>> + Send + Sync + 'static,
{
    fn allow(&self, _: Instant) -> Result<(), RetryHint> {
        let wait = |not_until: NotUntil<C::Instant>| not_until.wait_time_from(self.clock().now());
        self.check().map(drop).map_err(|not_until| RetryHint::After(wait(not_until)))
    }
}
