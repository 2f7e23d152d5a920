//! When a circuit opens, for how long, and how it closes.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use kit_base::InvalidBackoff;

use crate::open_for::{LONGEST, SHORTEST};
use crate::{InvalidSettings, OpenFor, Policy, Window};

/// gobreaker's.
pub(crate) const OPEN_FOR: Duration = Duration::from_secs(60);
const PROBE_WITHIN: Duration = Duration::from_secs(60);
/// Hystrix's.
const WINDOW: Window = Window::Time(Duration::from_secs(10));
const MIN_CALLS: u32 = 20;
const MOST_CALLS: u32 = 10_000;
/// A slice of time that is full has more, when it is halved too.
const MOST_NEEDED: u32 = 500_000;
const MOST_PROBES: u32 = 1_000;
const LONGEST_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

type Policies = Arc<dyn Fn() -> Box<dyn Policy> + Send + Sync>;

/// When a circuit opens, for how long, and how it closes. Plain data; [`Breaker::new`](crate::Breaker::new) checks it.
///
/// Begin with [`new`](Self::new), which has no rule to open by yet, or with [`gobreaker`](Self::gobreaker).
/// Where several rules are set, any of them opens the circuit. The rules are [`consecutive_failures`](Self::consecutive_failures),
/// [`failure_rate`](Self::failure_rate), [`slow_calls`](Self::slow_calls), [`policy`](Self::policy) and
/// [`heed_retry_after`](Self::heed_retry_after).
///
/// ```
/// use std::time::Duration;
///
/// use kit_base::Backoff;
/// use kit_breaker::{Breaker, Settings, Window};
///
/// let settings = Settings::new()
///     .failure_rate(0.5) // half of them; a share, not per cent
///     .window(Window::Calls(100))
///     .min_calls(20)
///     .open_for(Backoff::new(Duration::from_secs(5), Duration::from_secs(60))?.with_jitter(0.2)?);
/// let breaker = Breaker::new(settings)?;
///
/// let wrong = Breaker::new(Settings::new().failure_rate(50.0)).unwrap_err();
/// assert_eq!(wrong.to_string(), "failure_rate must be more than 0 and at most 1, got 50");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// | setting | default |
/// |---|---|
/// | [`open_for`](Self::open_for) | 60 s |
/// | [`probes`](Self::probes), [`successes_to_close`](Self::successes_to_close) | 1, as many as probes |
/// | [`probe_within`](Self::probe_within) | 60 s |
/// | [`window`](Self::window), [`min_calls`](Self::min_calls) | 10 s, 20 |
/// | the rest | off |
#[derive(Clone)]
pub struct Settings {
    pub(crate) consecutive: Option<u32>,
    pub(crate) failure_rate: Option<f64>,
    pub(crate) slow: Option<(Duration, f64)>,
    pub(crate) policy: Option<Policies>,
    pub(crate) window: Window,
    min_calls: Option<u32>,
    pub(crate) clear_every: Option<Duration>,
    pub(crate) open_for: OpenFor,
    pub(crate) heed: Option<Duration>,
    pub(crate) probes: u32,
    successes: Option<u32>,
    pub(crate) probe_within: Duration,
    pub(crate) observe_only: bool,
}

impl Settings {
    /// No rule to open by yet, and the defaults.
    #[expect(clippy::new_without_default, reason = "without a rule they are no settings yet")]
    pub fn new() -> Self {
        Self {
            consecutive: None,
            failure_rate: None,
            slow: None,
            policy: None,
            window: WINDOW,
            min_calls: None,
            clear_every: None,
            open_for: OPEN_FOR.into(),
            heed: None,
            probes: 1,
            successes: None,
            probe_within: PROBE_WITHIN,
            observe_only: false,
        }
    }

    /// The defaults of `sony/gobreaker`, and so of Go kit's `circuitbreaker.Gobreaker`: opens at the sixth failure in a row,
    /// for 60 s; then one probe, whose success closes it. Those of [`Breaker::default`](crate::Breaker).
    #[doc(alias = "Gobreaker")]
    pub fn gobreaker() -> Self {
        Self::new().consecutive_failures(6)
    }

    /// Opens after this many failures in a row, 1 to 1,000,000.
    #[doc(alias = "ReadyToTrip")]
    #[must_use]
    pub fn consecutive_failures(self, failures: u32) -> Self {
        Self { consecutive: Some(failures), ..self }
    }

    /// Opens when this share of the calls in the [window](Self::window) has failed: more than 0, up to 1. It is looked at when
    /// a call fails.
    #[doc(alias("failureRateThreshold", "ErrorPercentThreshold"))]
    #[must_use]
    pub fn failure_rate(self, share: f64) -> Self {
        Self { failure_rate: Some(share), ..self }
    }

    /// Opens when this share of the calls in the [window](Self::window), more than 0, up to 1, took `limit` or longer: 1 ms to
    /// a day, until the end of the answer. It is looked at when a call fails or is slow. A probe that is slow opens the circuit
    /// again, and a call whose deadline passed earlier than `limit` is no failure, nor anything else: it had too little time.
    ///
    /// Where answers stream for long, or their readers take their time, keep them out of it: guard those operations with
    /// settings of their own.
    #[doc(alias("slowCallDurationThreshold", "slowCallRateThreshold"))]
    #[must_use]
    pub fn slow_calls(self, limit: Duration, share: f64) -> Self {
        Self { slow: Some((limit, share)), ..self }
    }

    /// Opens when a rule of your own says so; `make` makes one for each circuit, and a new one with each change of settings.
    #[must_use]
    pub fn policy<P: Policy + 'static>(self, make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        Self { policy: Some(Arc::new(move || Box::new(make()))), ..self }
    }

    /// What rates are measured over. 10 s unless set. Without a rate there is none.
    #[doc(alias("slidingWindowType", "slidingWindowSize", "BucketPeriod"))]
    #[must_use]
    pub fn window(self, window: Window) -> Self {
        Self { window, ..self }
    }

    /// How many calls there must be in the window for a rate to count, 1 to 500,000. 20 unless set, or all of a window of
    /// fewer calls.
    #[doc(alias("minimumNumberOfCalls", "RequestVolumeThreshold"))]
    #[must_use]
    pub fn min_calls(self, calls: u32) -> Self {
        Self { min_calls: Some(calls), ..self }
    }

    /// While closed, forgets everything at this interval, 1 ms to 30 days; results of calls from before are ignored then.
    #[doc(alias = "Interval")]
    #[must_use]
    pub fn clear_every(self, interval: Duration) -> Self {
        Self { clear_every: Some(interval), ..self }
    }

    /// How long it stays open: 1 ms to 30 days, the same each time or a [`Backoff`](kit_base::Backoff) that grows while
    /// probes fail. Give a back-off some jitter, so that not all clients come back at once, but not the full jitter that it
    /// has by default: that may open for next to no time. `Backoff::new(time, time)?.with_jitter(0.2)?` is a fixed time with
    /// jitter. Times beyond these bounds are cut to them.
    #[doc(alias("Timeout", "SleepWindow", "waitDurationInOpenState"))]
    #[must_use]
    pub fn open_for(self, time: impl Into<OpenFor>) -> Self {
        Self { open_for: time.into(), ..self }
    }

    /// Heeds what the peer says about another try, up to `at_most`, 1 ms to 30 days: an `Unavailable` with such a time (HTTP
    /// 503 with `Retry-After`, gRPC's `RetryInfo`), which is no failure by itself, opens the circuit for that long, at once;
    /// and where a failure that has one opens it, it is for that long. What an inner layer has refused is not the peer's word,
    /// and `ResourceExhausted` (429) is about this caller's share.
    #[must_use]
    pub fn heed_retry_after(self, at_most: Duration) -> Self {
        Self { heed: Some(at_most), ..self }
    }

    /// How many calls a half-open circuit lets in at the same time, 1 to 1,000. 1 unless set.
    #[doc(alias("MaxRequests", "permittedNumberOfCallsInHalfOpenState"))]
    #[must_use]
    pub fn probes(self, probes: u32) -> Self {
        Self { probes, ..self }
    }

    /// How many of them must succeed to close it, 1 to 1,000. As many as [`probes`](Self::probes) unless set.
    #[must_use]
    pub fn successes_to_close(self, successes: u32) -> Self {
        Self { successes: Some(successes), ..self }
    }

    /// How long probes may be without an answer, 1 ms to 30 days since the last of them was let in, before the next caller
    /// takes them for failed. One that has the head of a good answer, and streams on, is taken for a success then; if more
    /// are needed to close it, new probes take the places of all. 60 s unless set.
    #[doc(alias = "maxWaitDurationInHalfOpenState")]
    #[must_use]
    pub fn probe_within(self, time: Duration) -> Self {
        Self { probe_within: time, ..self }
    }

    /// Refuses nothing, unless [forced](crate::Breaker::force_open): the circuit opens and closes as it would, tells its
    /// observer what it would refuse, and counts nothing of those calls.
    #[doc(alias = "METRICS_ONLY")]
    #[must_use]
    pub fn observe_only(self) -> Self {
        Self { observe_only: true, ..self }
    }

    /// The calls that a rate needs.
    pub(crate) fn needed_calls(&self) -> u32 {
        self.min_calls.unwrap_or(match self.window {
            Window::Calls(calls) => calls.min(MIN_CALLS),
            _ => MIN_CALLS,
        })
    }

    pub(crate) fn needed_successes(&self) -> u32 {
        self.successes.unwrap_or(self.probes)
    }

    pub(crate) fn measures(&self) -> bool {
        self.failure_rate.is_some() || self.slow.is_some()
    }

    pub(crate) fn check(&self) -> Result<(), InvalidSettings> {
        if self.consecutive.is_none() && !self.measures() && self.policy.is_none() && self.heed.is_none() {
            return Err(InvalidSettings(
                "no rule opens the circuit: set one, such as `consecutive_failures(6)`".into(),
            ));
        }
        number("consecutive_failures", self.consecutive, 1..=1_000_000)?;
        share("failure_rate", self.failure_rate)?;
        share("the share of slow_calls", self.slow.map(|(_, share)| share))?;
        time("the limit of slow_calls", self.slow.map(|(limit, _)| limit), LONGEST_WINDOW)?;
        match self.window {
            Window::Calls(calls) => {
                number("the calls of the window", Some(calls), 1..=MOST_CALLS)?;
                let needed = self.needed_calls();
                if needed > calls {
                    let never = format!("min_calls({needed}) is never reached in a window of {calls} calls");
                    return Err(InvalidSettings(never));
                }
            }
            Window::Time(length) => time("the time of the window", Some(length), LONGEST_WINDOW)?,
            Window::Whole => {}
        }
        number("min_calls", self.min_calls, 1..=MOST_NEEDED)?;
        time("clear_every", self.clear_every, LONGEST)?;
        time("open_for", self.open_for.fixed(), LONGEST)?;
        time("heed_retry_after", self.heed, LONGEST)?;
        number("probes", Some(self.probes), 1..=MOST_PROBES)?;
        number("successes_to_close", self.successes, 1..=MOST_PROBES)?;
        time("probe_within", Some(self.probe_within), LONGEST)
    }
}

fn number(name: &str, number: Option<u32>, allowed: RangeInclusive<u32>) -> Result<(), InvalidSettings> {
    match number {
        Some(number) if !allowed.contains(&number) => {
            let (least, most) = allowed.into_inner();
            Err(InvalidSettings(format!("{name} must be {least} to {most}, got {number}")))
        }
        _ => Ok(()),
    }
}

fn share(name: &str, share: Option<f64>) -> Result<(), InvalidSettings> {
    match share {
        // What is no number is neither.
        Some(share) if !(share > 0.0 && share <= 1.0) => {
            Err(InvalidSettings(format!("{name} must be more than 0 and at most 1, got {share}")))
        }
        _ => Ok(()),
    }
}

fn time(name: &str, time: Option<Duration>, most: Duration) -> Result<(), InvalidSettings> {
    match time {
        Some(time) if time < SHORTEST || time > most => {
            Err(InvalidSettings(format!("{name} must be {SHORTEST:?} to {most:?}, got {time:?}")))
        }
        _ => Ok(()),
    }
}

impl From<InvalidBackoff> for InvalidSettings {
    fn from(invalid: InvalidBackoff) -> Self {
        Self(invalid.to_string())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("consecutive_failures", &self.consecutive)
            .field("failure_rate", &self.failure_rate)
            .field("slow_calls", &self.slow)
            .field("policy", &self.policy.is_some())
            .field("window", &self.window)
            .field("min_calls", &self.needed_calls())
            .field("clear_every", &self.clear_every)
            .field("open_for", &self.open_for)
            .field("heed_retry_after", &self.heed)
            .field("probes", &self.probes)
            .field("successes_to_close", &self.needed_successes())
            .field("probe_within", &self.probe_within)
            .field("observe_only", &self.observe_only)
            .finish()
    }
}
