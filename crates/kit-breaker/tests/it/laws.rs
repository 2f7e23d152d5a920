//! The laws of middleware, with each way to open, at each place that the checker knows.

use std::time::{Duration, Instant};

use kit_base::{Backoff, FromHttpService, Guard, IntoService, Standard, Tower};
use kit_breaker::{Breaker, Decision, OpenFor, Policy, Settings, Window};
use kit_testing::laws::{Breaker as Declared, Inner, InnerBody, Laws, LawsClock, Readiness, Setup};
use tower_layer::{Layer, layer_fn};

const OPEN_FOR: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ONE: Declared = Declared { failures: 3, open_for: OPEN_FOR, probes: 1 };
const TWO: Declared = Declared { probes: 2, ..ONE };

/// Opens at the third failure in a row.
struct ThreeInARow(u32);

impl Policy for ThreeInARow {
    fn success(&mut self, _: Instant) {
        self.0 = 0;
    }

    fn failure(&mut self, _: Instant) -> Decision {
        self.0 += 1;
        if self.0 >= 3 { Decision::Open } else { Decision::Stay }
    }

    fn reset(&mut self, _: Instant) {
        self.0 = 0;
    }
}

fn any() -> Settings {
    Settings::new().open_for(OPEN_FOR)
}

fn in_a_row() -> Settings {
    any().consecutive_failures(3)
}

fn by_the_last_calls() -> Settings {
    any().failure_rate(1.0).window(Window::Calls(3))
}

/// Any three calls of which one has failed; in particular three that have.
fn by_a_time() -> Settings {
    any().failure_rate(0.001).window(Window::Time(DAY)).min_calls(3)
}

fn by_all_calls() -> Settings {
    any().failure_rate(0.001).window(Window::Whole).min_calls(3)
}

fn with_slow_calls() -> Settings {
    in_a_row().slow_calls(DAY, 1.0)
}

fn with_clearing() -> Settings {
    in_a_row().clear_every(DAY)
}

fn for_longer_and_longer() -> Settings {
    let backoff =
        Backoff::new(OPEN_FOR, OPEN_FOR * 100).expect("it makes sense").with_jitter(0.0).expect("it makes sense");
    in_a_row().open_for(OpenFor::from(backoff))
}

fn by_a_policy() -> Settings {
    any().policy(|| ThreeInARow(0))
}

fn with_everything() -> Settings {
    for_longer_and_longer().slow_calls(DAY, 1.0).clear_every(DAY).policy(|| ThreeInARow(0)).heed_retry_after(DAY)
}

fn guard(setup: &Setup, settings: Settings) -> Guard<Breaker, Standard, LawsClock> {
    Guard::with(Breaker::new(settings).expect("it makes sense"), Standard, setup.clock())
}

/// Checks ways to open at one place, with one probe and with two: each of them where there is nothing else around the breaker,
/// elsewhere those that have the most to do.
macro_rules! place {
    ($place:ident, $laws:expr, |$guard:ident| $layer:expr, $declared:expr, $ways:ident) => {
        mod $place {
            use super::*;

            fn keeps_the_laws(settings: fn() -> Settings) {
                for breaker in [ONE, TWO] {
                    let make = move |setup: &Setup| {
                        let $guard = guard(setup, settings().probes(breaker.probes as u32).successes_to_close(1));
                        $layer
                    };
                    $declared($laws(make)).refusing().breaks(breaker).check();
                }
            }

            place!(@$ways);
        }
    };
    (@each) => {
        place!(@some);
        place!(@of by_the_last_calls, by_a_time, by_all_calls, with_slow_calls, with_clearing, for_longer_and_longer,
            by_a_policy);
    };
    (@some) => {
        place!(@of in_a_row, with_everything);
    };
    (@of $($way:ident),*) => {
        $(
            #[test]
            fn $way() {
                keeps_the_laws(super::$way);
            }
        )*
    };
}

fn as_it_is(laws: Laws) -> Laws {
    laws
}

fn at_once(laws: Laws) -> Laws {
    laws.readiness(Readiness::AtOnce)
}

place!(an_endpoint, Laws::endpoint, |guard| guard, as_it_is, each);

place!(a_streaming_endpoint, Laws::stream, |guard| guard, as_it_is, each);

place!(
    an_http_endpoint,
    Laws::http_endpoint::<reqwest::Body, _, _, _>,
    |guard| layer_fn(move |inner: Inner| guard.layer(FromHttpService::new(as_reqwest(inner)))),
    as_it_is,
    some
);

place!(
    a_service_made_of_an_endpoint,
    Laws::service,
    |guard| layer_fn(move |inner: Inner| IntoService::new(guard.layer(inner))),
    at_once,
    some
);

place!(an_absorbing_service, Laws::service, |guard| Tower::new(guard), at_once, some);

place!(
    an_axum_router,
    Laws::http_service::<axum::body::Body, _, _, _>,
    |guard| layer_fn(move |inner: Inner| -> axum::Router {
        axum::Router::new().fallback_service(inner).layer(Tower::new(guard.clone()).answered())
    }),
    at_once,
    some
);

place!(
    a_tonic_server,
    Laws::grpc_service::<tonic::body::Body, _, _, _>,
    |guard| layer_fn(move |inner: Inner| {
        let routes = tonic::service::Routes::from(axum::Router::new().fallback_service(inner));
        Tower::new(guard.clone()).answered().layer(routes)
    }),
    at_once,
    some
);

place!(
    an_answering_grpc_service,
    Laws::grpc_service::<tonic::body::Body, _, _, _>,
    |guard| Tower::new(guard).answered(),
    at_once,
    some
);

/// A service with the types of a `reqwest::Client`.
fn as_reqwest(
    inner: Inner,
) -> impl tower::Service<reqwest::Request, Response = reqwest::Response, Error = reqwest::Error, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    let answered = tower::util::MapResponse::new(inner, |answer: http::Response<InnerBody>| {
        reqwest::Response::from(answer.map(reqwest::Body::wrap))
    });
    let asked = tower::util::MapRequest::new(answered, |request: reqwest::Request| {
        http::Request::try_from(request).expect("what was an http request becomes one again")
    });
    tower::util::MapErr::new(asked, |never: std::convert::Infallible| match never {})
}

/// The checker can fail: a breaker that waits for a failure more than was declared.
#[test]
fn one_failure_too_many_is_found() {
    let make = |setup: &Setup| guard(setup, any().consecutive_failures(4));
    assert!(!Laws::endpoint(make).refusing().breaks(ONE).report().findings().is_empty());
    let make = |setup: &Setup| guard(setup, in_a_row().probes(2));
    assert!(!Laws::endpoint(make).refusing().breaks(ONE).report().findings().is_empty());
}
