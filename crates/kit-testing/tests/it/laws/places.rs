//! Gates of kit at each of the places where services meet, with a gate at each that breaks a law.

mod foreign;
mod gates;

use axum::Router;
use kit_base::{FromHttpService, Guard, Standard, Tower};
use kit_testing::laws::{Inner, Law, Laws, Readiness, Setup};
use tower_layer::{Identity, Layer, layer_fn};

use self::foreign::{as_channel, as_reqwest, connect, routes};
use self::gates::{AtMost, BREAKER, Counts, Loses, MOST, at_most, circuit, counts};

/// Puts a limit, a breaker, a counter, and a limit that loses places, at one place. `$declared` is what holds for every
/// layer at that place, `$counted` for a counter there, and `$loses` what the careless limit loses.
macro_rules! place {
    ($place:ident, $laws:expr, |$guard:ident| $layer:expr, $loses:expr, $declared:expr, $counted:expr) => {
        mod $place {
            use super::*;

            #[test]
            fn keeps_a_limit() {
                let make = |setup: &Setup| {
                    let $guard = at_most(setup, Loses::Nobody);
                    $layer
                };
                $declared($laws(make)).refusing().at_most(MOST).check();
            }

            #[test]
            fn keeps_a_breaker() {
                let make = |setup: &Setup| {
                    let $guard = circuit(setup);
                    $layer
                };
                $declared($laws(make)).refusing().breaks(BREAKER).check();
            }

            #[test]
            fn lets_a_counter_count() {
                let make = |setup: &Setup| {
                    let $guard = counts(setup);
                    $layer
                };
                $counted($declared($laws(make)).pass_through()).check();
            }

            #[test]
            fn shows_a_limit_that_loses_places() {
                let make = |setup: &Setup| {
                    let $guard = at_most(setup, $loses);
                    $layer
                };
                let report = $declared($laws(make)).refusing().at_most(MOST).report();
                assert_eq!(report.law(), Some(Law::PermitsReturn), "{report}");
                let finding = &report.findings()[0];
                assert!(finding.steps().iter().any(|step| step.contains(" leaves")), "{report}");
            }
        }
    };
}

/// Answers are over with their head.
fn unary(laws: Laws) -> Laws {
    laws
}

fn streaming(laws: Laws) -> Laws {
    laws.holds_bodies()
}

/// Behind a connection there are tasks, which threads cannot hurry.
fn connected(laws: Laws) -> Laws {
    laws.holds_bodies().without_threads()
}

/// It passes readiness on, and sees each end.
fn passed(laws: Laws) -> Laws {
    laws.tells_ends()
}

/// The place is ready at once, and the counter sees each end.
fn at_once(laws: Laws) -> Laws {
    laws.readiness(Readiness::AtOnce).tells_ends()
}

/// The place is ready at once, and its caller ends at another time than the counter's call.
fn apart(laws: Laws) -> Laws {
    laws.readiness(Readiness::AtOnce)
}

place!(an_endpoint, Laws::endpoint, |guard| guard, Loses::Callers, unary, passed);

place!(a_streaming_endpoint, Laws::stream, |guard| guard, Loses::Readers, streaming, passed);

place!(
    an_axum_router,
    Laws::http_service::<axum::body::Body, _, _, _>,
    |guard| layer_fn(move |inner: Inner| -> Router {
        Router::new().fallback_service(inner).layer(Tower::new(guard.clone()).answered())
    }),
    Loses::Readers,
    streaming,
    at_once
);

place!(
    an_axum_handler,
    Laws::http_service::<axum::body::Body, _, _, _>,
    |guard| layer_fn(move |inner: Inner| -> Router {
        Router::new().route_service("/laws/call", Tower::new(guard.clone()).answered().layer(inner))
    }),
    Loses::Readers,
    streaming,
    apart
);

place!(
    a_tonic_server,
    Laws::grpc_service::<tonic::body::Body, _, _, _>,
    |guard| layer_fn(move |inner: Inner| Tower::new(guard.clone()).answered().layer(routes(inner))),
    Loses::Readers,
    streaming,
    at_once
);

place!(
    a_tonic_channel,
    Laws::grpc_service::<tonic::body::Body, _, _, _>,
    |guard| layer_fn(move |inner: Inner| Tower::new(guard.clone()).answered().layer(as_channel(inner))),
    Loses::Readers,
    streaming,
    passed
);

place!(
    a_reqwest_client,
    Laws::http_endpoint::<reqwest::Body, _, _, _>,
    |guard| layer_fn(move |inner: Inner| guard.layer(FromHttpService::new(as_reqwest(inner)))),
    Loses::Readers,
    streaming,
    passed
);

place!(
    a_connected_tonic_channel,
    Laws::grpc_service::<tonic::body::Body, _, _, _>,
    |guard| layer_fn(move |inner: Inner| connect(inner, Identity::new(), Tower::new(guard.clone()).answered())),
    Loses::Readers,
    connected,
    at_once
);

place!(
    a_connected_tonic_server,
    Laws::grpc_service::<tonic::body::Body, _, _, _>,
    |guard| layer_fn(move |inner: Inner| connect(inner, Tower::new(guard.clone()).answered(), Identity::new())),
    Loses::Readers,
    connected,
    apart
);

/// axum asks the handler for its readiness in the call. Who leaves meanwhile was never a call of the handler's: a counter
/// that passes readiness on hears nothing of it, and one beside a gate that refuses, which is ready at once, does.
#[test]
fn a_counter_at_an_axum_handler_sees_each_end_beside_a_gate_that_refuses() {
    Laws::http_service::<axum::body::Body, _, _, _>(|setup| {
        let both = Guard::with((Counts::new(setup), AtMost::new(Loses::Nobody)), Standard, setup.clock());
        layer_fn(move |inner: Inner| -> Router {
            Router::new().route_service("/laws/call", Tower::new(both.clone()).answered().layer(inner))
        })
    })
    .refusing()
    .at_most(MOST)
    .holds_bodies()
    .tells_ends()
    .check();

    let alone = Laws::http_service::<axum::body::Body, _, _, _>(|setup| {
        let layer = counts(setup);
        layer_fn(move |inner: Inner| -> Router {
            Router::new().route_service("/laws/call", Tower::new(layer.clone()).answered().layer(inner))
        })
    });
    let report = alone.readiness(Readiness::AtOnce).tells_ends().report();
    assert_eq!(report.law(), Some(Law::FinishOnce), "{report}");
}
