//! A limit of five a second lets five a second through, however many connections, clones and layers there are. Under axum,
//! 1,500 of 1,500 requests passed the one of tower (tokio-rs/axum#3682).

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

use axum::Router;
use axum::routing::get;
use kit_ratelimit::{Guard, Quota, RateLimit, Tower, nonzero};
use kit_testing::http::Peer;
use tokio::task::JoinSet;
use tonic::Code;
use tonic_health::pb::health_client::HealthClient;

use super::health::{behind, word};
use super::{Limit, five, routes, serve};
use crate::support::ms;

const CONNECTIONS: usize = 100;
const ROUNDS: usize = 15;

/// What was seen of all requests: those that passed, those that were refused. Nothing else may be.
#[derive(Debug, Default)]
struct Seen {
    passed: AtomicUsize,
    refused: AtomicUsize,
}

impl Seen {
    fn so_far(&self) -> (usize, usize) {
        (self.passed.load(SeqCst), self.refused.load(SeqCst))
    }

    fn http(&self, status: u16) {
        match status {
            200 => &self.passed,
            429 => &self.refused,
            status => panic!("{status}"),
        }
        .fetch_add(1, SeqCst);
    }

    fn grpc<T>(&self, outcome: Result<T, tonic::Status>) {
        match outcome.map_err(|status| status.code()) {
            Ok(_) => &self.passed,
            Err(Code::ResourceExhausted) => &self.refused,
            Err(code) => panic!("{code:?}"),
        }
        .fetch_add(1, SeqCst);
    }
}

/// Keep-alive connections that are all open at the same time.
async fn connect(addr: std::net::SocketAddr) -> Vec<Peer> {
    let mut peers = Vec::new();
    for _ in 0..CONNECTIONS {
        peers.push(Peer::connect(addr).await.unwrap());
    }
    peers
}

/// A request on each connection, all at once.
async fn round(peers: Vec<Peer>, seen: &'static Seen) -> Vec<Peer> {
    let mut requests = JoinSet::new();
    for mut peer in peers {
        requests.spawn(async move {
            peer.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            seen.http(peer.response().await.unwrap().status().as_u16());
            peer
        });
    }
    requests.join_all().await
}

fn seen() -> &'static Seen {
    Box::leak(Box::default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_1500_requests_over_100_connections_to_an_axum_router_5_pass_and_1_for_each_fifth_of_a_second() {
    let limit = Limit::of(five());
    let (router, calls) = routes();
    let addr = serve(router.layer(Tower::new(limit.guard.clone()).answered())).await;
    let (mut peers, seen) = (connect(addr).await, seen());
    for n in 0..ROUNDS {
        peers = round(peers, seen).await;
        assert_eq!(seen.so_far(), (5 + n, (n + 1) * CONNECTIONS - 5 - n));
        limit.clock.advance(ms(200));
    }
    assert_eq!(calls.load(SeqCst), 5 + ROUNDS - 1);
}

/// As users write it, in real time; and the time is frozen by nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_1500_requests_to_an_axum_router_no_more_pass_than_time_allows() {
    let (router, calls) = routes();
    let limit = RateLimit::new(Quota::per_second(nonzero!(5)));
    let addr = serve(router.layer(Tower::new(Guard::new(limit)).answered())).await;
    let (peers, seen) = (connect(addr).await, seen());
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for mut peer in peers {
        clients.spawn(async move {
            for _ in 0..ROUNDS {
                peer.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
                seen.http(peer.response().await.unwrap().status().as_u16());
            }
        });
    }
    clients.join_all().await;
    let most = 5 + (began.elapsed().as_secs_f64() * 5.0) as usize;
    let (passed, refused) = seen.so_far();
    assert!((5..=most).contains(&passed), "{passed} of at most {most}");
    assert_eq!((passed + refused, calls.load(SeqCst)), (1500, passed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_1500_calls_over_100_connections_to_a_tonic_server_5_pass_and_1_for_each_fifth_of_a_second() {
    let limit = Limit::of(five());
    let backend = behind!(Tower::new(limit.guard.clone()).answered());
    let seen = seen();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(HealthClient::new(backend.endpoint().connect().await.unwrap()));
    }
    for n in 0..ROUNDS {
        let mut calls = JoinSet::new();
        for mut client in clients.iter().cloned() {
            calls.spawn(async move { seen.grpc(client.check(word("ok")).await) });
        }
        calls.join_all().await;
        assert_eq!(seen.so_far(), (5 + n, (n + 1) * CONNECTIONS - 5 - n));
        limit.clock.advance(ms(200));
    }
    assert_eq!(backend.reached(), 5 + ROUNDS - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_1500_calls_to_a_tonic_server_no_more_pass_than_time_allows() {
    let limit = RateLimit::new(Quota::per_second(nonzero!(5)));
    let backend = behind!(Tower::new(Guard::new(limit)).answered());
    let mut clients = JoinSet::new();
    let seen = seen();
    let began = Instant::now();
    for _ in 0..CONNECTIONS {
        let mut client = HealthClient::new(backend.endpoint().connect().await.unwrap());
        clients.spawn(async move {
            for _ in 0..ROUNDS {
                seen.grpc(client.check(word("ok")).await);
            }
        });
    }
    clients.join_all().await;
    let most = 5 + (began.elapsed().as_secs_f64() * 5.0) as usize;
    let (passed, refused) = seen.so_far();
    assert!((5..=most).contains(&passed), "{passed} of at most {most}");
    assert_eq!((passed + refused, backend.reached()), (1500, passed));
}

/// How many of 20 requests to these addresses in turn pass.
async fn pass_at(addrs: &[String]) -> usize {
    let (client, seen) = (reqwest::Client::new(), Seen::default());
    for url in addrs.iter().cycle().take(20) {
        seen.http(client.get(url).send().await.unwrap().status().as_u16());
    }
    seen.so_far().0
}

#[tokio::test]
async fn routers_that_are_cloned_merged_and_nested_share_one_limit() {
    let limit = Limit::of(five());
    let layer = || Tower::new(limit.guard.clone()).answered();
    let one = Tower::new(limit.guard.clone()).answered();
    let route = |path: &str| Router::new().route(path, get(async || "good"));

    // Layered once, and the router cloned and served twice.
    let router = route("/a").layer(layer());
    let (first, second) = (serve(router.clone()).await, serve(router).await);
    assert_eq!(pass_at(&[format!("http://{first}/a"), format!("http://{second}/a")]).await, 5);

    // Merged: each half with the layer, be it a clone of one or made of the guard again.
    limit.clock.advance(ms(1000));
    let addr =
        serve(route("/a").layer(one.clone()).merge(route("/b").layer(one)).merge(route("/c").layer(layer()))).await;
    let urls = ["a", "b", "c"].map(|path| format!("http://{addr}/{path}"));
    assert_eq!(pass_at(&urls).await, 5);

    // Nested, on one route alone by `route_layer`, and on a handler by its own `layer`.
    limit.clock.advance(ms(1000));
    let handler = Router::new().route("/c", get(async || "good").layer(layer()));
    let nested =
        Router::new().nest("/in", route("/a").layer(layer())).merge(route("/b").route_layer(layer())).merge(handler);
    let addr = serve(nested).await;
    let urls = ["in/a", "b", "c"].map(|path| format!("http://{addr}/{path}"));
    assert_eq!(pass_at(&urls).await, 5);
}

/// A request pays at each layer that it comes through, so nobody should do that; but a limit of five never becomes more.
#[tokio::test]
async fn twice_around_the_same_routes_a_limit_is_no_less_strict() {
    let limit = Limit::of(five());
    let layer = Tower::new(limit.guard.clone()).answered();
    let (router, calls) = routes();
    let addr = serve(router.layer(layer.clone()).layer(layer)).await;
    assert_eq!(pass_at(&[format!("http://{addr}/")]).await, 2);
    assert_eq!(calls.load(SeqCst), 2);
}

#[tokio::test]
async fn a_router_and_a_tonic_server_may_share_one_limit() {
    let limit = Limit::of(five());
    let (router, _) = routes();
    let addr = serve(router.layer(Tower::new(limit.guard.clone()).answered())).await;
    let backend = behind!(Tower::new(limit.guard.clone()).answered());
    let mut client = HealthClient::new(backend.channel());
    assert!(client.check(word("ok")).await.is_ok());
    assert_eq!(pass_at(&[format!("http://{addr}/")]).await, 4);
    assert_eq!(client.check(word("ok")).await.unwrap_err().code(), Code::ResourceExhausted);
}
