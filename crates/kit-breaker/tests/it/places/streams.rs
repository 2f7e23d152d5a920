//! Streams that last: the outcome is known at their end, and a half-open circuit does not wait that long.

use std::time::Duration;

use kit_base::{Guard, Tower};
use kit_breaker::{Breaker, State};
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckResponse;
use tonic_health::pb::health_client::HealthClient;
use tower_layer::Layer;

use super::channel::{Client, Over};
use super::health::{Backend, word};
use super::{Circuit, OPEN_FOR, Outcome, Place, half_open, open, server, settings};

const PROBE_WITHIN: Duration = Duration::from_millis(300);

/// A stream that has brought its first message, and stays open.
async fn good_stream(client: &HealthClient<impl Over>) -> tonic::Streaming<HealthCheckResponse> {
    let mut stream = client.clone().watch(word("hang")).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    stream
}

#[tokio::test]
async fn a_long_good_stream_as_the_probe_does_not_keep_the_circuit_half_open() {
    let backend = Backend::start();
    let settings = settings().open_for(Duration::from_millis(50)).probe_within(PROBE_WITHIN);
    // As users write it, in real time.
    let guard = Guard::new(Breaker::new(settings).unwrap());
    let seen = || guard.gate().snapshot_at(std::time::Instant::now());
    let channel = Tower::new(guard.clone()).answered().layer(backend.channel());
    let client = Client::new(channel, &backend.calls);
    for _ in 0..3 {
        client.ask("14").await;
    }
    assert_eq!(client.ask("ok").await, Outcome::Refused);
    while seen().state != State::HalfOpen {
        sleep(Duration::from_millis(5)).await;
    }
    let since = Instant::now();
    let stream = good_stream(&client.client).await;
    let reached = client.reached();
    // Nobody knows yet how it ends.
    let closed_after = loop {
        match client.ask("ok").await {
            Outcome::Refused => sleep(Duration::from_millis(5)).await,
            Outcome::Good => break since.elapsed(),
            failed @ Outcome::Failed(_) => panic!("{failed:?}"),
        }
    };
    assert!(closed_after >= PROBE_WITHIN, "{closed_after:?}");
    assert_eq!((seen().state, seen().opened, client.reached()), (State::Closed, 1, reached + 1));
    // How it ends is of the past now.
    drop(stream);
    assert_eq!((seen().state, seen().failures), (State::Closed, 3));
}

/// The same on the side of a server, and by a clock that the test moves: to the tick.
#[tokio::test]
async fn a_server_that_streams_for_long_closes_its_circuit_when_its_probes_time_is_over() {
    let circuit = Circuit::new(settings().probe_within(PROBE_WITHIN));
    let backend = server::serve(&circuit);
    let client = Client::new(backend.channel(), &backend.calls);
    open(&circuit, &client, "14").await;
    half_open(&circuit, &client).await;
    let _stream = good_stream(&client.client).await;
    circuit.clock.advance(PROBE_WITHIN - Duration::from_nanos(1));
    assert_eq!(client.ask("ok").await, Outcome::Refused);
    circuit.clock.advance(Duration::from_nanos(1));
    assert_eq!(client.ask("ok").await, Outcome::Good);
    assert_eq!(circuit.seen().state, State::Closed);
}

#[tokio::test]
async fn a_stream_that_breaks_as_the_probe_opens_it_again_though_its_head_was_good() {
    let mut backend = Backend::start();
    let circuit = Circuit::new(settings());
    let channel = Tower::new(circuit.guard.clone()).answered().layer(backend.channel());
    let client = Client::new(channel, &backend.calls);
    open(&circuit, &client, "14").await;
    half_open(&circuit, &client).await;
    let mut stream = good_stream(&client.client).await;
    assert_eq!((circuit.seen().state, circuit.seen().probes), (State::HalfOpen, 1));
    backend.kill();
    stream.message().await.unwrap_err();
    assert_eq!((circuit.seen().state, circuit.seen().open_for), (State::Open, Some(OPEN_FOR)));
}

#[tokio::test]
async fn streams_that_were_under_way_when_it_opened_do_not_count_any_more() {
    let mut backend = Backend::start();
    let other = Backend::start();
    let circuit = Circuit::new(settings());
    let layer = Tower::new(circuit.guard.clone()).answered();
    let over = |channel: Channel, backend: &Backend| Client::new(layer.layer(channel), &backend.calls);
    let (client, well) = (over(backend.channel(), &backend), over(other.channel(), &other));
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(good_stream(&client.client).await);
    }
    open(&circuit, &client, "14").await;
    half_open(&circuit, &client).await;
    assert_eq!(well.ask("ok").await, Outcome::Good);
    assert_eq!(circuit.seen().state, State::Closed);
    // They break now, all of them, and are of an older generation.
    backend.kill();
    for stream in &mut streams {
        stream.message().await.unwrap_err();
    }
    assert_eq!((circuit.seen().state, circuit.seen().consecutive_failures), (State::Closed, 0));
}
