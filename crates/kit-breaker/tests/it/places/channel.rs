//! A stock tonic `Channel` behind it, used by a client that tonic has generated; tonic's server at the other end.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use kit_base::Tower;
use kit_breaker::State;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codegen::{Body, Bytes, Service, StdError};
use tonic::service::Routes;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;
use tower_layer::{Layer, Stack};

use super::health::{Backend, word};
use super::{Circuit, Limit, Outcome, Place, SOON, closes, half_open, hanging_trips, open, passes, settings, trips};

/// What generated clients ask of a service, under one name.
pub(crate) trait Over:
    Service<
        http::Request<tonic::body::Body>,
        Response = http::Response<Self::Body>,
        Error: Into<StdError> + Debug,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
    type Body: Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static;
}

impl<T, B> Over for T
where
    T: Service<http::Request<tonic::body::Body>, Response = http::Response<B>> + Clone + Send + 'static,
    T::Error: Into<StdError> + Debug,
    T::Future: Send,
    B: Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    type Body = B;
}

/// How a generated client sees a call that failed.
pub(super) fn outcome(result: Result<(), Status>) -> Outcome {
    let Err(status) = result else { return Outcome::Good };
    match status.get_details_error_info() {
        Some(info) if info.reason == "CIRCUIT_OPEN" => {
            assert_eq!((status.code(), status.message()), (Code::Unavailable, "circuit breaker is open"));
            Outcome::Refused
        }
        _ => Outcome::Failed(format!("{:?}: {}", status.code(), status.message())),
    }
}

/// A generated client and what it calls, by unary calls or by streams that are read to their end.
pub(crate) struct Client<S> {
    pub(crate) client: HealthClient<S>,
    pub(crate) calls: Arc<AtomicUsize>,
    pub(crate) streams: bool,
    pub(crate) limit: Option<Duration>,
}

impl<S: Over> Client<S> {
    pub(crate) fn new(service: S, calls: &Arc<AtomicUsize>) -> Self {
        Self { client: HealthClient::new(service), calls: Arc::clone(calls), streams: false, limit: None }
    }

    pub(super) fn streaming(self) -> Self {
        Self { streams: true, ..self }
    }

    pub(super) async fn call(&self, asked: &str) -> Result<(), Status> {
        let mut client = self.client.clone();
        let mut request = Request::new(word(asked));
        if let Some(limit) = self.limit {
            request.set_timeout(limit);
        }
        if self.streams {
            let mut stream = client.watch(request).await?.into_inner();
            while stream.message().await?.is_some() {}
            Ok(())
        } else {
            client.check(request).await.map(drop)
        }
    }
}

impl<S: Over> Place for Client<S> {
    async fn ask(&self, word: &str) -> Outcome {
        outcome(self.call(word).await)
    }

    fn reached(&self) -> usize {
        self.calls.load(SeqCst)
    }
}

fn guarded(backend: &Backend) -> (Circuit, Client<impl Over>) {
    guarding(backend.channel(), backend)
}

fn guarding(channel: Channel, backend: &Backend) -> (Circuit, Client<impl Over>) {
    let circuit = Circuit::new(settings());
    let channel = Tower::new(circuit.guard.clone()).answered().layer(channel);
    let client = Client::new(channel, &backend.calls);
    (circuit, client)
}

/// Codes by which a server says that it is broken: CANCELLED unasked, UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE,
/// DATA_LOSS.
pub(super) const BROKEN: [&str; 6] = ["1", "2", "4", "13", "14", "15"];

/// All others, with the push-back of one that is busy.
pub(super) const NOT_BROKEN: [&str; 12] = ["ok", "3", "5", "6", "7", "8", "9", "10", "11", "12", "16", "busy"];

#[tokio::test]
async fn codes_of_a_broken_server_trip_it_in_the_head_and_in_the_trailers() {
    let backend = Backend::start();
    let (circuit, unary) = guarded(&backend);
    for word in BROKEN {
        trips(&circuit, &unary, word).await;
    }
    let streams = unary.streaming();
    for word in BROKEN {
        trips(&circuit, &streams, word).await;
    }
}

#[tokio::test]
async fn codes_that_are_the_callers_doing_or_say_to_wait_do_not() {
    let backend = Backend::start();
    for word in NOT_BROKEN {
        let (circuit, unary) = guarded(&backend);
        passes(&circuit, &unary, word).await;
        passes(&circuit, &unary.streaming(), word).await;
    }
}

#[tokio::test]
async fn a_server_whose_handler_panics_trips_it() {
    let backend = Backend::start();
    let (circuit, unary) = guarded(&backend);
    trips(&circuit, &unary, "panic").await;
    trips(&circuit, &unary.streaming(), "panic").await;
}

#[tokio::test]
async fn a_backend_that_is_killed_trips_it_and_closes_it_once_it_is_back() {
    let mut backend = Backend::start();
    let (circuit, client) = guarded(&backend);
    assert_eq!(client.ask("ok").await, Outcome::Good);
    // One that is under way when it happens counts too.
    let mut stream = client.client.clone().watch(word("hang")).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    backend.kill();
    stream.message().await.unwrap_err();
    assert_eq!(circuit.seen().failures, 1);
    for n in 2..=3 {
        assert!(matches!(client.ask("ok").await, Outcome::Failed(_)));
        assert_eq!(circuit.seen().failures, n);
    }
    assert_eq!(circuit.seen().state, State::Open);
    let again = Backend::start_at(backend.addr);
    let client = Client { calls: Arc::clone(&again.calls), ..client };
    half_open(&circuit, &client).await;
    closes(&circuit, &client).await;
}

#[tokio::test]
async fn a_backend_that_closes_or_is_no_grpc_server_trips_it() {
    for answer in [&b""[..], b"HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let backend = Backend::serve(([127, 0, 0, 1], 0).into(), calls, move |listener: TcpListener| async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, SeqCst);
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
            }
        });
        let (circuit, client) = guarded(&backend);
        for n in 1..=3 {
            let outcome = client.ask("ok").await;
            assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
            assert_eq!(circuit.seen().failures, n, "{outcome:?}");
        }
        let reached = client.reached();
        assert_eq!(client.ask("ok").await, Outcome::Refused);
        assert_eq!(client.reached(), reached);
    }
}

#[tokio::test]
async fn an_answer_of_a_proxy_in_plain_http_counts_by_its_status() {
    for (status, broken) in [(503, true), (504, true), (404, false), (429, false)] {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let backend = Backend::serve(([127, 0, 0, 1], 0).into(), calls, move |listener| async move {
            let proxy = axum::Router::new().fallback(move || {
                count.fetch_add(1, SeqCst);
                async move { (http::StatusCode::from_u16(status).unwrap(), "no") }
            });
            let server = Server::builder().add_routes(Routes::from(proxy));
            let _ = server.serve_with_incoming(TcpListenerStream::new(listener)).await;
        });
        let (circuit, client) = guarded(&backend);
        if broken {
            open(&circuit, &client, "ok").await;
        } else {
            passes(&circuit, &client, "not ok").await;
        }
    }
}

#[tokio::test]
async fn a_limit_of_time_of_the_channel_trips_it() {
    let backend = Backend::start();
    let (circuit, client) = guarding(backend.endpoint().timeout(SOON).connect_lazy(), &backend);
    hanging_trips(&circuit, &client).await;
}

/// The server is told of it; whoever is first.
#[tokio::test]
async fn the_deadline_of_a_request_trips_it() {
    let backend = Backend::start();
    let (circuit, client) = guarded(&backend);
    hanging_trips(&circuit, &Client { limit: Some(SOON), ..client }).await;
}

/// It covers what the channel waits for before it sends, too: a connection, a place in its queue.
#[tokio::test]
async fn a_limit_of_time_of_a_layer_inside_of_it_trips_it() {
    let backend = Backend::start();
    let circuit = Circuit::new(settings());
    let channel = Tower::new(Stack::new(Limit(SOON), circuit.guard.clone())).answered().layer(backend.channel());
    let client = Client::new(channel, &backend.calls);
    hanging_trips(&circuit, &client).await;
    let status = client.call("hang").await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, "too late"));
}

#[tokio::test]
async fn a_limit_of_time_outside_of_it_says_nothing() {
    let backend = Backend::start();
    let (circuit, client) = guarded(&backend);
    for _ in 0..5 {
        tokio::time::timeout(Duration::from_millis(20), client.ask("hang")).await.unwrap_err();
    }
    assert_eq!((circuit.seen().state, circuit.seen().failures), (State::Closed, 0));
}

#[tokio::test]
async fn a_probe_is_alone_and_callers_who_leave_before_the_head_do_not_count() {
    let backend = Backend::start();
    let (circuit, client) = guarded(&backend);
    super::a_probe_is_alone_and_may_be_left(&circuit, &client, "14").await;
}

#[tokio::test]
async fn callers_who_leave_in_the_middle_of_a_stream_do_not_count() {
    let backend = Backend::start();
    let (circuit, client) = guarded(&backend);
    open(&circuit, &client, "14").await;
    half_open(&circuit, &client).await;
    let mut stream = client.client.clone().watch(word("hang")).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    assert_eq!((circuit.seen().state, circuit.seen().probes), (State::HalfOpen, 1));
    assert_eq!(client.ask("ok").await, Outcome::Refused);
    drop(stream);
    assert_eq!((circuit.seen().state, circuit.seen().probes), (State::HalfOpen, 0));
    closes(&circuit, &client).await;
    // Nor does a stream that nobody has begun to read.
    for _ in 0..5 {
        drop(client.client.clone().watch(word("hang")).await.unwrap());
    }
    assert_eq!((circuit.seen().state, circuit.seen().failures), (State::Closed, 3));
}

#[tokio::test]
async fn a_push_back_opens_it_for_that_time_where_that_is_heeded() {
    let backend = Backend::start();
    let circuit = Circuit::new(settings().heed_retry_after(Duration::from_secs(60)));
    let channel = Tower::new(circuit.guard.clone()).answered().layer(backend.channel());
    let mut client = Client::new(channel, &backend.calls);
    for streams in [false, true] {
        client.streams = streams;
        assert!(matches!(client.ask("busy").await, Outcome::Failed(_)));
        assert_eq!((circuit.seen().state, circuit.seen().open_for), (State::Open, Some(Duration::from_millis(7500))));
        assert_eq!(client.ask("ok").await, Outcome::Refused);
        circuit.clock.advance(Duration::from_millis(7500));
        closes(&circuit, &client).await;
    }
}
