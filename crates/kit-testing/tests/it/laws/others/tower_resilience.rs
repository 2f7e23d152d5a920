//! The patterns of tower-resilience 0.13.
//!
//! Its errors keep the inner error to themselves: `source` does not tell it, as their docs say. [`told`] tells it.

use std::future::ready;
use std::thread;
use std::time::Duration;

use kit_base::{Request, Response};
use kit_testing::laws::{Breaker, Fault, Inner, Law, Laws, Readiness};
use tower::util::service_fn;
use tower_layer::{Layer, layer_fn};
use tower_resilience::adaptive::{AdaptiveError, AdaptiveLimiterLayer, Aimd};
use tower_resilience::bulkhead::{BulkheadConfigBuilder, BulkheadLayer, BulkheadServiceError};
use tower_resilience::cache::{CacheError, CacheLayer};
use tower_resilience::chaos::ChaosLayer;
use tower_resilience::circuitbreaker::{
    CircuitBreakerConfigBuilder, CircuitBreakerError, CircuitBreakerLayer, DefaultClassifier,
};
use tower_resilience::coalesce::{CoalesceError, CoalesceLayer};
use tower_resilience::executor::{ExecutorError, ExecutorLayer};
use tower_resilience::fallback::{FallbackError, FallbackLayer, ServiceFallbackLayer};
use tower_resilience::hedge::{HedgeConfigBuilder, HedgeError, HedgeLayer};
use tower_resilience::outlier::{OutlierDetectionLayer, OutlierDetectionServiceError, OutlierDetector};
use tower_resilience::ratelimiter::{RateLimiterConfigBuilder, RateLimiterLayer, RateLimiterServiceError, WindowType};
use tower_resilience::reconnect::{
    ReconnectConfig, ReconnectConfigBuilder, ReconnectError, ReconnectLayer, ReconnectPolicy,
};
use tower_resilience::retry::{RetryBudgetBuilder, RetryConfigBuilder, RetryLayer};
use tower_resilience::router::WeightedRouter;
use tower_resilience::timelimiter::{TimeLimiterError, TimeLimiterLayer};

use super::{Told, breaks, keeps, told};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

fn idempotent(request: &Request<u64>) -> bool {
    request.context().operation().is_idempotent()
}

/// What the errors of the patterns hold.
trait Tell {
    fn tell(self) -> Told;
}

macro_rules! tells {
    ($($error:ident :: $inner:ident),*) => {$(
        impl Tell for $error<Fault> {
            fn tell(self) -> Told {
                match self {
                    $error::$inner(fault) => Told::Inner(fault),
                    #[allow(unreachable_patterns, reason = "some have nothing else")]
                    other => Told::Own(other.to_string()),
                }
            }
        }
    )*};
}

tells!(
    AdaptiveError::Service,
    BulkheadServiceError::Inner,
    CacheError::Inner,
    CircuitBreakerError::Inner,
    CoalesceError::Service,
    ExecutorError::Service,
    FallbackError::Inner,
    OutlierDetectionServiceError::Inner,
    RateLimiterServiceError::Inner,
    TimeLimiterError::Inner
);

impl Tell for HedgeError<Fault> {
    fn tell(self) -> Told {
        Told::Inner(self.into_inner())
    }
}

impl<M: std::fmt::Display> Tell for ReconnectError<M, Fault> {
    fn tell(self) -> Told {
        match self {
            Self::ServiceError(fault) | Self::ConnectionFailed(fault) | Self::ConnectionFailedNoRetry(fault) => {
                Told::Inner(fault)
            }
            other => Told::Own(other.to_string()),
        }
    }
}

/// The layer over messages, its errors told.
fn laws<L, S, E>(make: impl Fn() -> L + 'static) -> Laws
where
    L: Layer<Inner, Service = S> + 'static,
    S: tower_service::Service<Request<u64>, Response = Response<u64>, Error = E> + Clone + Send + 'static,
    S::Future: Send + 'static,
    E: Tell + 'static,
{
    Laws::service(move |_| told(make(), E::tell)).wraps_errors()
}

/// Who walks the sources of their errors does not come to the inner error.
#[test]
fn errors_do_not_tell_their_source() {
    let hidden = |laws: fn() -> Laws| breaks(move || laws().wraps_errors(), [(Law::Unchanged, "answers/4")]);
    hidden(|| Laws::service(|_| TimeLimiterLayer::builder().timeout_duration(100_000 * SECOND).build()));
    hidden(|| Laws::service(|_| AdaptiveLimiterLayer::new(Aimd::builder().build().unwrap())).waiting());
    hidden(|| Laws::service(|_| bulkhead().build().unwrap()).waiting());
    hidden(|| {
        let cache = || CacheLayer::builder().key_extractor(|request: &Request<u64>| *request.message()).build();
        Laws::service(move |_| cache().unwrap())
    });
    hidden(|| Laws::service(|_| rate_limiter().backpressure().build().unwrap()).waiting());
    hidden(|| Laws::service(|_| circuit(SECOND).build().unwrap()).readiness(Readiness::Own));
    hidden(|| Laws::service(|_| CoalesceLayer::new(|request: &Request<u64>| *request.message())));
    hidden(|| Laws::service(|_| HedgeLayer::builder().max_hedged_attempts(1).build()));
    hidden(|| {
        Laws::service(|_| FallbackLayer::builder().handle(|_: &Fault| false).value_fn(|| Response::new(0)).build())
    });
}

fn bulkhead() -> BulkheadConfigBuilder {
    BulkheadLayer::builder().max_concurrent_calls(3)
}

#[test]
fn bulkhead_that_refuses() {
    let refuses = || laws(|| bulkhead().reject_when_full().build().unwrap()).refusing().at_most(3);
    keeps(refuses().readiness(Readiness::Passed).state_per_service());
    keeps(
        laws(|| bulkhead().reject_when_full().build_with_handle().unwrap().0)
            .refusing()
            .at_most(3)
            .readiness(Readiness::Passed),
    );
    // It asks for the inner service's readiness first, so while that hangs nothing is refused.
    let hangs = [(Law::Readiness, "readiness/0"), (Law::RefusesAtOnce, "refusals/1")];
    breaks(|| refuses().state_per_service(), hangs);
}

#[test]
fn bulkhead_that_waits() {
    keeps(laws(|| bulkhead().build().unwrap()).waiting().at_most(3).state_per_service());
    keeps(laws(|| bulkhead().backpressure().build().unwrap()).waiting().at_most(3).state_per_service());
    keeps(laws(|| bulkhead().backpressure().build_with_handle().unwrap().0).waiting().at_most(3));
    keeps(laws(|| bulkhead().max_wait_duration(SECOND).build().unwrap()).waiting().at_most(3).state_per_service());
}

fn rate_limiter() -> RateLimiterConfigBuilder {
    RateLimiterLayer::builder().limit_for_period(3).refresh_period(SECOND)
}

#[test]
fn rate_limiter_that_refuses() {
    for window in [WindowType::Fixed, WindowType::SlidingLog, WindowType::SlidingCounter] {
        let limiter = move || rate_limiter().timeout_duration(Duration::ZERO).window_type(window);
        let refuses = |laws: Laws| laws.refusing().quota(3, SECOND).readiness(Readiness::Passed);
        keeps(refuses(laws(move || limiter().build().unwrap())).state_per_service());
        keeps(refuses(laws(move || limiter().build_with_handle().unwrap().0)));
    }
    let burst = || RateLimiterLayer::burst(3, 2).timeout_duration(Duration::ZERO).build().unwrap();
    let refuses = move || laws(burst).refusing().quota(5, SECOND).state_per_service();
    keeps(refuses().readiness(Readiness::Passed));
    // As the bulkhead: while the inner service hangs nothing is refused.
    breaks(refuses, [(Law::Readiness, "readiness/0"), (Law::RefusesAtOnce, "refusals/1")]);
}

#[test]
fn rate_limiter_that_waits() {
    for window in [WindowType::Fixed, WindowType::SlidingLog, WindowType::SlidingCounter] {
        let limiter = move || rate_limiter().window_type(window);
        let waits = |laws: Laws| laws.waiting().quota(3, SECOND);
        keeps(waits(laws(move || limiter().timeout_duration(5 * SECOND).build().unwrap())).state_per_service());
        keeps(waits(laws(move || limiter().backpressure().build().unwrap())).state_per_service());
        keeps(waits(laws(move || limiter().backpressure().build_with_handle().unwrap().0)));
    }
}

#[test]
fn adaptive() {
    let fixed =
        || AdaptiveLimiterLayer::new(Aimd::builder().initial_limit(3).min_limit(3).max_limit(3).build().unwrap());
    keeps(laws(fixed).waiting().at_most(3).state_per_service());
    // A limit that moves: what it is at any time cannot be declared, but nobody hangs.
    let moves =
        || AdaptiveLimiterLayer::new(Aimd::builder().initial_limit(3).min_limit(1).max_limit(3).build().unwrap());
    keeps(laws(moves).waiting());
}

/// Opens after 3 failures in a row; one probe.
fn circuit(open_for: Duration) -> CircuitBreakerConfigBuilder<DefaultClassifier> {
    CircuitBreakerLayer::builder().consecutive_failures(3).wait_duration_in_open(open_for)
}

fn breaker(open_for: Duration, probes: usize) -> Breaker {
    Breaker { failures: 3, open_for, probes }
}

#[test]
fn circuit_breaker_in_paused_time() {
    let breaks_circuit = || {
        laws(|| circuit(SECOND).build_with_handle().unwrap().0)
            .refusing()
            .breaks(breaker(SECOND, 1))
            .readiness(Readiness::Passed)
    };
    breaks(breaks_circuit, [(Law::Clock, "sharing/1"), (Law::HalfOpen, "half-open/0")]);
}

/// Keeps the system's clock from falling behind tokio's paused one.
#[derive(Clone)]
struct RealTime<S>(S, std::time::Instant, tokio::time::Instant);

impl<S: tower_service::Service<Request<u64>>> tower_service::Service<Request<u64>> for RealTime<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        thread::sleep(self.2.elapsed().saturating_sub(self.1.elapsed()));
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<u64>) -> S::Future {
        self.0.call(request)
    }
}

fn in_real_time<L: Layer<Inner>>(layer: L) -> impl Layer<Inner, Service = RealTime<L::Service>> {
    layer_fn(move |inner| RealTime(layer.layer(inner), std::time::Instant::now(), tokio::time::Instant::now()))
}

/// joshrotenberg/tower-resilience#386, #407: both are mended.
#[test]
fn circuit_breaker_in_real_time() {
    let (open_for, probes) = (80 * MILLI, 2);
    let circuit = move |seed: &'static str| {
        let layer = move || {
            let layer = circuit(open_for).permitted_calls_in_half_open(probes).build_with_handle().unwrap().0;
            in_real_time(layer)
        };
        let laws = laws(layer).refusing().breaks(breaker(open_for, probes));
        laws.readiness(Readiness::Own).replay(seed)
    };
    for seed in ["refusals/0", "refusals/1", "half-open/0", "half-open/1", "half-open/2", "half-open/3", "half-open/4"]
    {
        keeps(circuit(seed));
    }
    // Races.
    for seed in ["half-open/6", "half-open/7", "half-open/8"] {
        keeps(circuit(seed));
    }
    // The answers to calls from before the circuit opened are taken for those of probes.
    breaks(|| circuit("half-open/5"), [(Law::HalfOpen, "half-open/5")]);
}

fn retry() -> RetryConfigBuilder<Request<u64>, Response<u64>, Fault> {
    RetryLayer::builder().max_attempts_fn(|request| if idempotent(request) { 3 } else { 1 }).fixed_backoff(10 * MILLI)
}

#[test]
fn retries() {
    keeps(Laws::service(|_| retry().build()).retrying(3));
    let budget = || RetryBudgetBuilder::new().token_bucket().build().unwrap();
    keeps(Laws::service(move |_| retry().budget(budget()).build()).retrying(3));
    // Unless told otherwise it tries everything again.
    let default = || Laws::service(|_| RetryLayer::exponential_backoff().build()).retrying(3);
    breaks(default, [(Law::Unasked, "answers/5")]);
}

#[test]
fn hedge() {
    let two = || HedgeConfigBuilder::new().delay(10 * MILLI).max_hedged_attempts(2);
    keeps(laws(move || two().eligible_if(idempotent).build()).hedging(2));
    keeps(laws(move || two().no_delay().eligible_if(idempotent).build()).hedging(2));
    let default = || laws(|| HedgeLayer::builder().delay(10 * MILLI).max_hedged_attempts(2).build()).hedging(2);
    breaks(default, [(Law::Unasked, "answers/5")]);
}

#[test]
fn time_limiter() {
    let limiter = || TimeLimiterLayer::builder().timeout_duration(SECOND);
    keeps(laws(move || limiter().build()).gives_up_after(SECOND));
    // As it is told, it lets the call go on.
    let detached = move || laws(move || limiter().cancel_running_future(false).build()).gives_up_after(SECOND);
    breaks(detached, [(Law::Cancelled, "clock/0")]);
}

#[test]
fn executor() {
    breaks(|| laws(ExecutorLayer::current), [(Law::Cancelled, "drops/3")]);
}

/// joshrotenberg/tower-resilience#401: mended.
#[test]
fn weighted_router() {
    let router = |inner: Inner| WeightedRouter::builder().route(inner.node(0), 3).route(inner.node(1), 1);
    keeps(Laws::service(move |_| layer_fn(move |inner| router(inner).build())).selecting([3, 1]));
    keeps(Laws::service(move |_| layer_fn(move |inner| router(inner).random().build())).selecting([3, 1]));
}

/// Over a factory of connections, which are there at once.
fn reconnect(config: fn() -> ReconnectConfigBuilder) -> Laws {
    laws(move || {
        layer_fn(move |inner: Inner| {
            let connect = service_fn(move |()| ready(Ok::<_, Fault>(inner.node(0))));
            ReconnectLayer::new(config().build()).layer(connect)
        })
    })
}

/// joshrotenberg/tower-resilience#391: mended. An instance that is broken is replaced.
#[test]
fn reconnect_when_the_connection_is_broken() {
    let config = || {
        let broken = |error: &dyn std::error::Error| error.to_string().contains("broken");
        ReconnectConfig::builder().policy(ReconnectPolicy::fixed(SECOND)).reconnect_predicate(broken)
    };
    keeps(reconnect(config));
}

/// Every error is one of the connection, which is the default: those who wait for the next connection share a waker.
#[test]
fn reconnect_after_every_error() {
    let config = || {
        let config = ReconnectConfig::builder().policy(ReconnectPolicy::fixed(SECOND));
        config.retry_on_reconnect(false).unlimited_attempts()
    };
    breaks(move || reconnect(config).readiness(Readiness::Own), [(Law::NoHang, "schedules/0")]);
}

#[test]
fn cache() {
    let cache = || CacheLayer::builder().max_size(4).key_extractor(|request: &Request<u64>| *request.message()).build();
    keeps(laws(move || cache().unwrap()));
    keeps(laws(move || cache().unwrap().shared()));
}

#[test]
fn coalesce() {
    // Each call has a key of its own.
    keeps(laws(|| CoalesceLayer::new(|request: &Request<u64>| *request.message())));
}

/// All calls have one key. Who waits for the leader's answer spins.
#[test]
fn coalesce_under_one_key() {
    breaks(|| laws(|| CoalesceLayer::new(|_: &Request<u64>| 0_u8)), [(Law::NoHang, "clones/0")]);
}

#[test]
fn fallback() {
    let never = || FallbackLayer::builder().handle(|_: &Fault| false).value_fn(|| Response::new(0)).build();
    keeps(laws(never));
}

/// As its docs say the backup gets every call that failed; what decides sees the error, and not the request.
#[test]
fn fallback_to_a_service() {
    let backup = |inner: Inner| ServiceFallbackLayer::new(inner.node(1)).layer(inner);
    breaks(|| laws(move || layer_fn(backup)).retrying(2), [(Law::Unasked, "answers/5")]);
}

#[test]
fn chaos_with_nothing_injected() {
    keeps(Laws::service(|_| ChaosLayer::builder().build()));
}

fn detector() -> OutlierDetector {
    let detector = OutlierDetector::new().max_ejection_percent(100).base_ejection_duration(SECOND);
    detector.register("one", 3);
    detector
}

#[test]
fn outlier() {
    let healthy = || {
        let detector = OutlierDetector::new();
        detector.register("one", usize::MAX);
        OutlierDetectionLayer::builder().detector(detector).instance_name("one").build().unwrap()
    };
    keeps(laws(healthy));
}

/// The ejected instance comes back by the system's clock. There is no half-open, so only some runs are fair.
#[test]
fn outlier_that_refuses() {
    let refuses = |seed: &'static str| {
        let layer = || OutlierDetectionLayer::builder().detector(detector()).instance_name("one").error_on_ejection();
        let laws = laws(move || layer().build().unwrap()).refusing().breaks(breaker(SECOND, 1));
        laws.readiness(Readiness::Own).replay(seed)
    };
    breaks(|| refuses("sharing/1"), [(Law::Clock, "sharing/1")]);
    // While the inner service hangs nothing is refused, ejected or not.
    breaks(|| refuses("refusals/1"), [(Law::RefusesAtOnce, "refusals/1")]);
}

/// Who waits for an ejected instance spins.
#[test]
fn outlier_that_waits() {
    let waits = || {
        let layer = || OutlierDetectionLayer::builder().detector(detector()).instance_name("one").build();
        laws(move || layer().unwrap()).waiting().breaks(breaker(SECOND, 1)).replay("sharing/0")
    };
    breaks(waits, [(Law::NoHang, "sharing/0")]);
}
