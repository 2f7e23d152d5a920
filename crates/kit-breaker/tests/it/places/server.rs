//! tonic's server behind it, and a client that tonic has generated in front.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use kit_base::Tower;
use kit_breaker::State;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;
use tonic::transport::Server;
use tonic_health::pb::health_server::HealthServer;
use tower_layer::Stack;

use super::channel::{BROKEN, Client, NOT_BROKEN, Over};
use super::health::{AsTold, Backend, word};
use super::{Circuit, Limit, Outcome, Place, SOON, closes, half_open, hanging_trips, open, passes, settings, trips};

/// A server behind it, in a runtime of its own.
pub(super) fn serve(circuit: &Circuit) -> Backend {
    let service = AsTold::default();
    let (calls, guard) = (Arc::clone(&service.0), circuit.guard.clone());
    Backend::serve(([127, 0, 0, 1], 0).into(), calls, |listener| async move {
        let server = Server::builder().layer(Tower::new(guard).answered()).add_service(HealthServer::new(service));
        let _ = server.serve_with_incoming(TcpListenerStream::new(listener)).await;
    })
}

/// One with a limit of time inside of it.
pub(crate) fn limited(circuit: &Circuit, limit: Duration) -> Backend {
    let service = AsTold::default();
    let (calls, layers) = (Arc::clone(&service.0), Stack::new(Limit(limit), circuit.guard.clone()));
    Backend::serve(([127, 0, 0, 1], 0).into(), calls, |listener| async move {
        let server = Server::builder().layer(Tower::new(layers).answered()).add_service(HealthServer::new(service));
        let _ = server.serve_with_incoming(TcpListenerStream::new(listener)).await;
    })
}

fn place() -> (Circuit, Backend, Client<impl Over>) {
    let circuit = Circuit::new(settings());
    let backend = serve(&circuit);
    let client = Client::new(backend.channel(), &backend.calls);
    (circuit, backend, client)
}

#[tokio::test]
async fn codes_of_a_broken_service_trip_it_in_the_head_and_in_the_trailers() {
    let (circuit, _backend, unary) = place();
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
    for word in NOT_BROKEN {
        let (circuit, _backend, unary) = place();
        passes(&circuit, &unary, word).await;
        passes(&circuit, &unary.streaming(), word).await;
    }
}

#[tokio::test]
async fn a_method_that_panics_trips_it_and_so_does_a_stream() {
    let (circuit, _backend, unary) = place();
    trips(&circuit, &unary, "panic").await;
    trips(&circuit, &unary.streaming(), "panic").await;
}

#[tokio::test]
async fn a_limit_of_time_inside_of_it_trips_it() {
    let circuit = Circuit::new(settings());
    let backend = limited(&circuit, SOON);
    let client = Client::new(backend.channel(), &backend.calls);
    hanging_trips(&circuit, &client).await;
    let status = client.call("hang").await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, "too late"));
}

/// tonic's server puts its layers inside of its own limit, `Server::timeout` or the client's `grpc-timeout`, whichever is
/// shorter: when that passes, it drops the call.
#[tokio::test]
async fn tonics_own_limit_of_time_is_outside_of_it_and_says_nothing() {
    let (circuit, _backend, client) = place();
    let client = Client { limit: Some(Duration::from_millis(50)), ..client };
    for _ in 0..5 {
        assert!(matches!(client.ask("hang").await, Outcome::Failed(_)));
    }
    assert_eq!(client.ask("ok").await, Outcome::Good);
    let seen = circuit.seen();
    assert_eq!((seen.state, seen.failures, client.reached()), (State::Closed, 0, 6));
}

#[tokio::test]
async fn a_probe_is_alone_and_clients_who_cancel_before_the_head_do_not_count() {
    let (circuit, _backend, client) = place();
    super::a_probe_is_alone_and_may_be_left(&circuit, &client, "14").await;
}

#[tokio::test]
async fn clients_who_leave_in_the_middle_of_a_stream_or_vanish_do_not_count() {
    let (circuit, backend, client) = place();
    open(&circuit, &client, "14").await;
    half_open(&circuit, &client).await;
    // It cancels its stream, and keeps the connection.
    let mut stream = client.client.clone().watch(word("hang")).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    assert_eq!((circuit.seen().state, circuit.seen().probes), (State::HalfOpen, 1));
    drop(stream);
    circuit.until("left", |seen| seen.probes == 0).await;
    assert_eq!((circuit.seen().state, circuit.seen().failures), (State::HalfOpen, 3));
    // Its whole connection breaks.
    let vanishing = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let endpoint = backend.endpoint();
    let began = Arc::new(AtomicUsize::new(0));
    let begun = Arc::clone(&began);
    vanishing.spawn(async move {
        let mut client = tonic_health::pb::health_client::HealthClient::new(endpoint.connect_lazy());
        let mut stream = client.watch(word("hang")).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        begun.store(1, SeqCst);
        let _ = stream.message().await;
    });
    circuit.until("a probe", |seen| seen.probes == 1 && began.load(SeqCst) == 1).await;
    vanishing.shutdown_background();
    circuit.until("left", |seen| seen.probes == 0).await;
    assert_eq!((circuit.seen().state, circuit.seen().failures), (State::HalfOpen, 3));
    closes(&circuit, &client).await;
}

#[tokio::test]
async fn a_push_back_opens_it_for_that_time_where_that_is_heeded() {
    let circuit = Circuit::new(settings().heed_retry_after(Duration::from_secs(60)));
    let backend = serve(&circuit);
    for client in
        [Client::new(backend.channel(), &backend.calls), Client::new(backend.channel(), &backend.calls).streaming()]
    {
        assert!(matches!(client.ask("busy").await, Outcome::Failed(_)));
        circuit.until("open", |seen| seen.open_for == Some(Duration::from_millis(7500))).await;
        assert_eq!(client.ask("ok").await, Outcome::Refused);
        circuit.clock.advance(Duration::from_millis(7500));
        closes(&circuit, &client).await;
    }
}
