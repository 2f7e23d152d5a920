//! An axum router behind it, and reqwest in front.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use http::Uri;
use http_body_util::BodyExt;
use kit_base::Tower;
use kit_breaker::{Settings, State};
use kit_testing::http::Peer;
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tower_layer::Stack;

use super::{
    Circuit, Limit, OPEN_FOR, Outcome, Place, SOON, closes, half_open, hanging_trips, open, passes, settings, trips,
};

/// Answers as the path says: a status, or a word.
async fn as_told(path: &str, body: Body) -> Response {
    let chunks = |chunks: &'static [Result<&str, &str>]| {
        tokio_stream::iter(chunks).map(|chunk| chunk.map(|text| Bytes::from_static(text.as_bytes())))
    };
    let answer = Response::builder();
    match path {
        "ok" => answer.body("good".into()),
        "hang" => std::future::pending().await,
        "upload" => match body.collect().await {
            Ok(_) => answer.body("good".into()),
            Err(error) => answer.status(400).body(error.to_string().into()),
        },
        "panic" => panic!("as told"),
        "busy" => answer.status(503).header("retry-after", "7").body("busy".into()),
        // In chunks, as nobody knows how much there will be.
        "chunks" => answer.body(Body::from_stream(chunks(&[Ok("go"), Ok("od")]))),
        "break" => answer.body(Body::from_stream(chunks(&[Ok("go"), Err("broken")]))),
        "short" => answer.header("content-length", "4").body(Body::from_stream(chunks(&[Ok("go"), Err("broken")]))),
        "stall" => answer.body(Body::from_stream(chunks(&[Ok("go")]).chain(tokio_stream::pending()))),
        "panic-in-body" => answer.body(Body::from_stream(chunks(&[Ok("go"), Ok("!")]).map(|chunk| match chunk {
            Ok(text) if text == "!" => panic!("as told"),
            chunk => chunk,
        }))),
        status => answer.status(status.parse::<u16>().unwrap()).body("as told".into()),
    }
    .unwrap()
}

/// A router, and how many requests have come to its handler.
pub(super) fn routes() -> (Router, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let handler = move |uri: Uri, body: Body| {
        count.fetch_add(1, SeqCst);
        async move { as_told(uri.path().trim_start_matches('/'), body).await }
    };
    (Router::new().fallback(handler), calls)
}

/// Serves it on a free port; dropped with the test's runtime.
pub(super) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

pub(crate) struct Served {
    pub(super) url: String,
    pub(super) client: reqwest::Client,
    calls: Arc<AtomicUsize>,
}

impl Place for Served {
    async fn ask(&self, word: &str) -> Outcome {
        let answer = match self.client.get(format!("{}/{word}", self.url)).send().await {
            Ok(answer) => answer,
            Err(error) => return Outcome::Failed(error.to_string()),
        };
        let status = answer.status();
        match answer.text().await {
            Ok(text) if text.contains("CIRCUIT_OPEN") => {
                assert_eq!(status, 503);
                Outcome::Refused
            }
            Ok(text) if status == 200 && text == "good" => Outcome::Good,
            Ok(text) => Outcome::Failed(format!("{status}: {text}")),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    fn reached(&self) -> usize {
        self.calls.load(SeqCst)
    }
}

/// A router behind it.
async fn place() -> (Circuit, Served) {
    place_by(settings()).await
}

async fn place_by(settings: Settings) -> (Circuit, Served) {
    let circuit = Circuit::new(settings);
    let (router, calls) = routes();
    let url = serve(router.layer(Tower::new(circuit.guard.clone()).answered())).await;
    (circuit, Served { url, client: reqwest::Client::new(), calls })
}

/// One with a limit of time inside of it.
pub(crate) async fn limited(circuit: &Circuit, limit: Duration) -> Served {
    let (router, calls) = routes();
    let layers = Stack::new(Limit(limit), circuit.guard.clone());
    let url = serve(router.layer(Tower::new(layers).answered())).await;
    Served { url, client: reqwest::Client::new(), calls }
}

#[tokio::test]
async fn statuses_of_a_broken_server_trip_it() {
    let (circuit, served) = place().await;
    for word in ["503", "500", "502", "504", "408", "599"] {
        trips(&circuit, &served, word).await;
    }
}

#[tokio::test]
async fn statuses_that_are_the_callers_doing_or_say_to_wait_do_not() {
    for word in ["ok", "404", "400", "401", "403", "409", "422", "501", "429", "busy"] {
        let (circuit, served) = place().await;
        passes(&circuit, &served, word).await;
    }
}

#[tokio::test]
async fn a_handler_that_panics_trips_it_and_so_does_a_body() {
    let (circuit, served) = place().await;
    for word in ["panic", "panic-in-body"] {
        trips(&circuit, &served, word).await;
    }
}

#[tokio::test]
async fn bodies_that_break_off_trip_it_with_a_length_and_in_chunks() {
    let (circuit, served) = place().await;
    assert_eq!(served.ask("chunks").await, Outcome::Good);
    for word in ["break", "short"] {
        trips(&circuit, &served, word).await;
    }
}

#[tokio::test]
async fn a_limit_of_time_inside_of_it_trips_it() {
    let circuit = Circuit::new(settings());
    let served = limited(&circuit, SOON).await;
    hanging_trips(&circuit, &served).await;
    assert!(matches!(served.ask("hang").await, Outcome::Failed(text) if text.starts_with("504")));
}

#[tokio::test]
async fn a_probe_is_alone_and_clients_who_close_their_connection_before_the_head_do_not_count() {
    let (circuit, served) = place().await;
    super::a_probe_is_alone_and_may_be_left(&circuit, &served, "503").await;
}

#[tokio::test]
async fn clients_who_close_their_connection_in_the_middle_of_a_body_do_not_count() {
    let (circuit, served) = place().await;
    open(&circuit, &served, "500").await;
    half_open(&circuit, &served).await;
    let mut answer = served.client.get(format!("{}/stall", served.url)).send().await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "go");
    assert_eq!((circuit.seen().state, circuit.seen().probes), (State::HalfOpen, 1));
    drop(answer);
    circuit.until("left", |seen| seen.probes == 0).await;
    assert_eq!((circuit.seen().state, circuit.seen().failures), (State::HalfOpen, 3));
    closes(&circuit, &served).await;
}

#[tokio::test]
async fn a_client_who_sends_half_a_request_is_no_failure() {
    let (circuit, served) = place().await;
    open(&circuit, &served, "500").await;
    circuit.clock.advance(OPEN_FOR);
    let mut peer = Peer::connect(served.url.trim_start_matches("http://")).await.unwrap();
    peer.send("POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc").await.unwrap();
    circuit.until("a probe", |seen| seen.probes == 1).await;
    drop(peer);
    // Left, or answered by 400: whichever it is, it says nothing against the handler.
    circuit.until("over", |seen| seen.probes == 0).await;
    assert_eq!((circuit.seen().opened, circuit.seen().failures), (1, 3));
    closes(&circuit, &served).await;
}

#[tokio::test]
async fn a_503_with_retry_after_opens_it_for_that_time_where_that_is_heeded() {
    let (circuit, served) = place_by(settings().heed_retry_after(Duration::from_secs(60))).await;
    assert!(matches!(served.ask("busy").await, Outcome::Failed(text) if text.contains("busy")));
    assert_eq!((circuit.seen().state, circuit.seen().open_for), (State::Open, Some(Duration::from_secs(7))));
    assert_eq!(served.ask("ok").await, Outcome::Refused);
    circuit.clock.advance(Duration::from_secs(7));
    closes(&circuit, &served).await;
}
