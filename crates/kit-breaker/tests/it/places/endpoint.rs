//! An endpoint behind it: messages, streams of messages, or `http` types.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::response::Response as HttpResponse;
use kit_base::{
    Context, Endpoint, Error, Guarded, Kind, Origin, Request, Response, ServerStream, ServiceError, Standard,
    Streaming, catch_panic,
};
use kit_breaker::{Breaker, State};
use kit_testing::backend::Backend;
use kit_testing::clock::ManualClock;
use tokio_stream::{Stream, StreamExt};
use tower_layer::Layer;

use super::{Circuit, Limit, Outcome, Place, passes, settings, trips};

/// A method that answers as it is told by a word, or by the name of a kind.
#[derive(Clone, Debug, Default)]
struct AsTold(Arc<AtomicUsize>);

impl AsTold {
    async fn answer(&self, word: &str) -> Result<Response<()>, Error> {
        self.0.fetch_add(1, SeqCst);
        match word {
            "ok" => Ok(Response::new(())),
            "hang" => std::future::pending().await,
            "panic" => panic!("as told"),
            "busy" => Err(Error::unavailable("as told").with_retry_after(Duration::from_secs(7))),
            // What a connected client says that could not send the call.
            "unsent" => Err(Error::unavailable("as told").with_origin(Origin::NotSent)),
            "too late to send" => Err(Error::new(Kind::DeadlineExceeded, "as told").with_origin(Origin::NotSent)),
            // What another layer says, such as a full bulkhead.
            "inner refusal" => Err(Error::unavailable("as told").with_origin(Origin::LocalRefusal)),
            name => Err(Error::new(Kind::from_name(name).unwrap(), "as told")),
        }
    }
}

impl Endpoint<Request<&'static str>> for AsTold {
    type Response = Response<()>;
    type Error = Error;

    async fn call(&self, request: Request<&'static str>) -> Result<Response<()>, Error> {
        self.answer(request.into_message()).await
    }
}

/// As the generated endpoints of a service: a panic in a method is caught innermost.
#[derive(Debug)]
struct Caught(AsTold);

impl Endpoint<Request<&'static str>> for Caught {
    type Response = Response<()>;
    type Error = Error;

    async fn call(&self, request: Request<&'static str>) -> Result<Response<()>, Error> {
        catch_panic(|| self.0.answer(request.into_message())).await
    }
}

impl Endpoint<Request<&'static str, ServerStream>> for AsTold {
    type Response = Response<Streaming<u32>>;
    type Error = Error;

    /// One message, and then the end that it is told.
    async fn call(&self, request: Request<&'static str, ServerStream>) -> Result<Self::Response, Error> {
        self.0.fetch_add(1, SeqCst);
        let first = tokio_stream::once(Ok(1));
        let stream: Pin<Box<dyn Stream<Item = _> + Send>> = match request.into_message() {
            "ok" => Box::pin(first),
            "hang" => Box::pin(first.chain(tokio_stream::pending())),
            name => {
                let error = Error::new(Kind::from_name(name).unwrap(), "as told");
                Box::pin(first.chain(tokio_stream::once(Err(error))))
            }
        };
        Ok(Response::new(Streaming::new(stream)))
    }
}

/// A caller of an endpoint by messages, and how often the method has run.
struct Local<E>(E, Arc<AtomicUsize>);

fn outcome(result: Result<(), Error>) -> Outcome {
    match result {
        Ok(()) => Outcome::Good,
        Err(refusal) if refusal.reason() == Some("CIRCUIT_OPEN") => {
            assert_eq!((refusal.kind(), refusal.origin()), (Kind::Unavailable, Origin::LocalRefusal));
            Outcome::Refused
        }
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// The words are static in the tests, and the endpoints take such.
fn known(word: &str) -> &'static str {
    const WORDS: [&str; 7] = ["ok", "hang", "panic", "busy", "unsent", "too late to send", "inner refusal"];
    let names = Kind::ALL.into_iter().map(Kind::as_str);
    WORDS.into_iter().chain(names).find(|known| *known == word).unwrap()
}

impl<E> Place for Local<E>
where
    E: Endpoint<Request<&'static str>, Response = Response<()>, Error = Error>,
{
    async fn ask(&self, word: &str) -> Outcome {
        outcome(self.0.call(Request::new(known(word))).await.map(drop))
    }

    fn reached(&self) -> usize {
        self.1.load(SeqCst)
    }
}

fn place() -> (Circuit, Local<Guarded<AsTold, Breaker, Standard, ManualClock>>) {
    let (circuit, method) = (Circuit::new(settings()), AsTold::default());
    let calls = Arc::clone(&method.0);
    let endpoint = circuit.guard.layer(method);
    (circuit, Local(endpoint, calls))
}

const BROKEN: [Kind; 6] =
    [Kind::Cancelled, Kind::Unknown, Kind::DeadlineExceeded, Kind::Internal, Kind::Unavailable, Kind::DataLoss];

#[tokio::test]
async fn kinds_of_a_broken_service_trip_it_and_no_others() {
    let broken = BTreeSet::from(BROKEN);
    for kind in Kind::ALL {
        let (circuit, local) = place();
        if broken.contains(&kind) {
            trips(&circuit, &local, kind.as_str()).await;
        } else {
            passes(&circuit, &local, kind.as_str()).await;
        }
    }
}

#[tokio::test]
async fn what_could_not_be_sent_trips_it_and_what_was_refused_or_too_late_on_this_side_does_not() {
    let (circuit, local) = place();
    trips(&circuit, &local, "unsent").await;
    for word in ["ok", "busy", "too late to send", "inner refusal"] {
        let (circuit, local) = place();
        passes(&circuit, &local, word).await;
    }
}

#[tokio::test]
async fn a_panic_trips_it_caught_inside_or_passing_through() {
    let (circuit, method) = (Circuit::new(settings()), AsTold::default());
    let calls = Arc::clone(&method.0);
    trips(&circuit, &Local(circuit.guard.layer(Caught(method)), calls), "panic").await;

    let circuit = Circuit::new(settings());
    let endpoint = Arc::new(circuit.guard.layer(AsTold::default()));
    for n in 1..=3 {
        let endpoint = Arc::clone(&endpoint);
        let call = tokio::spawn(async move { endpoint.call(Request::new("panic")).await });
        assert!(call.await.unwrap_err().is_panic());
        assert_eq!(circuit.seen().failures, n);
    }
    assert_eq!(circuit.seen().state, State::Open);
}

#[tokio::test]
async fn a_limit_of_time_inside_of_it_trips_it_and_one_outside_does_not() {
    let (circuit, method) = (Circuit::new(settings()), AsTold::default());
    let (limit, calls) = (Limit(Duration::from_millis(10)), Arc::clone(&method.0));
    trips(&circuit, &Local(circuit.guard.layer(limit.layer(method)), calls), "hang").await;

    let (circuit, local) = place();
    let outside = limit.layer(local.0);
    for _ in 0..5 {
        let error = outside.call(Request::new("hang")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::DeadlineExceeded);
    }
    assert_eq!((circuit.seen().state, circuit.seen().failures), (State::Closed, 0));
}

#[tokio::test]
async fn a_probe_is_alone_and_callers_who_leave_do_not_count() {
    let (circuit, local) = place();
    super::a_probe_is_alone_and_may_be_left(&circuit, &local, "UNAVAILABLE").await;
}

#[tokio::test]
async fn a_time_to_wait_is_heeded_where_that_is_set() {
    let circuit = Circuit::new(settings().heed_retry_after(Duration::from_secs(60)));
    let endpoint = circuit.guard.layer(AsTold::default());
    endpoint.call(Request::new("busy")).await.unwrap_err();
    assert_eq!(circuit.seen().open_for, Some(Duration::from_secs(7)));
    let refusal = Endpoint::<Request<&str>>::call(&endpoint, Request::new("ok")).await.unwrap_err();
    assert_eq!(refusal.retry_after(), Some(Duration::from_secs(7)));
}

/// A caller of an endpoint that streams, who reads each stream to its end.
struct Streamed<E>(E, Arc<AtomicUsize>);

impl<E> Place for Streamed<E>
where
    E: Endpoint<Request<&'static str, ServerStream>, Response = Response<Streaming<u32>>, Error = Error>,
{
    async fn ask(&self, word: &str) -> Outcome {
        let read = async {
            let mut stream = self.0.call(Request::from_parts(Context::new(), known(word))).await?.into_message();
            while stream.message().await?.is_some() {}
            Ok(())
        };
        outcome(read.await)
    }

    fn reached(&self) -> usize {
        self.1.load(SeqCst)
    }
}

#[tokio::test]
async fn streams_that_break_off_trip_it_and_those_that_are_left_do_not() {
    let (circuit, method) = (Circuit::new(settings()), AsTold::default());
    let calls = Arc::clone(&method.0);
    let streamed = Streamed(circuit.guard.layer(method), calls);
    for kind in BROKEN {
        trips(&circuit, &streamed, kind.as_str()).await;
    }
    for kind in [Kind::NotFound, Kind::ResourceExhausted] {
        for _ in 0..5 {
            assert!(matches!(streamed.ask(kind.as_str()).await, Outcome::Failed(_)));
        }
        assert_eq!(circuit.seen().state, State::Closed);
    }
    super::a_probe_is_alone_and_may_be_left(&circuit, &streamed, "UNAVAILABLE").await;
}

/// An endpoint on `http` types that calls a real server, with an error type of its user's.
struct Proxy {
    client: reqwest::Client,
    to: String,
}

impl Endpoint<http::Request<()>> for Proxy {
    type Response = HttpResponse;
    type Error = ServiceError<Infallible>;

    async fn call(&self, request: http::Request<()>) -> Result<HttpResponse, Self::Error> {
        let answer = self.client.get(format!("{}{}", self.to, request.uri().path())).send().await;
        let answer = answer.map_err(|error| Error::unavailable("no answer").with_source(error))?;
        Ok(http::Response::from(answer).map(axum::body::Body::new))
    }
}

struct Proxied<E>(E, Backend);

impl<E, B> Place for Proxied<E>
where
    E: Endpoint<http::Request<()>, Response = http::Response<B>, Error = ServiceError<Infallible>>,
    B: http_body::Body<Error: std::fmt::Debug>,
{
    async fn ask(&self, word: &str) -> Outcome {
        let request = http::Request::get(format!("/{word}")).body(()).unwrap();
        match self.0.call(request).await {
            Err(ServiceError::Refused(refusal)) => outcome(Err(refusal)),
            Ok(answer) => {
                let status = answer.status();
                match http_body_util::BodyExt::collect(answer.into_body()).await {
                    Ok(_) if status == 200 => Outcome::Good,
                    end => Outcome::Failed(format!("{status}: {:?}", end.err())),
                }
            }
            Err(ServiceError::Inner(never)) => match never {},
        }
    }

    fn reached(&self) -> usize {
        self.1.requests().len()
    }
}

#[tokio::test]
async fn an_endpoint_on_http_types_is_judged_by_status_and_to_the_end_of_its_body() {
    let backend = Backend::start(super::client::script()).await.unwrap();
    let circuit = Circuit::new(settings());
    let endpoint = circuit.guard.layer(Proxy { client: reqwest::Client::new(), to: backend.url() });
    let proxied = Proxied(endpoint, backend);
    for word in ["503", "500", "504", "reset", "break", "short"] {
        trips(&circuit, &proxied, word).await;
    }
    for word in ["404", "400", "401", "429", "busy"] {
        for _ in 0..5 {
            assert!(matches!(proxied.ask(word).await, Outcome::Failed(_)));
        }
        assert_eq!(circuit.seen().state, State::Closed, "{word}");
    }
}
