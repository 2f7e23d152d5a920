//! A backend that accepts and never answers: limits of time inside of the breaker open it, and from then on nobody waits.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::{Duration, Instant};

use http::Request;
use kit_base::{Classify, Endpoint, FromHttpService, Guard, Judgement, Kind, Monotonic, ServiceError, Standard, Tower};
use kit_breaker::{Breaker, Settings, State};
use kit_testing::backend::{Backend, Reply, Script};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::transport::Channel;
use tower::{Service, ServiceExt};
use tower_layer::{Layer, Stack};

use crate::places::channel::{Client, Over};
use crate::places::health::{self, word};
use crate::places::{Circuit, HANGS, Limit, OPEN_FOR, Outcome, Place, SOON, recovers, router, server};

/// How long a call may take.
const LIMIT: Duration = SOON;
const PROBE_WITHIN: Duration = Duration::from_secs(10);

fn settings() -> Settings {
    Settings::new().consecutive_failures(3).open_for(OPEN_FOR).probe_within(PROBE_WITHIN)
}

/// An HTTP server that hangs until it is told that it is well.
async fn http_backend() -> (Arc<Backend>, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    let script = Script::by(move |_| if is_well.load(SeqCst) { Reply::ok().body("good") } else { Reply::hang() });
    (Arc::new(Backend::start(script).await.unwrap()), well)
}

/// Whoever calls that server through an endpoint.
struct Calling<E>(E, Arc<Backend>);

impl<E, B> Place for Calling<E>
where
    E: Endpoint<Request<&'static str>, Response = http::Response<B>, Error = ServiceError<reqwest::Error>>,
    B: http_body::Body<Error: std::fmt::Debug>,
{
    async fn ask(&self, _: &str) -> Outcome {
        match self.0.call(Request::get(self.1.url()).body("").unwrap()).await {
            Ok(answer) => {
                http_body_util::BodyExt::collect(answer.into_body()).await.unwrap();
                Outcome::Good
            }
            Err(ServiceError::Refused(refusal)) if refusal.reason() == Some("CIRCUIT_OPEN") => Outcome::Refused,
            Err(error) => Outcome::Failed(format!("{error:?}")),
        }
    }

    fn reached(&self) -> usize {
        self.1.requests().len()
    }
}

/// A hundred refusals: each is there when it is asked for, without a wait for anything. How long that takes is the machine's
/// affair for any single one of them, so the bound is on the median.
async fn refusals_take_no_time(what: &str, place: &impl Place) {
    let reached = place.reached();
    let mut times = Vec::new();
    for _ in 0..100 {
        let since = Instant::now();
        let mut asking = pin!(place.ask("ok"));
        let at_once = poll_fn(|cx| Poll::Ready(asking.as_mut().poll(cx))).await;
        times.push(since.elapsed());
        assert_eq!(at_once, Poll::Ready(Outcome::Refused), "{what}");
    }
    times.sort_unstable();
    let (median, longest) = (times[50], times[99]);
    #[expect(clippy::print_stderr, reason = "figures, for whoever asks by --nocapture")]
    {
        eprintln!("{what}: a refusal takes {median:?}, the longest of 100 {longest:?}");
    }
    assert!(median < Duration::from_millis(1), "{what}: {times:?}");
    assert_eq!(place.reached(), reached, "{what}");
}

/// From closed to open by calls that hang, half-open by one probe that hangs, and closed again by one that does not.
async fn lives_through_it(what: &str, circuit: &Circuit, place: &impl Place, recover: impl AsyncFnOnce()) {
    // They wait for as long as the limit says, and not longer.
    for n in 1..=3 {
        let since = Instant::now();
        let outcome = timeout(HANGS, place.ask("hang")).await.expect(what);
        assert!(matches!(outcome, Outcome::Failed(_)), "{what}: {outcome:?}");
        assert!(since.elapsed() >= LIMIT, "{what}: {:?}", since.elapsed());
        assert_eq!(circuit.seen().failures, n, "{what}: {outcome:?}");
    }
    assert_eq!(circuit.seen().state, State::Open, "{what}");
    refusals_take_no_time(what, place).await;

    // Of many who come at once when the time is over, one waits for the backend.
    circuit.clock.advance(OPEN_FOR);
    let since = Instant::now();
    let probe = async {
        let outcome = place.ask("hang").await;
        assert!(matches!(outcome, Outcome::Failed(_)), "{what}: {outcome:?}");
        assert!(since.elapsed() >= LIMIT, "{what}");
    };
    let others = async {
        assert_eq!((circuit.seen().state, circuit.seen().probes), (State::HalfOpen, 1), "{what}");
        for _ in 0..20 {
            assert_eq!(place.ask("ok").await, Outcome::Refused, "{what}");
        }
    };
    tokio::join!(biased; probe, others);
    assert_eq!((circuit.seen().state, circuit.seen().open_for), (State::Open, Some(OPEN_FOR)), "{what}");
    refusals_take_no_time(what, place).await;

    // It is well again, and the first who may ask finds out.
    recover().await;
    assert_eq!(place.ask("ok").await, Outcome::Refused, "{what}");
    // A client that still has a connection to what is gone may learn that by its probe.
    circuit.clock.advance(OPEN_FOR);
    recovers(circuit, place).await;
}

#[tokio::test]
async fn an_http_server_behind_reqwest_by_its_own_time_out() {
    let (backend, well) = http_backend().await;
    let circuit = Circuit::new(settings());
    let client = reqwest::Client::builder().timeout(LIMIT).build().unwrap();
    let calling = Calling(circuit.guard.layer(FromHttpService::new(client)), Arc::clone(&backend));
    lives_through_it("reqwest's time-out", &circuit, &calling, async || well.store(true, SeqCst)).await;
    // Three, a probe, and the one that closed it.
    assert!(backend.requests().len() >= 5);
}

#[tokio::test]
async fn an_http_server_behind_reqwest_by_a_layer() {
    let (backend, well) = http_backend().await;
    let circuit = Circuit::new(settings());
    let limited = Limit(LIMIT).layer(FromHttpService::new(reqwest::Client::new()));
    let calling = Calling(circuit.guard.layer(limited), Arc::clone(&backend));
    lives_through_it("a layer's limit", &circuit, &calling, async || well.store(true, SeqCst)).await;
    // Nothing goes on after its limit: the backend has seen that each was given up.
    backend.until_abandoned(4).await;
}

/// What accepts connections, keeps them, and never says a word.
fn mute() -> health::Backend {
    let calls = Arc::new(AtomicUsize::new(0));
    health::Backend::serve(([127, 0, 0, 1], 0).into(), calls, |listener: TcpListener| async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    })
}

/// A channel to such a server, whose place a good one takes.
async fn grpc_server<S: Over>(
    what: &str,
    guarded: impl FnOnce(&Circuit, tonic::transport::Endpoint) -> S,
    limit: Option<Duration>,
) {
    let mut mute = mute();
    let circuit = Circuit::new(settings());
    let calls = Arc::new(AtomicUsize::new(0));
    let client = Client { limit, ..Client::new(guarded(&circuit, mute.endpoint()), &calls) };
    let mut good = None;
    lives_through_it(what, &circuit, &client, async || {
        mute.kill();
        // The address is free as soon as the other has gone.
        let taken = async {
            while std::net::TcpListener::bind(mute.addr).is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(HANGS, taken).await.unwrap();
        good = Some(health::Backend::start_at(mute.addr));
    })
    .await;
    assert!(good.unwrap().calls.load(SeqCst) >= 1, "{what}");
}

#[tokio::test]
async fn a_grpc_server_behind_a_channel_by_the_channels_own_limit() {
    let guarded = |circuit: &Circuit, endpoint: tonic::transport::Endpoint| {
        Tower::new(circuit.guard.clone()).answered().layer(endpoint.timeout(LIMIT).connect_lazy())
    };
    grpc_server("a channel's time-out", guarded, None).await;
}

#[tokio::test]
async fn a_grpc_server_behind_a_channel_by_the_deadline_of_each_request() {
    let guarded = |circuit: &Circuit, endpoint: tonic::transport::Endpoint| {
        Tower::new(circuit.guard.clone()).answered().layer(endpoint.connect_lazy())
    };
    grpc_server("a request's deadline", guarded, Some(LIMIT)).await;
}

#[tokio::test]
async fn a_grpc_server_behind_a_channel_by_a_layer() {
    let guarded = |circuit: &Circuit, endpoint: tonic::transport::Endpoint| {
        let layers = Stack::new(Limit(LIMIT), circuit.guard.clone());
        Tower::new(layers).answered().layer(endpoint.connect_lazy())
    };
    grpc_server("a layer's limit over a channel", guarded, None).await;
}

/// A channel's limit, a request's deadline over a channel and a layer around either end with the head. Over gRPC that is said by
/// nobody when a stream stalls; reqwest's limits cover the body too.
#[tokio::test]
async fn a_stream_that_stalls_after_its_head_is_under_no_limit_and_says_nothing() {
    let backend = health::Backend::start();
    let circuit = Circuit::new(settings().consecutive_failures(1_000));
    let layers = Stack::new(Limit(LIMIT), circuit.guard.clone());
    let channel = Tower::new(layers).answered().layer(backend.endpoint().timeout(LIMIT).connect_lazy());
    let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
    // On a busy machine its head may come too late, too.
    let mut stream = loop {
        if let Ok(answer) = client.watch(word("hang")).await {
            break answer.into_inner();
        }
    };
    let failures = circuit.seen().failures;
    stream.message().await.unwrap().unwrap();
    timeout(LIMIT * 3, stream.message()).await.expect_err("it stalls");
    drop(stream);
    assert_eq!((circuit.seen().state, circuit.seen().failures), (State::Closed, failures));
}

/// Over the network it is the client who measures, and the network is in it. Nobody waits for the handler.
#[tokio::test]
async fn handlers_that_hang_behind_a_router_and_behind_a_tonic_server() {
    let circuit = Circuit::new(settings());
    let router = router::limited(&circuit, LIMIT).await;
    answers_at_once("a router", &circuit, &router).await;
    let circuit = Circuit::new(settings());
    let backend = server::limited(&circuit, LIMIT);
    answers_at_once("a tonic server", &circuit, &Client::new(backend.channel(), &backend.calls)).await;
}

async fn answers_at_once(what: &str, circuit: &Circuit, place: &impl Place) {
    for _ in 0..3 {
        assert!(matches!(place.ask("hang").await, Outcome::Failed(_)), "{what}");
    }
    circuit.until(what, |seen| seen.state == State::Open).await;
    let since = Instant::now();
    for _ in 0..100 {
        assert_eq!(place.ask("hang").await, Outcome::Refused, "{what}");
    }
    let mean = since.elapsed() / 100;
    #[expect(clippy::print_stderr, reason = "figures, for whoever asks by --nocapture")]
    {
        eprintln!("{what}: a refusal takes {mean:?} over the network");
    }
    assert!(mean < LIMIT, "{what}: {mean:?}");
    assert_eq!(place.reached(), 3, "{what}");
}

/// A channel that lets one call through at a time, and queues one.
fn narrow(backend: &health::Backend) -> Channel {
    backend.endpoint().concurrency_limit(1).buffer_size(1).connect_lazy()
}

/// Calls that take all of its places, and hang.
async fn fill(backend: &health::Backend, channel: &Channel) -> JoinSet<()> {
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let mut client = tonic_health::pb::health_client::HealthClient::new(channel.clone());
        calls.spawn(async move { drop(client.check(word("hang")).await) });
    }
    let arrived = async {
        while backend.calls.load(SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(HANGS, arrived).await.unwrap();
    calls
}

#[tokio::test]
async fn a_service_that_never_gets_ready_is_no_reason_to_wait_for_a_refusal() {
    let backend = health::Backend::start();
    let channel = narrow(&backend);
    let mut hanging = fill(&backend, &channel).await;
    // By a clone: whoever has begun to wait for a place keeps his turn for as long as he lives.
    timeout(LIMIT, channel.clone().ready()).await.expect_err("the channel has no place left");

    // The limit covers the time in which the channel is not ready, and so it opens.
    let circuit = Circuit::new(settings());
    let mut service = Tower::new(Stack::new(Limit(LIMIT), circuit.guard.clone())).answered().layer(channel);
    let client = Client::new(service.clone(), &backend.calls);
    for n in 1..=3 {
        let outcome = client.ask("ok").await;
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
        assert_eq!(circuit.seen().failures, n, "{outcome:?}");
    }
    assert_eq!((circuit.seen().state, client.reached()), (State::Open, 1));
    poll_fn(|cx| Service::<http::Request<tonic::body::Body>>::poll_ready(&mut service, cx)).await.unwrap();
    refusals_take_no_time("a channel that is not ready", &client).await;

    // A probe waits in its place, no longer than its limit, and the others are refused meanwhile.
    circuit.clock.advance(OPEN_FOR);
    let probe = async { assert!(matches!(client.ask("ok").await, Outcome::Failed(_))) };
    let others = async { assert_eq!(client.ask("ok").await, Outcome::Refused) };
    tokio::join!(biased; probe, others);
    assert_eq!((circuit.seen().state, client.reached()), (State::Open, 1));

    hanging.shutdown().await;
    circuit.clock.advance(OPEN_FOR);
    recovers(&circuit, &client).await;
}

/// Without any limit a call waits for as long as its caller does; a probe cannot keep others away for longer than its time.
#[tokio::test]
async fn a_probe_that_hangs_without_a_limit_is_given_up_and_its_late_end_does_not_count() {
    let circuit = Circuit::new(settings());
    let endpoint = Arc::new(circuit.guard.layer(FromHttpService::new(reqwest::Client::new())));
    let at = async |reply| Calling(Arc::clone(&endpoint), Arc::new(Backend::start(reply).await.unwrap()));
    let (dead, well) = (at(Reply::reset()).await, at(Reply::ok()).await);
    let hanging = Backend::start(Reply::hang()).await.unwrap();
    for _ in 0..3 {
        assert!(matches!(dead.ask("ok").await, Outcome::Failed(_)));
    }
    circuit.clock.advance(OPEN_FOR);
    let request = Request::get(hanging.url()).body("").unwrap();
    let probing = Arc::clone(&endpoint);
    let probe = tokio::spawn(async move { probing.call(request).await.map(drop) });
    hanging.received(1).await;

    circuit.clock.advance(PROBE_WITHIN - Duration::from_nanos(1));
    assert_eq!((well.ask("ok").await, circuit.seen().state), (Outcome::Refused, State::HalfOpen));
    circuit.clock.advance(Duration::from_nanos(1));
    assert_eq!((well.ask("ok").await, circuit.seen().state), (Outcome::Refused, State::Open));
    refusals_take_no_time("a probe without a limit", &well).await;

    circuit.clock.advance(OPEN_FOR);
    assert_eq!((well.ask("ok").await, circuit.seen().state), (Outcome::Good, State::Closed));
    // Only now the server that hung goes down, and takes the old probe with it.
    assert!(!probe.is_finished());
    hanging.stop().await;
    probe.await.unwrap().unwrap_err();
    assert_eq!((circuit.seen().state, circuit.seen().consecutive_failures), (State::Closed, 0));
}

/// Where a limit for slow calls is set, who gave a call less time than that says nothing. But the errors of reqwest, and of a
/// channel, are foreign: without a closure that knows better, all of them say that the peer was not there.
#[tokio::test]
async fn impatience_is_excused_by_a_limit_for_slow_calls_if_its_error_says_that_it_was_that() {
    let short = Duration::from_millis(20);
    let settings = || settings().slow_calls(Duration::from_secs(60), 1.0);
    let impatient = reqwest::Client::builder().timeout(short).build().unwrap();
    let (backend, _) = http_backend().await;

    let layered = Circuit::new(settings());
    let limited = Limit(short).layer(FromHttpService::new(reqwest::Client::new()));
    let calling = Calling(layered.guard.layer(limited), Arc::clone(&backend));
    for _ in 0..5 {
        assert!(matches!(calling.ask("hang").await, Outcome::Failed(_)));
    }
    assert_eq!((layered.seen().state, layered.seen().failures), (State::Closed, 0));

    let foreign = Circuit::new(settings());
    let calling = Calling(foreign.guard.layer(FromHttpService::new(impatient.clone())), Arc::clone(&backend));
    for _ in 0..3 {
        assert!(matches!(calling.ask("hang").await, Outcome::Failed(_)));
    }
    assert_eq!(foreign.seen().state, State::Open);

    let judge = |outcome: &Result<http::Response<reqwest::Body>, ServiceError<reqwest::Error>>| match outcome {
        Err(ServiceError::Inner(error)) if error.is_timeout() => Judgement::of_kind(Kind::DeadlineExceeded),
        outcome => Classify::<Request<&str>, _, _>::judge(&Standard, outcome),
    };
    let guard = Guard::with(Breaker::new(settings()).unwrap(), judge, Monotonic);
    let calling = Calling(guard.layer(FromHttpService::new(impatient)), Arc::clone(&backend));
    for _ in 0..5 {
        assert!(matches!(calling.ask("hang").await, Outcome::Failed(_)));
    }
    assert_eq!(guard.gate().state_at(Instant::now()), State::Closed);
}
