//! A `reqwest::Client` behind it, and a scripted server at the other end.

use std::time::Duration;

use axum::body::Bytes;
use http::Request;
use http_body_util::{BodyExt, Collected};
use kit_base::{Endpoint, FromHttpService, Guarded, Kind, Origin, ServiceError, Standard};
use kit_breaker::{Breaker, State};
use kit_testing::backend::{Backend, Reply, Script};
use kit_testing::clock::ManualClock;
use tower_layer::Layer;

use super::{Circuit, Limit, Outcome, Place, SOON, closes, half_open, hanging_trips, open, passes, settings, trips};

type Reqwest = FromHttpService<reqwest::Client, reqwest::Request, reqwest::Body>;

/// Replies as the path says: a status, or a word.
pub(super) fn script() -> Script {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\ngo\r\n";
    Script::by(move |request| match request.uri().path().trim_start_matches('/') {
        "ok" => Reply::ok().body("good"),
        "chunks" => Reply::raw(format!("{chunked}2\r\nod\r\n0\r\n\r\n")),
        "break" => Reply::raw(chunked),
        "short" => Reply::ok().body("good").truncate(2),
        "stall" => Reply::ok().body("good").stall(2),
        "hang" => Reply::hang(),
        "reset" => Reply::reset(),
        "close" => Reply::close(),
        "nonsense" => Reply::raw("nonsense\r\n\r\n"),
        "busy" => Reply::status(503).header("retry-after", "7"),
        "failing" => Reply::status(500).header("retry-after", "7"),
        status => Reply::status(status.parse().unwrap()),
    })
}

struct Calling<E> {
    endpoint: E,
    backend: Backend,
}

impl<E, B> Place for Calling<E>
where
    E: Endpoint<Request<Bytes>, Response = http::Response<B>, Error = ServiceError<reqwest::Error>>,
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug> + Unpin,
{
    async fn ask(&self, word: &str) -> Outcome {
        let request = Request::get(format!("{}/{word}", self.backend.url())).body(Bytes::new()).unwrap();
        match self.endpoint.call(request).await {
            Err(ServiceError::Refused(refusal)) if refusal.reason() == Some("CIRCUIT_OPEN") => {
                assert_eq!((refusal.kind(), refusal.origin()), (Kind::Unavailable, Origin::LocalRefusal));
                Outcome::Refused
            }
            Err(error) => Outcome::Failed(format!("{error:?}")),
            Ok(answer) => {
                let status = answer.status();
                match answer.into_body().collect().await.map(Collected::to_bytes) {
                    Ok(body) if status == 200 && body == "good" => Outcome::Good,
                    Ok(_) => Outcome::Failed(status.to_string()),
                    Err(error) => Outcome::Failed(format!("{error:?}")),
                }
            }
        }
    }

    fn reached(&self) -> usize {
        self.backend.requests().len()
    }
}

async fn place() -> (Circuit, Calling<Guarded<Reqwest, Breaker, Standard, ManualClock>>) {
    place_of(reqwest::Client::new()).await
}

async fn place_of(client: reqwest::Client) -> (Circuit, Calling<Guarded<Reqwest, Breaker, Standard, ManualClock>>) {
    let circuit = Circuit::new(settings());
    let endpoint = circuit.guard.layer(FromHttpService::new(client));
    (circuit, Calling { endpoint, backend: Backend::start(script()).await.unwrap() })
}

#[tokio::test]
async fn statuses_of_a_broken_server_trip_it() {
    let (circuit, calling) = place().await;
    // A 500 that says when to come back is a failure all the same.
    for word in ["503", "500", "502", "504", "408", "599", "failing"] {
        trips(&circuit, &calling, word).await;
    }
}

#[tokio::test]
async fn statuses_that_are_the_callers_doing_or_say_to_wait_do_not() {
    for word in ["ok", "404", "400", "401", "403", "409", "422", "501", "429", "busy"] {
        let (circuit, calling) = place().await;
        passes(&circuit, &calling, word).await;
    }
}

#[tokio::test]
async fn connections_that_break_before_the_head_trip_it() {
    let (circuit, calling) = place().await;
    for word in ["reset", "close", "nonsense"] {
        trips(&circuit, &calling, word).await;
    }
}

#[tokio::test]
async fn bodies_that_break_off_trip_it_with_a_length_and_in_chunks() {
    let (circuit, calling) = place().await;
    assert_eq!(calling.ask("chunks").await, Outcome::Good);
    for word in ["break", "short"] {
        trips(&circuit, &calling, word).await;
    }
}

#[tokio::test]
async fn a_backend_that_is_gone_trips_it_and_closes_it_once_it_is_back() {
    let (circuit, mut calling) = place().await;
    assert_eq!(calling.ask("ok").await, Outcome::Good);
    let addr = calling.backend.addr();
    let gone = std::mem::replace(&mut calling.backend, Backend::start(script()).await.unwrap());
    gone.stop().await;
    let request = || Request::get(format!("http://{addr}/ok")).body(Bytes::new()).unwrap();
    for _ in 0..3 {
        let error = calling.endpoint.call(request()).await.unwrap_err();
        assert!(matches!(error, ServiceError::Inner(_)), "{error:?}");
    }
    assert_eq!(circuit.seen().state, State::Open);
    // It is back at the same place, and nobody looks until the time has passed.
    calling.backend = Backend::start_at(addr, script()).await.unwrap();
    half_open(&circuit, &calling).await;
    closes(&circuit, &calling).await;
}

#[tokio::test]
async fn time_outs_of_reqwest_trip_it_before_the_head_and_in_the_body() {
    let limited = reqwest::Client::builder().timeout(SOON).build().unwrap();
    let idle = reqwest::Client::builder().read_timeout(SOON).build().unwrap();
    let (circuit, calling) = place_of(limited).await;
    hanging_trips(&circuit, &calling).await;
    open(&circuit, &calling, "stall").await;
    let (circuit, calling) = place_of(idle).await;
    open(&circuit, &calling, "stall").await;
}

#[tokio::test]
async fn a_limit_of_time_inside_of_it_trips_it() {
    let circuit = Circuit::new(settings());
    let limited = Limit(SOON).layer(FromHttpService::new(reqwest::Client::new()));
    let endpoint = circuit.guard.layer(limited);
    let calling = Calling { endpoint, backend: Backend::start(script()).await.unwrap() };
    hanging_trips(&circuit, &calling).await;
}

#[tokio::test]
async fn a_probe_is_alone_and_callers_who_leave_before_the_head_do_not_count() {
    let (circuit, calling) = place().await;
    super::a_probe_is_alone_and_may_be_left(&circuit, &calling, "503").await;
    // What hung is not only forgotten here: the backend has seen that its callers left.
    calling.backend.until_abandoned(5).await;
}

#[tokio::test]
async fn callers_who_leave_in_the_middle_of_a_body_do_not_count() {
    let (circuit, calling) = place().await;
    open(&circuit, &calling, "503").await;
    half_open(&circuit, &calling).await;
    let request = Request::get(format!("{}/stall", calling.backend.url())).body(Bytes::new()).unwrap();
    let mut body = calling.endpoint.call(request).await.unwrap().into_body();
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "go");
    assert_eq!((circuit.seen().state, circuit.seen().probes), (State::HalfOpen, 1));
    drop(body);
    assert_eq!((circuit.seen().state, circuit.seen().probes), (State::HalfOpen, 0));
    closes(&circuit, &calling).await;
}

#[tokio::test]
async fn a_503_with_retry_after_opens_it_for_that_time_where_that_is_heeded_up_to_a_limit() {
    for (at_most, open_for) in [(60, 7), (5, 5)] {
        let circuit = Circuit::new(settings().heed_retry_after(Duration::from_secs(at_most)));
        let endpoint = circuit.guard.layer(FromHttpService::new(reqwest::Client::new()));
        let calling = Calling { endpoint, backend: Backend::start(script()).await.unwrap() };
        assert!(matches!(calling.ask("busy").await, Outcome::Failed(_)));
        let seen = circuit.seen();
        assert_eq!((seen.state, seen.open_for, seen.failures), (State::Open, Some(Duration::from_secs(open_for)), 0));
        assert_eq!(calling.ask("ok").await, Outcome::Refused);
        assert_eq!(calling.reached(), 1);
        circuit.clock.advance(Duration::from_secs(open_for));
        closes(&circuit, &calling).await;
        // One that fails with such a time counts as it always does, and opens it for that long.
        open(&circuit, &calling, "failing").await;
        assert_eq!(circuit.seen().open_for, Some(Duration::from_secs(open_for)));
        // A 429 is about this caller, not about the backend.
        circuit.clock.advance(Duration::from_secs(open_for));
        closes(&circuit, &calling).await;
        passes_busy(&circuit, &calling).await;
    }
}

async fn passes_busy(circuit: &Circuit, place: &impl Place) {
    for _ in 0..5 {
        assert!(matches!(place.ask("429").await, Outcome::Failed(_)));
    }
    assert_eq!(circuit.seen().state, State::Closed);
}
