//! The laws of middleware, checked on the bulkhead at each of its places.

use std::time::Duration;

use kit_base::{FromHttpService, Tower};
use kit_breaker::Bulkhead;
use kit_testing::laws::{Inner, InnerBody, Laws, Readiness, Setup};
use tower_layer::{Layer, layer_fn};

const MOST: usize = 3;

fn refusing(_: &Setup) -> Bulkhead {
    Bulkhead::new(MOST).expect("places")
}

fn waiting(_: &Setup) -> Bulkhead {
    Bulkhead::new(MOST).expect("places").queue(usize::MAX)
}

fn patient(setup: &Setup) -> Bulkhead {
    waiting(setup).wait(Duration::from_secs(24 * 3600))
}

fn refuses(laws: Laws) {
    laws.refusing().at_most(MOST).readiness(Readiness::AtOnce).check();
}

fn waits(laws: Laws) {
    laws.waiting().at_most(MOST).keeps_deadlines().check();
}

fn waits_at_once(laws: Laws) {
    waits(laws.readiness(Readiness::AtOnce));
}

#[test]
fn over_endpoints() {
    Laws::endpoint(refusing).refusing().at_most(MOST).check();
    waits(Laws::endpoint(waiting));
    waits(Laws::endpoint(patient));
}

#[test]
fn over_streams() {
    Laws::stream(refusing).refusing().at_most(MOST).holds_bodies().check();
    waits(Laws::stream(waiting).holds_bodies());
}

#[test]
fn over_http_clients() {
    let laws = Laws::http_endpoint::<String, _, _, _>(|setup| {
        let bulkhead = waiting(setup);
        layer_fn(move |inner: Inner| bulkhead.layer(FromHttpService::<_, http::Request<String>, InnerBody>::new(inner)))
    });
    waits(laws.holds_bodies());
}

#[test]
fn over_tower_services() {
    refuses(Laws::service(|setup| Tower::new(refusing(setup))));
    waits_at_once(Laws::service(|setup| Tower::new(waiting(setup))));
}

#[test]
fn over_http() {
    refuses(Laws::http_service::<String, _, _, _>(|setup| Tower::new(refusing(setup)).answered()).holds_bodies());
    waits_at_once(Laws::http_service::<String, _, _, _>(|setup| Tower::new(waiting(setup)).answered()).holds_bodies());
}

#[test]
fn over_grpc() {
    refuses(Laws::grpc_service::<String, _, _, _>(|setup| Tower::new(refusing(setup)).answered()).holds_bodies());
    waits_at_once(Laws::grpc_service::<String, _, _, _>(|setup| Tower::new(waiting(setup)).answered()).holds_bodies());
}
