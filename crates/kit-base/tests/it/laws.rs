//! The laws of middleware, checked on the guard, the adapter and the bridges, at each face that they have.

use std::sync::atomic::{AtomicUsize, Ordering};

use kit_base::{
    End, Endpoint, Error, FromHttpService, FromService, Gate, Guard, IntoService, NameOperation, Now, Operation,
    Request, Response, ServiceError, Standard, Tower, catch_panic,
};
use kit_testing::laws::{Ends, Fault, Inner, InnerBody, Law, Laws, LawsClock, Readiness, Setup};
use tower_layer::{Layer, layer_fn};

const MOST: usize = 3;

/// At most [`MOST`] calls at a time.
#[derive(Default)]
struct AtMost(AtomicUsize);

impl<Req, Res, Err> Gate<Req, Res, Err> for AtMost {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        let room = |running| (running < MOST).then_some(running + 1);
        let taken = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, room);
        taken.map(drop).map_err(|running| Error::resource_exhausted(format!("{running} calls are running")))
    }

    fn finish(&self, (): (), _: &End<'_>) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Refuses nothing, and counts ends.
struct Counts(Ends);

impl<Req, Res, Err> Gate<Req, Res, Err> for Counts {
    const REFUSES: bool = false;
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn finish(&self, (): (), _: &End<'_>) {
        self.0.add();
    }
}

/// Refuses nothing, and remembers a value of each request for the end.
struct Remembers;

impl<Req, Res, Err> Gate<Req, Res, Err> for Remembers {
    const REFUSES: bool = false;
    type Permit = String;

    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<String, Error> {
        Ok(format!("{:?}", now.get()))
    }

    fn finish(&self, since: String, end: &End<'_>) {
        assert!(since.len() > 1 && format!("{:?}", end.now.get()).len() > 1);
    }
}

type Over<G> = Guard<G, Standard, LawsClock>;

fn guard<G>(setup: &Setup, gate: G) -> Over<G> {
    Guard::with(gate, Standard, setup.clock())
}

fn limit(setup: &Setup) -> Over<AtMost> {
    guard(setup, AtMost::default())
}

fn counter(setup: &Setup) -> Over<Counts> {
    guard(setup, Counts(setup.ends()))
}

/// A tuple that refuses. Its first gate sees refusals too.
fn refusing_tuple(setup: &Setup) -> Over<(Counts, Remembers, AtMost)> {
    guard(setup, (Counts(setup.ends()), Remembers, AtMost::default()))
}

fn passing_tuple(setup: &Setup) -> Over<(Remembers, (Counts, Remembers))> {
    guard(setup, (Remembers, (Counts(setup.ends()), Remembers)))
}

/// Guards within guards, some of them tuples.
fn nested(setup: &Setup) -> (Over<Counts>, Over<Remembers>, Over<(Remembers, AtMost)>) {
    (counter(setup), guard(setup, Remembers), guard(setup, (Remembers, AtMost::default())))
}

fn nested_passing(setup: &Setup) -> (Over<Remembers>, Over<Counts>) {
    (guard(setup, Remembers), counter(setup))
}

/// What an endpoint's error was, without the bridge's type around it.
struct Unwrapped<E>(E);

impl<Req: Send, E: Endpoint<Req, Error = ServiceError<Fault>>> Endpoint<Req> for Unwrapped<E> {
    type Response = E::Response;
    type Error = Fault;

    async fn call(&self, req: Req) -> Result<E::Response, Fault> {
        self.0.call(req).await.map_err(|error| match error {
            ServiceError::Inner(fault) => fault,
            ServiceError::Refused(error) => error.into(),
        })
    }
}

fn limited(laws: Laws) -> Laws {
    laws.refusing().at_most(MOST)
}

#[test]
fn guards_over_endpoints() {
    limited(Laws::endpoint(limit)).check();
    limited(Laws::endpoint(refusing_tuple)).tells_ends().check();
    limited(Laws::endpoint(nested)).tells_ends().check();
    Laws::endpoint(counter).pass_through().tells_ends().check();
    Laws::endpoint(passing_tuple).pass_through().tells_ends().check();
    Laws::endpoint(nested_passing).pass_through().tells_ends().check();
}

#[test]
fn guards_over_streams() {
    let limited = |laws| limited(laws).holds_bodies();
    limited(Laws::stream(limit)).check();
    limited(Laws::stream(refusing_tuple)).tells_ends().check();
    limited(Laws::stream(nested)).tells_ends().check();
    Laws::stream(counter).pass_through().tells_ends().check();
    Laws::stream(passing_tuple).pass_through().tells_ends().check();
    Laws::stream(nested_passing).pass_through().tells_ends().check();
}

#[test]
fn guards_over_http_endpoints() {
    let over_client = |layer| {
        layer_fn(move |inner: Inner| {
            let client = FromHttpService::<_, http::Request<String>, InnerBody>::new(inner);
            Layer::layer(&layer, client)
        })
    };
    let laws = Laws::http_endpoint::<String, _, _, _>(move |setup| over_client(refusing_tuple(setup)));
    limited(laws).holds_bodies().tells_ends().check();
}

#[test]
fn a_refusal_is_absorbed() {
    limited(Laws::service(|setup| Tower::new(limit(setup)))).check();
    limited(Laws::service(|setup| Tower::new(refusing_tuple(setup)))).tells_ends().check();
    limited(Laws::service(|setup| Tower::new(nested(setup)))).tells_ends().check();
    // Two stacks, one over the other.
    let twice = |setup: &Setup| (Tower::new(counter(setup)), Tower::new(limit(setup)));
    limited(Laws::service(twice)).tells_ends().check();
}

#[test]
fn a_refusal_is_mapped() {
    let into_error = |setup: &Setup| Tower::new(refusing_tuple(setup)).mapped(|error| Err(Fault::from(error)));
    limited(Laws::service(into_error)).tells_ends().check();
}

#[test]
fn a_refusal_is_answered_over_http() {
    let limited = |laws| limited(laws).holds_bodies();
    limited(Laws::http_service::<String, _, _, _>(|setup| Tower::new(limit(setup)).answered())).check();
    limited(Laws::http_service::<String, _, _, _>(|setup| Tower::new(refusing_tuple(setup)).answered()))
        .tells_ends()
        .check();
    limited(Laws::http_service::<String, _, _, _>(|setup| Tower::new(nested(setup)).answered())).tells_ends().check();
}

#[test]
fn a_refusal_is_answered_over_grpc() {
    let limited = |laws| limited(laws).holds_bodies();
    limited(Laws::grpc_service::<String, _, _, _>(|setup| Tower::new(limit(setup)).answered())).check();
    limited(Laws::grpc_service::<String, _, _, _>(|setup| Tower::new(refusing_tuple(setup)).answered()))
        .tells_ends()
        .check();
    limited(Laws::grpc_service::<String, _, _, _>(|setup| Tower::new(nested(setup)).answered())).tells_ends().check();
}

#[test]
fn gates_that_never_refuse_pass_readiness_on() {
    for readiness in [Readiness::Passed, Readiness::AtOnce] {
        let each: [(&str, Laws); 5] = [
            ("one", Laws::service(|setup| Tower::new(counter(setup))).tells_ends()),
            ("tuple", Laws::service(|setup| Tower::new(passing_tuple(setup))).tells_ends()),
            ("nested", Laws::service(|setup| Tower::new(nested_passing(setup))).tells_ends()),
            ("http", Laws::http_service::<String, _, _, _>(|setup| Tower::new(counter(setup)).answered()).tells_ends()),
            ("grpc", Laws::grpc_service::<String, _, _, _>(|setup| Tower::new(counter(setup)).answered()).tells_ends()),
        ];
        for (name, laws) in each {
            let report = laws.pass_through().readiness(readiness).report();
            let want = (readiness != Readiness::Passed).then_some(Law::Readiness);
            assert_eq!(report.law(), want, "{name}, declared {readiness:?}: {report}");
        }
    }
}

#[test]
fn gates_that_may_refuse_are_ready_at_once() {
    for readiness in [Readiness::Passed, Readiness::AtOnce] {
        let each: [(&str, Laws); 4] = [
            ("one", Laws::service(|setup| Tower::new(limit(setup)))),
            ("tuple", Laws::service(|setup| Tower::new(refusing_tuple(setup)))),
            ("nested", Laws::service(|setup| Tower::new(nested(setup)))),
            ("http", Laws::http_service::<String, _, _, _>(|setup| Tower::new(limit(setup)).answered()).holds_bodies()),
        ];
        for (name, laws) in each {
            let report = limited(laws).readiness(readiness).report();
            let want = (readiness != Readiness::AtOnce).then_some(Law::Readiness);
            assert_eq!(report.law(), want, "{name}, declared {readiness:?}: {report}");
        }
    }
}

#[test]
fn services_and_endpoints_are_made_of_each_other() {
    // An endpoint as a service: ready at once.
    Laws::service(|_| layer_fn(|inner: Inner| IntoService::new(inner)))
        .pass_through()
        .readiness(Readiness::AtOnce)
        .check();
    limited(Laws::service(|setup| {
        let limit = limit(setup);
        layer_fn(move |inner: Inner| IntoService::new(limit.layer(inner)))
    }))
    .check();
    // A service as an endpoint, which waits for a clone to be ready.
    Laws::endpoint(|_| layer_fn(|inner: Inner| Unwrapped(FromService::new(inner)))).pass_through().check();
    // There and back.
    Laws::service(|_| layer_fn(|inner: Inner| IntoService::new(Unwrapped(FromService::new(inner)))))
        .pass_through()
        .readiness(Readiness::AtOnce)
        .check();
    // A client on types of its own.
    Laws::http_endpoint::<String, _, _, _>(|_| {
        layer_fn(|inner: Inner| FromHttpService::<_, http::Request<String>, InnerBody>::new(inner))
    })
    .pass_through()
    .check();
}

/// The checker's own names, by the method that it takes for each.
fn name(request: &http::Request<String>) -> Operation {
    let idempotent = request.method() == http::Method::GET;
    Operation::new("laws", if idempotent { "read" } else { "write" }).with_idempotent(idempotent)
}

#[test]
fn a_gate_names_operations() {
    Laws::http_service::<String, _, _, _>(|_| Tower::new(Guard::new(NameOperation(name))).answered())
        .pass_through()
        .check();
    let named_first = |setup: &Setup| guard(setup, (NameOperation(name), Counts(setup.ends()), AtMost::default()));
    limited(Laws::http_service::<String, _, _, _>(move |setup| Tower::new(named_first(setup)).answered()))
        .holds_bodies()
        .tells_ends()
        .check();

    // Another name than the caller's is another call.
    let all_the_same = |_: &http::Request<String>| Operation::UNMATCHED;
    let laws =
        Laws::http_service::<String, _, _, _>(move |_| Tower::new(Guard::new(NameOperation(all_the_same))).answered());
    assert_eq!(laws.pass_through().report().law(), Some(Law::Context));
}

/// An endpoint whose panics are answers.
struct Catching<E>(E);

impl<E: Endpoint<Request<u64>, Response = Response<u64>, Error = Fault>> Endpoint<Request<u64>> for Catching<E> {
    type Response = Response<u64>;
    type Error = Fault;

    async fn call(&self, req: Request<u64>) -> Result<Response<u64>, Fault> {
        catch_panic(|| self.0.call(req)).await
    }
}

#[test]
fn a_panic_is_caught_between_guards() {
    limited(Laws::endpoint(|setup| (counter(setup), layer_fn(Catching::<_>), limit(setup)))).tells_ends().check();
}

/// A gate that says that it never refuses, and does.
struct Pretends(AtMost);

impl<Req, Res, Err> Gate<Req, Res, Err> for Pretends {
    const REFUSES: bool = false;
    type Permit = ();

    fn admit(&self, req: &mut Req, now: &Now<'_>) -> Result<(), Error> {
        Gate::<Req, Res, Err>::admit(&self.0, req, now)
    }

    fn finish(&self, (): (), end: &End<'_>) {
        Gate::<Req, Res, Err>::finish(&self.0, (), end);
    }
}

#[test]
fn a_gate_that_pretends_never_to_refuse_is_caught() {
    let make = |setup: &Setup| Tower::new(guard(setup, Pretends(AtMost::default())));
    assert_eq!(limited(Laws::service(make)).report().law(), Some(Law::Readiness));
}
