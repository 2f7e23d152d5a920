//! Failure policies of the crate failsafe.

use std::fmt;
use std::time::{Duration, Instant};

use ::failsafe::FailurePolicy;

use crate::{Decision, Policy};

/// A failure policy of the crate `failsafe` as a rule by which a circuit opens.
///
/// It says when the circuit opens and for how long, when a probe fails too: the time of
/// [`open_for`](crate::Settings::open_for) is not used, unless another rule opens the circuit. How many probes a half-open circuit
/// lets in, and when they are given up, stays with the settings; `failsafe`'s own breaker lets everything in then.
///
/// ```
/// use std::time::Duration;
///
/// use failsafe::{FailurePolicy, backoff, failure_policy};
/// use kit_breaker::{Breaker, Failsafe, OpenFor, Settings};
///
/// let five = Duration::from_secs(5);
/// let settings = Settings::new().policy(move || {
///     let growing = backoff::exponential(five, Duration::from_secs(60));
///     let in_a_row = failure_policy::consecutive_failures(3, growing.clone());
///     let rate = failure_policy::success_rate_over_time_window(0.8, 5, Duration::from_secs(30), growing);
///     Failsafe::new(in_a_row.or_else(rate))
/// });
/// let breaker = Breaker::new(settings)?;
///
/// // Its back-off strategies are open times for any rule.
/// let jittered = backoff::equal_jittered(five, Duration::from_secs(60));
/// let breaker = Breaker::new(Settings::new().failure_rate(0.5).open_for(OpenFor::each(jittered)))?;
/// # Ok::<(), kit_breaker::InvalidSettings>(())
/// ```
///
/// # What to know of failsafe 1.3
///
/// - Its policies read the clock of the standard library, not the guard's: paused time does not move
///   `success_rate_over_time_window`. Nor does that open anything before a whole window has passed.
/// - Its times are whole seconds: a back-off of less than one panics where it is made, a window is cut to seconds.
///   `full_jittered` may say 0, which is 1 ms here.
/// - What a policy panics with, when it is asked, is lost, and the circuit stays as it is.
/// - As each [`Policy`], it runs under a lock.
/// - The feature brings 14 crates, among them `parking_lot` 0.12 and `rand` 0.8.
pub struct Failsafe<P> {
    policy: P,
    /// What it said last: a probe that fails may be none of its reasons.
    last: Option<Duration>,
}

impl<P: FailurePolicy> Failsafe<P> {
    /// The rule of this failure policy.
    pub fn new(policy: P) -> Self {
        Self { policy, last: None }
    }

    fn failed(&mut self) -> Option<Duration> {
        let time = self.policy.mark_dead_on_failure();
        self.last = time.or(self.last);
        time
    }
}

impl<P: FailurePolicy + Send> Policy for Failsafe<P> {
    fn success(&mut self, _: Instant) {
        self.policy.record_success();
    }

    fn failure(&mut self, _: Instant) -> Decision {
        self.failed().map_or(Decision::Stay, Decision::OpenFor)
    }

    fn reopen(&mut self, _: Instant) -> Option<Duration> {
        self.failed().or(self.last)
    }

    fn reset(&mut self, _: Instant) {
        self.policy.revived();
        self.last = None;
    }
}

impl<P: fmt::Debug> fmt::Debug for Failsafe<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Failsafe").field(&self.policy).finish()
    }
}
