//! By what users tell clients apart at each place: the closures that they write.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use kit_base::{Endpoint, FromHttpService, NameOperation, Operation, Peer, Tower};
use kit_ratelimit::{Keyed, Layer, Network};
use kit_testing::backend::{Backend, Reply};
use tonic::transport::server::TcpConnectInfo;
use tonic::{Code, metadata::AsciiMetadataValue};
use tonic_health::pb::health_client::HealthClient;

use super::health::{Backend as Health, behind, word};
use super::{Limit, routes};
use crate::support::{Echo, quota};

/// How many of four calls pass, where two are allowed.
async fn pass_of_four(ask: impl AsyncFn() -> bool) -> usize {
    let mut passed = 0;
    for _ in 0..4 {
        passed += usize::from(ask().await);
    }
    passed
}

fn client_at(ip: &str) -> reqwest::Client {
    reqwest::Client::builder().local_address(ip.parse::<IpAddr>().unwrap()).build().unwrap()
}

async fn passes(client: &reqwest::Client, addr: SocketAddr, key: Option<&str>) -> bool {
    let request = client.get(format!("http://{addr}/"));
    let request = key.into_iter().fold(request, |request, key| request.header("x-api-key", key));
    let status = request.send().await.unwrap().status().as_u16();
    assert!(status == 200 || status == 429, "{status}");
    status == 200
}

/// Serves a router that is told who has connected.
async fn serve_connected(router: axum::Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, router).await });
    addr
}

#[tokio::test]
async fn a_header_on_a_router() {
    // A header's value is shared, not copied.
    let limit =
        Limit::of(Keyed::by(quota(1, 2), |request: &Request<Body>| request.headers().get("x-api-key").cloned()));
    let addr = super::serve(routes().0.layer(Tower::new(limit.guard.clone()).answered())).await;
    let client = reqwest::Client::new();
    for key in [Some("alice"), Some("bob"), None] {
        assert_eq!(pass_of_four(async || passes(&client, addr, key).await).await, 2, "{key:?}");
    }
    assert_eq!(limit.guard.gate().in_use_at(kit_base::Clock::now(&limit.clock)), 3);
}

#[tokio::test]
async fn who_has_connected_to_a_router_by_axums_connect_info() {
    let limit = Limit::of(Keyed::by(quota(1, 2), |request: &Request<Body>| {
        request.extensions().get().map(|ConnectInfo::<SocketAddr>(addr)| Network::of(addr.ip()))
    }));
    let addr = serve_connected(routes().0.layer(Tower::new(limit.guard.clone()).answered())).await;
    for ip in ["127.0.0.1", "127.0.0.2"] {
        // A new connection, and so another port, for each call: it is the address that counts.
        assert_eq!(pass_of_four(async || passes(&client_at(ip), addr, None).await).await, 2, "{ip}");
    }
}

/// Whoever serves puts a [`Peer`] into the requests; on axum that is one line of its user.
#[tokio::test]
async fn who_has_connected_to_a_router_by_kits_peer() {
    let limit = Limit::of(Keyed::per_peer(quota(1, 2)));
    let name_peer =
        axum::middleware::map_request(async |connected: ConnectInfo<SocketAddr>, mut request: Request<Body>| {
            request.extensions_mut().insert(Peer::from(connected.0));
            request
        });
    let router = routes().0.layer(Tower::new(limit.guard.clone()).answered()).layer(name_peer);
    let addr = serve_connected(router).await;
    for ip in ["127.0.0.1", "127.0.0.2"] {
        assert_eq!(pass_of_four(async || passes(&client_at(ip), addr, None).await).await, 2, "{ip}");
    }
}

#[tokio::test]
async fn who_has_connected_to_a_tonic_server_by_its_own_extension() {
    let limit = Limit::of(Keyed::by(quota(1, 2), |request: &Request<tonic::body::Body>| {
        Some(Network::of(request.extensions().get::<TcpConnectInfo>()?.remote_addr()?.ip()))
    }));
    let backend = behind!(Tower::new(limit.guard.clone()).answered());
    for ip in ["127.0.0.1", "127.0.0.2"] {
        let ask = async || {
            let endpoint = backend.endpoint().local_address(Some(ip.parse().unwrap()));
            let mut client = HealthClient::new(endpoint.connect().await.unwrap());
            client.check(word("ok")).await.map_err(|status| assert_eq!(status.code(), Code::ResourceExhausted)).is_ok()
        };
        assert_eq!(pass_of_four(ask).await, 2, "{ip}");
    }
}

async fn asks<S: super::health::Over>(client: &HealthClient<S>, key: &'static str) -> bool {
    let mut request = tonic::Request::new(word("ok"));
    request.metadata_mut().insert("x-api-key", AsciiMetadataValue::from_static(key));
    let outcome = client.clone().check(request).await;
    outcome.map_err(|status| assert_eq!(status.code(), Code::ResourceExhausted)).is_ok()
}

#[tokio::test]
async fn metadata_at_a_tonic_server_and_over_a_channel() {
    let key = |request: &Request<tonic::body::Body>| request.headers().get("x-api-key").cloned();
    let limit = Limit::of(Keyed::by(quota(1, 2), key));
    let backend = behind!(Tower::new(limit.guard.clone()).answered());
    let client = HealthClient::new(backend.channel());
    for key in ["alice", "bob"] {
        assert_eq!(pass_of_four(async || asks(&client, key).await).await, 2, "{key}");
    }

    let (limit, backend) = (Limit::of(Keyed::by(quota(1, 2), key)), Health::start());
    let client = HealthClient::new(Tower::new(limit.guard.clone()).answered().layer(backend.channel()));
    for key in ["alice", "bob"] {
        assert_eq!(pass_of_four(async || asks(&client, key).await).await, 2, "{key}");
    }
    assert_eq!(backend.reached(), 4);
}

#[tokio::test]
async fn the_host_that_a_reqwest_client_calls() {
    let limit = Limit::of(Keyed::by(quota(1, 2), |request: &Request<String>| request.uri().authority().cloned()));
    let client = limit.guard.layer(FromHttpService::new(reqwest::Client::new()));
    for _ in 0..2 {
        let backend = Backend::start(Reply::ok()).await.unwrap();
        let ask = async || client.call(Request::get(backend.url()).body(String::new()).unwrap()).await.is_ok();
        assert_eq!(pass_of_four(ask).await, 2);
        assert_eq!(backend.requests().len(), 2);
    }
}

#[tokio::test]
async fn an_operation_that_is_named_and_a_peer_on_an_endpoint() {
    let by_path = NameOperation(|request: &Request<Body>| match request.uri().path() {
        "/a" => Operation::new("letters", "a"),
        "/b" => Operation::new("letters", "b"),
        _ => Operation::UNMATCHED,
    });
    let limit = Limit::of((by_path, Keyed::per_operation(quota(1, 2))));
    let addr = super::serve(routes().0.layer(Tower::new(limit.guard.clone()).answered())).await;
    for paths in [["a", "a"], ["b", "b"], ["c", "d"]] {
        let client = reqwest::Client::new();
        let mut passed = 0;
        for path in paths.iter().cycle().take(6) {
            passed += usize::from(client.get(format!("http://{addr}/{path}")).send().await.unwrap().status() == 200);
        }
        assert_eq!(passed, 2, "{paths:?}");
    }

    let limit = Limit::of(Keyed::per_peer(quota(1, 2)));
    let endpoint = limit.guard.layer(Echo::default());
    for addr in ["10.0.0.1:1", "10.0.0.2:1", "[2001:db8::1]:1"] {
        let ask = async || {
            let mut request = kit_base::Request::new(1);
            request.context_mut().extensions_mut().insert(Peer::from(addr.parse::<SocketAddr>().unwrap()));
            endpoint.call(request).await.is_ok()
        };
        assert_eq!(pass_of_four(ask).await, 2, "{addr}");
    }
}
