//! Clients and servers of HTTP that know nothing of kit: a `reqwest::Client` balanced over axum's own servers.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, Uri};
use http_body_util::BodyExt as _;
use kit_base::{Endpoint, FromHttpService, Instance};
use kit_lb::{At, ByCause, Endpointer, Registry, RoundRobin, Settings};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

type Client = At<FromHttpService<reqwest::Client, reqwest::Request, reqwest::Body>>;

/// One client with its pool for all instances.
fn set(registry: Registry) -> Endpointer<Client, ByCause> {
    let client = reqwest::Client::new();
    Endpointer::with(Settings::new(), ByCause, registry, move |instance: &Instance| {
        At::new(instance, FromHttpService::new(client.clone()))
    })
}

/// Answers with its name, and what it was asked for.
async fn serve(name: &'static str) -> (Instance, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let instance = Instance::new(name, listener.local_addr().expect("its address").to_string());
    let app = Router::new().fallback(move |uri: Uri, headers: HeaderMap| async move {
        format!("{name} {uri} {}", headers["host"].to_str().unwrap_or_default())
    });
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.expect("a server") });
    (instance, serving)
}

async fn get(
    balanced: &impl Endpoint<
        http::Request<String>,
        Response = http::Response<impl http_body::Body<Error: Send> + Send>,
        Error: Send,
    >,
    uri: &str,
) -> Option<String> {
    let answer = balanced.call(http::Request::get(uri).body(String::new()).expect("a request")).await.ok()?;
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    String::from_utf8(body.to_vec()).ok()
}

#[tokio::test]
async fn reqwest_is_balanced_over_axum_by_paths_alone_and_whatever_host_the_request_has() {
    let registry = Registry::new();
    let mut addresses = BTreeMap::new();
    for name in ["a", "b", "c"] {
        let (instance, _serving) = serve(name).await;
        addresses.insert(name, instance.address.clone());
        registry.insert(instance);
    }
    let balanced = set(registry).balanced_by(RoundRobin::new());
    for (uri, seen) in [("/users/7?all=1", "/users/7?all=1"), ("https://example/x", "/x"), ("http://example", "/")] {
        for (name, address) in &addresses {
            assert_eq!(get(&balanced, uri).await.unwrap(), format!("{name} {seen} {address}"));
        }
    }
}

#[tokio::test]
async fn an_instance_that_refuses_connections_rests() {
    let registry = Registry::new();
    for name in ["a", "b"] {
        let (instance, serving) = serve(name).await;
        registry.insert(instance);
        if name == "a" {
            serving.abort();
            let _ = serving.await;
        }
    }
    let set = set(registry);
    let balanced = set.balanced_by(RoundRobin::new());
    // Each rest is longer than the last one, so that even a busy machine sees one of them.
    let rests = async {
        while !set.snapshot().members[0].resting {
            let _ = get(&balanced, "/").await;
        }
    };
    timeout(Duration::from_secs(20), rests).await.expect("it rests");
    let before = set.snapshot().members[0].calls;
    for _ in 0..4 {
        let answer = get(&balanced, "/").await;
        if set.snapshot().members[0].resting {
            assert!(answer.expect("an answer").starts_with("b "));
            assert_eq!(set.snapshot().members[0].calls, before);
        }
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_no_connection() {
    let registry = Registry::new();
    registry.insert(Instance::new("a", "no address"));
    let set = set(registry);
    assert!(!set.snapshot().members[0].connected);
    assert!(At::new(&Instance::new("a", "[::1]:80"), ()).is_ok());
}
