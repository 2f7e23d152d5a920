//! The client's connections: how many calls at once, what is kept, and how old it gets.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use kit_base::{Deadline, Endpoint, Error, Kind, Origin};
use kit_transport_http::{Connected, HttpClient, Json};
use tokio::sync::Semaphore;

use crate::proxy_support::{Up, up};
use crate::support::{HANGS, Notes, op};

type Call = Connected<Json, u64, u64>;

fn json() -> Response<Full<Bytes>> {
    Response::builder().header("content-type", "application/json").body(Full::new(Bytes::from_static(b"1"))).unwrap()
}

/// A service whose answers wait for the test: it notes each arrival, and how many there were at once.
struct Held {
    up: Up,
    arrived: Notes,
    most: Arc<AtomicUsize>,
    go: Arc<Semaphore>,
}

impl Held {
    async fn start() -> Self {
        let (arrived, most, go) = (Notes::default(), Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let running = Arc::new(AtomicUsize::new(0));
        let (noted, peak, gate) = (arrived.clone(), Arc::clone(&most), Arc::clone(&go));
        let up = up(move |request: Request<Incoming>| {
            let (noted, peak, gate, running) =
                (noted.clone(), Arc::clone(&peak), Arc::clone(&gate), Arc::clone(&running));
            async move {
                peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                noted.add(http_body_util::BodyExt::collect(request).await.map_or_else(
                    |error| error.to_string(),
                    |body| String::from_utf8_lossy(&body.to_bytes()).into_owned(),
                ));
                gate.acquire().await.unwrap().forget();
                running.fetch_sub(1, Ordering::SeqCst);
                json()
            }
        })
        .await;
        Self { up, arrived, most, go }
    }

    fn client(&self, calls: usize, queue: usize) -> HttpClient {
        HttpClient::new(self.up.url()).unwrap().connections(NonZeroUsize::new(calls).unwrap(), queue)
    }
}

fn endpoint(client: &HttpClient) -> Call {
    client.endpoint(op("hold"))
}

fn spawn(call: &Call, message: u64) -> tokio::task::JoinHandle<Result<u64, Error>> {
    let call = call.clone();
    tokio::spawn(async move { call.call(kit_base::Request::new(message)).await.map(|reply| reply.into_message()) })
}

#[tokio::test]
async fn at_most_so_many_calls_are_made_at_once_and_all_get_their_turn() {
    let held = Held::start().await;
    let client = held.client(3, 100);
    // Two endpoints and a clone share the limit.
    let calls = [endpoint(&client), client.endpoint(op("other")), endpoint(&client.clone())];
    let calls: Vec<_> = (0..12).map(|index| spawn(&calls[index % 3], index as u64)).collect();
    held.arrived.until(3).await;
    held.go.add_permits(12);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(held.arrived.all().len(), 12);
    assert_eq!((held.most.load(Ordering::SeqCst), held.up.connections()), (3, 3));
}

#[tokio::test]
async fn calls_wait_in_their_order() {
    let held = Held::start().await;
    let call = endpoint(&held.client(1, 100));
    let mut calls = Vec::new();
    for index in 0..8 {
        calls.push(spawn(&call, index));
        tokio::task::yield_now().await;
    }
    held.go.add_permits(8);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(held.arrived.all(), (0..8).map(|index| index.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn beyond_the_queue_calls_are_refused_and_not_sent() {
    let held = Held::start().await;
    let call = endpoint(&held.client(1, 2));
    let waiting: Vec<_> = (0..3).map(|index| spawn(&call, index)).collect();
    held.arrived.until(1).await;
    let error = spawn(&call, 3).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::ResourceExhausted, Origin::LocalRefusal));
    assert_eq!(error.reason(), Some("TOO_MANY_CALLS"));
    held.go.add_permits(9);
    for call in waiting {
        call.await.unwrap().unwrap();
    }
    spawn(&call, 4).await.unwrap().unwrap();
    assert_eq!(held.arrived.all(), ["0", "1", "2", "4"]);
}

#[tokio::test]
async fn a_call_waits_no_longer_than_its_deadline_or_the_head_timeout() {
    let held = Held::start().await;
    let client = held.client(1, 10).head_timeout(Duration::from_secs(20));
    let call = endpoint(&client);
    let first = spawn(&call, 1);
    held.arrived.until(1).await;
    let context = kit_base::Context::new();
    let context = context.with_deadline(Deadline::after(Instant::now(), Duration::from_millis(100)));
    let error = call.call(kit_base::Request::from_parts(context, 2)).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::DeadlineExceeded, Origin::NotSent));
    held.go.add_permits(1);
    first.await.unwrap().unwrap();
    // The time for the head counts from the call, not from when it got its place.
    let short = endpoint(&client.head_timeout(Duration::from_millis(300)));
    let hanging = spawn(&call, 3);
    held.arrived.until(2).await;
    let started = Instant::now();
    let error = short.call(kit_base::Request::new(4)).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::DeadlineExceeded, Origin::NotSent));
    assert!(started.elapsed() >= Duration::from_millis(300));
    held.go.add_permits(1);
    hanging.await.unwrap().unwrap();
    assert_eq!(held.arrived.all(), ["1", "3"]);
}

#[tokio::test]
async fn what_a_call_has_waited_is_not_promised_to_the_service() {
    let (go, arrived) = (Arc::new(Semaphore::new(0)), Notes::default());
    let (gate, noted) = (Arc::clone(&go), arrived.clone());
    let up = up(move |request: Request<Incoming>| {
        let (gate, noted) = (Arc::clone(&gate), noted.clone());
        async move {
            noted.add(request.headers()["grpc-timeout"].to_str().unwrap());
            gate.acquire().await.unwrap().forget();
            json()
        }
    })
    .await;
    let hooks = Notes::default();
    let ran = hooks.clone();
    let client = HttpClient::new(up.url()).unwrap().connections(NonZeroUsize::MIN, 1);
    let call = endpoint(&client.before(move |_, _| ran.add("before")));
    let calling = |seconds| {
        let context = kit_base::Context::new();
        let context = context.with_deadline(Deadline::after(Instant::now(), Duration::from_secs(seconds)));
        let call = call.clone();
        tokio::spawn(async move { call.call(kit_base::Request::from_parts(context, 1)).await.map(drop) })
    };
    let first = calling(60);
    arrived.until(1).await;
    let second = calling(60);
    tokio::task::yield_now().await;
    // One too many: nothing is sent, so no hook sees it.
    assert_eq!(calling(60).await.unwrap().unwrap_err().reason(), Some("TOO_MANY_CALLS"));
    assert_eq!(hooks.all(), ["before"]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    go.add_permits(2);
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(hooks.all(), ["before", "before"]);
    let promised: kit_base::Timeout = arrived.all()[1].parse().unwrap();
    assert!(promised.0 <= Duration::from_millis(59_800), "{promised:?}");
}

#[tokio::test]
async fn a_call_that_is_dropped_gives_its_place_back_wherever_it_was() {
    let held = Held::start().await;
    let call = endpoint(&held.client(1, 1));
    let running = spawn(&call, 1);
    held.arrived.until(1).await;
    let waiting = spawn(&call, 2);
    tokio::task::yield_now().await;
    assert_eq!(spawn(&call, 3).await.unwrap().unwrap_err().kind(), Kind::ResourceExhausted);
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    let waiting = spawn(&call, 4);
    tokio::task::yield_now().await;
    running.abort();
    held.arrived.until(2).await;
    held.go.add_permits(9);
    tokio::time::timeout(HANGS, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(held.arrived.all(), ["1", "4"]);
}

#[tokio::test]
async fn so_many_connections_are_kept_at_rest() {
    let held = Held::start().await;
    let call = endpoint(&HttpClient::new(held.up.url()).unwrap().pool(2, Duration::from_secs(60)).unwrap());
    let calls: Vec<_> = (0..6).map(|index| spawn(&call, index)).collect();
    held.arrived.until(6).await;
    held.go.add_permits(6);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    held.up.until_open(2).await;
    let given = HttpClient::with_client(held.up.url(), reqwest::Client::new()).unwrap();
    assert!(given.pool(1, Duration::ZERO).unwrap_err().to_string().contains("its own pool"));
}

#[tokio::test]
async fn connections_at_rest_end_after_their_time() {
    let up = up(|_| async { json() }).await;
    let call = endpoint(&HttpClient::new(up.url()).unwrap().pool(10, Duration::from_millis(300)).unwrap());
    spawn(&call, 1).await.unwrap().unwrap();
    up.until_open(1).await;
    up.until_open(0).await;
}

fn plain() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().build()
}

fn http2() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().http2_prior_knowledge().build()
}

/// Calls without a pause until there was the third connection, and returns how long that took.
async fn under_load(make: fn() -> reqwest::Result<reqwest::Client>) -> Duration {
    let up = up(|_| async { json() }).await;
    let started = Instant::now();
    let call = endpoint(&HttpClient::aged(up.url(), make, Duration::from_millis(300)).unwrap());
    while up.connections() < 3 {
        spawn(&call, 1).await.unwrap().unwrap();
        assert!(started.elapsed() < HANGS, "{} connections", up.connections());
    }
    let taken = started.elapsed();
    // All the old ones have ended, without a call or a timer.
    up.until_open(1).await;
    taken
}

#[tokio::test]
async fn no_connection_gets_older_than_it_may_over_both_versions() {
    for make in [plain, http2] {
        let taken = under_load(make).await;
        // A connection lives for 270 to 300 ms, or longer only where nobody calls.
        assert!(taken >= Duration::from_millis(2 * 270), "{taken:?}");
    }
}

#[tokio::test]
async fn calls_on_their_way_are_not_harmed_when_their_connection_is_old() {
    for make in [plain, http2] {
        let held = Held::start().await;
        let call = endpoint(&HttpClient::aged(held.up.url(), make, Duration::from_millis(100)).unwrap());
        let first = spawn(&call, 1);
        held.arrived.until(1).await;
        tokio::time::sleep(Duration::from_millis(120)).await;
        let second = spawn(&call, 2);
        held.arrived.until(2).await;
        held.up.until_open(2).await;
        held.go.add_permits(2);
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        held.up.until_open(1).await;
    }
}

#[tokio::test]
async fn a_maker_that_fails_or_panics_leaves_the_present_client_and_is_tried_again() {
    let up = up(|_| async { json() }).await;
    let (made, works) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
    let (count, may) = (Arc::clone(&made), Arc::clone(&works));
    let make = move || match (count.fetch_add(1, Ordering::SeqCst), may.load(Ordering::SeqCst)) {
        (_, true) => plain(),
        (1, false) => panic!("no certificates"),
        (_, false) => reqwest::Client::builder().user_agent("\n").build(),
    };
    let call = endpoint(&HttpClient::aged(up.url(), make, Duration::from_millis(200)).unwrap());
    works.store(false, Ordering::SeqCst);
    let started = Instant::now();
    let mut calls = 0;
    while made.load(Ordering::SeqCst) < 4 {
        spawn(&call, 1).await.unwrap().unwrap();
        calls += 1;
        assert!(started.elapsed() < HANGS);
    }
    assert!(calls > 10, "not with each call");
    assert_eq!(up.connections(), 1, "the present client stays");
    works.store(true, Ordering::SeqCst);
    while up.connections() < 2 {
        spawn(&call, 1).await.unwrap().unwrap();
        assert!(started.elapsed() < HANGS);
    }
    let broken = HttpClient::aged(up.url(), || reqwest::Client::builder().user_agent("\n").build(), HANGS);
    assert!(broken.is_err());
    assert!(HttpClient::aged(up.url(), plain, Duration::ZERO).is_err());
}

/// Puts tokio's clock forward. It goes on, so that sockets are waited for as ever.
async fn advance(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn one_call_of_many_makes_the_next_client() {
    let up = up(|_| async { json() }).await;
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let make = move || {
        count.fetch_add(1, Ordering::SeqCst);
        plain()
    };
    let call = endpoint(&HttpClient::aged(up.url(), make, Duration::from_secs(60)).unwrap());
    advance(Duration::from_secs(60)).await;
    let calls: Vec<_> = (0..50).map(|index| spawn(&call, index)).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(made.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_ages_of_many_clients_are_spread() {
    let up = up(|_| async { json() }).await;
    let age = Duration::from_secs(100);
    let renewed: Vec<_> = (0..20).map(|_| Arc::new(AtomicUsize::new(0))).collect();
    let clients: Vec<_> = renewed
        .iter()
        .map(|count| {
            let count = Arc::clone(count);
            let make = move || {
                count.fetch_add(1, Ordering::SeqCst);
                plain()
            };
            endpoint(&HttpClient::aged(up.url(), make, age).unwrap())
        })
        .collect();
    advance(Duration::from_secs(88)).await;
    // How many have a new client by each second of their age.
    let mut by_age = Vec::new();
    for _ in 88..=100 {
        for (call, count) in clients.iter().zip(&renewed).filter(|(_, count)| count.load(Ordering::SeqCst) < 2) {
            spawn(call, 1).await.unwrap().unwrap();
            assert!(count.load(Ordering::SeqCst) <= 2);
        }
        by_age.push(renewed.iter().filter(|count| count.load(Ordering::SeqCst) == 2).count());
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!((by_age[0], by_age[12]), (0, 20), "{by_age:?}");
    let steps = by_age.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!(steps > 2, "{by_age:?}");
}
