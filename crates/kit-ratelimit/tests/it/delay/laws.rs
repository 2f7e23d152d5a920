//! The laws of middleware, checked on the delay and on a layer around any limiter, at each of their places.

use std::time::Duration;

use kit_base::{FromHttpService, Tower};
use kit_ratelimit::{Delay, Delaying};
use kit_testing::laws::{Inner, InnerBody, Laws, Readiness, Setup};
use tower_layer::{Layer, layer_fn};

use crate::support::quota;

const SECOND: Duration = Duration::from_secs(1);

/// One a second, so that nobody gets in before the checker's deadline.
fn delay(_: &Setup) -> Delay {
    Delay::new(quota(1, 1)).at_most(Duration::from_secs(24 * 3600))
}

fn waits(laws: Laws) {
    laws.waiting().quota(1, SECOND).keeps_deadlines().check();
}

#[test]
fn over_endpoints() {
    waits(Laws::endpoint(delay));
    waits(Laws::stream(delay));
}

/// Several at once.
#[test]
fn with_a_burst() {
    let burst = |_: &Setup| Delay::new(quota(3, 3)).at_most(Duration::from_secs(24 * 3600));
    Laws::endpoint(burst).waiting().quota(3, SECOND).check();
    Laws::service(move |setup| Tower::new(burst(setup)))
        .waiting()
        .quota(3, SECOND)
        .readiness(Readiness::AtOnce)
        .check();
}

/// One that lets nobody wait is a limit that refuses, and refuses at once, be what is inside ready or not.
#[test]
fn where_nobody_waits() {
    let none = |_: &Setup| Delay::new(quota(3, 3)).at_most(Duration::ZERO);
    let refuses = |laws: Laws| laws.refusing().quota(3, SECOND).keeps_deadlines().check();
    refuses(Laws::endpoint(none));
    refuses(Laws::service(move |setup| Tower::new(none(setup))));
}

#[test]
fn over_http_clients() {
    waits(Laws::http_endpoint::<String, _, _, _>(|setup| {
        let delay = delay(setup);
        layer_fn(move |inner: Inner| delay.layer(FromHttpService::<_, http::Request<String>, InnerBody>::new(inner)))
    }));
}

#[test]
fn over_tower_services() {
    waits(Laws::service(|setup| Tower::new(delay(setup))).readiness(Readiness::AtOnce));
}

#[test]
fn over_http() {
    let laws = Laws::http_service::<String, _, _, _>(|setup| Tower::new(delay(setup)).answered());
    waits(laws.readiness(Readiness::AtOnce));
}

#[test]
fn over_grpc() {
    let laws = Laws::grpc_service::<String, _, _, _>(|setup| Tower::new(delay(setup)).answered());
    waits(laws.readiness(Readiness::AtOnce));
}

/// One after the other goes through a door.
#[test]
fn around_any_limiter() {
    Laws::endpoint(|_| {
        let door = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
        Delaying::new(move |_: Option<kit_base::Deadline>| {
            let door = std::sync::Arc::clone(&door);
            async move {
                let _turn = door.acquire().await;
                tokio::task::yield_now().await;
                Ok(())
            }
        })
    })
    .waiting()
    .check();
}
