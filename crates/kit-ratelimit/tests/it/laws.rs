//! The laws of middleware, with each kind of limit, at each place that the checker knows; the first of them that N clones on N
//! threads share one limit.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use kit_base::{End, Error, FromHttpService, Gate, Guard, IntoService, Now, RequestParts, Standard, Tower};
use kit_ratelimit::{Keyed, Quota, RateLimit};
use kit_testing::laws::{Inner, InnerBody, Law, Laws, LawsClock, Readiness, Setup};
use tower_layer::{Layer, layer_fn};

use crate::support::{nz, quota};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A gate that is made in one line, on the checker's clock.
fn on<G>(setup: &Setup, gate: G) -> Guard<G, Standard, LawsClock> {
    Guard::with(gate, Standard, setup.clock())
}

/// All calls have the same key, be it none.
fn one_key<Req: RequestParts>(_: &Req) -> Option<u8> {
    Some(7)
}

/// Checks kinds of limits at one place: each of them where there is nothing else around the limit, elsewhere some. `$layer`
/// makes of a guard what stands there.
macro_rules! place {
    ($place:ident, $laws:expr, $readiness:expr, |$guard:ident| $layer:expr, each) => {
        mod $place {
            use super::*;

            place!(@some $laws, $readiness, |$guard| $layer);
            place!(@one one_at_a_time, $laws, $readiness, |$guard| $layer, 1, MINUTE, RateLimit::new(Quota::per_minute(nz(1))));
            place!(@one named_and_costing, $laws, $readiness, |$guard| $layer, 2, SECOND, RateLimit::new(quota(4, 4))
                .named("laws")
                .costing(|_: &_| 2));
            place!(@one by_peer, $laws, $readiness, |$guard| $layer, 3, SECOND, Keyed::per_peer(quota(3, 3)));
            place!(@one by_key_in_few_places, $laws, $readiness, |$guard| $layer, 3, SECOND, Keyed::by(quota(3, 3), one_key)
                .places(NonZero::<usize>::MIN)
                .strict());
        }
    };
    ($place:ident, $laws:expr, $readiness:expr, |$guard:ident| $layer:expr, some) => {
        mod $place {
            use super::*;

            place!(@some $laws, $readiness, |$guard| $layer);
        }
    };
    (@some $laws:expr, $readiness:expr, |$guard:ident| $layer:expr) => {
        place!(@one one_for_all, $laws, $readiness, |$guard| $layer, 3, SECOND, RateLimit::new(quota(3, 3)));
        place!(@one by_key, $laws, $readiness, |$guard| $layer, 3, SECOND, Keyed::by(quota(3, 3), one_key));
        place!(@one in_a_tuple, $laws, $readiness, |$guard| $layer, 3, SECOND,
            (Keyed::by(quota(5, 5), one_key), RateLimit::new(quota(3, 3))));
    };
    (@one $name:ident, $laws:expr, $readiness:expr, |$guard:ident| $layer:expr, $n:expr, $period:expr, $gate:expr) => {
        #[test]
        fn $name() {
            let make = move |setup: &Setup| {
                let $guard = on(setup, $gate);
                $layer
            };
            $readiness($laws(make).refusing().quota($n, $period)).check();
        }
    };
}

fn as_it_is(laws: Laws) -> Laws {
    laws
}

fn at_once(laws: Laws) -> Laws {
    laws.readiness(Readiness::AtOnce)
}

place!(an_endpoint, Laws::endpoint, as_it_is, |guard| guard, each);

place!(a_streaming_endpoint, Laws::stream, as_it_is, |guard| guard, each);

place!(
    an_http_endpoint,
    Laws::http_endpoint::<reqwest::Body, _, _, _>,
    as_it_is,
    |guard| layer_fn(move |inner: Inner| guard.layer(FromHttpService::new(as_reqwest(inner)))),
    some
);

place!(
    a_service_made_of_an_endpoint,
    Laws::service,
    at_once,
    |guard| layer_fn(move |inner: Inner| IntoService::new(guard.layer(inner))),
    some
);

place!(an_absorbing_service, Laws::service, at_once, |guard| Tower::new(guard), some);

place!(
    an_axum_router,
    Laws::http_service::<axum::body::Body, _, _, _>,
    at_once,
    |guard| layer_fn(move |inner: Inner| -> axum::Router {
        axum::Router::new().fallback_service(inner).layer(Tower::new(guard.clone()).answered())
    }),
    some
);

place!(
    a_tonic_server,
    Laws::grpc_service::<tonic::body::Body, _, _, _>,
    at_once,
    |guard| layer_fn(move |inner: Inner| {
        let routes = tonic::service::Routes::from(axum::Router::new().fallback_service(inner));
        Tower::new(guard.clone()).answered().layer(routes)
    }),
    some
);

place!(
    an_answering_grpc_service,
    Laws::grpc_service::<tonic::body::Body, _, _, _>,
    at_once,
    |guard| Tower::new(guard).answered(),
    some
);

/// With headers on answers too, where answers have such.
mod with_headers {
    use super::*;

    #[test]
    fn over_an_axum_router() {
        let make = |setup: &Setup| {
            let guard = on(setup, RateLimit::new(quota(3, 3)).with_headers());
            layer_fn(move |inner: Inner| -> axum::Router {
                axum::Router::new().fallback_service(inner).layer(Tower::new(guard.clone()).answered())
            })
        };
        let laws = Laws::http_service::<axum::body::Body, _, _, _>(make);
        at_once(laws.refusing().quota(3, SECOND)).check();
    }

    #[test]
    fn over_grpc_by_key() {
        let make = |setup: &Setup| Tower::new(on(setup, Keyed::by(quota(3, 3), one_key).with_headers())).answered();
        let laws = Laws::grpc_service::<tonic::body::Body, _, _, _>(make);
        at_once(laws.refusing().quota(3, SECOND)).check();
    }
}

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

/// Three in each second. It looks, and then takes: threads that look at the same time all see the last one.
#[derive(Default)]
struct LooksThenTakes {
    since: Mutex<Option<Instant>>,
    taken: AtomicU32,
}

impl<Req, Res, Err> Gate<Req, Res, Err> for LooksThenTakes {
    type Permit = ();

    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<(), Error> {
        let mut since = self.since.lock().unwrap();
        if since.is_none_or(|since| now.get() >= since + SECOND) {
            *since = Some(now.get());
            self.taken.store(0, SeqCst);
        }
        drop(since);
        let taken = self.taken.load(SeqCst);
        std::thread::yield_now();
        if taken == 3 {
            return Err(Error::resource_exhausted("none left"));
        }
        self.taken.store(taken + 1, SeqCst);
        Ok(())
    }

    fn finish(&self, (): (), _: &End<'_>) {}
}

/// The checker can fail, for each thing that it says of a limit.
#[test]
fn limits_that_are_none_are_found() {
    let broken = |laws: Laws| laws.refusing().quota(3, SECOND).report().law();
    // One more than was declared; sooner than was declared; later; with the system's clock.
    assert_eq!(broken(Laws::endpoint(|setup| on(setup, RateLimit::new(quota(4, 4))))), Some(Law::Bound));
    assert_eq!(broken(Laws::endpoint(|setup| on(setup, RateLimit::new(quota(9, 3))))), Some(Law::Bound));
    assert!(broken(Laws::endpoint(|setup| on(setup, RateLimit::new(Quota::per_minute(nz(3)))))).is_some());
    assert!(broken(Laws::endpoint(|_| Guard::new(RateLimit::new(quota(3, 3))))).is_some());
    // A bucket for each service that it is put over.
    let each = |setup: &Setup| {
        let (limit, clock) = (RateLimit::new(quota(3, 3)), setup.clock());
        layer_fn(move |inner: Inner| Guard::with(limit.fresh(), Standard, clock.clone()).layer(inner))
    };
    assert_eq!(broken(Laws::endpoint(each)), Some(Law::Shared));
    // The checker calls two operations, and each has a bucket.
    assert_eq!(broken(Laws::endpoint(|setup| on(setup, Keyed::per_operation(quota(3, 3))))), Some(Law::Bound));
    // It only observes.
    assert!(broken(Laws::endpoint(|setup| on(setup, RateLimit::new(quota(3, 3)).observe_only()))).is_some());
}

/// Only threads can see this one.
#[test]
fn a_limit_that_looks_and_then_takes_is_found_by_threads() {
    let laws = || Laws::endpoint(|setup| on(setup, LooksThenTakes::default())).refusing().quota(3, SECOND);
    laws().without_threads().check();
    // A busy machine may not let them meet in one check.
    let found = (0..10).find_map(|_| laws().report().findings().first().map(|finding| finding.found().to_owned()));
    assert!(found.as_ref().is_some_and(|found| found.contains("at once")), "{found:?}");
}
