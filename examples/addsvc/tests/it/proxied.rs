//! addsvc behind kit's own proxy: a gateway of three lines on kit-serve, called by curl over both versions of HTTP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use kit_serve::Server;
use kit_testing::http::curl;
use kit_testing::tools::skip_unless;
use kit_transport_http::ReverseProxy;
use tokio::sync::oneshot;

use crate::start;

const JSON: &str = "content-type: application/json";
const VERSIONS: [&str; 2] = ["--http1.1", "--http2-prior-knowledge"];

/// What the proxy sent on for its client, and got.
type Seen = Arc<Mutex<Vec<(String, Option<u16>)>>>;

/// A proxy before the service at this address. It ends when the sender is dropped.
async fn proxy(service: SocketAddr) -> (SocketAddr, Seen, oneshot::Sender<()>) {
    let seen = Seen::default();
    let notes = Arc::clone(&seen);
    let proxy = ReverseProxy::new(format!("http://{service}")).unwrap().before(|_, parts| {
        parts.headers.insert("x-tenant", http::HeaderValue::from_static("blue"));
    });
    let proxy = proxy.finalizer(move |finished| {
        let status = finished.status.map(|status| status.as_u16());
        notes.lock().unwrap().push((finished.info.uri.path().to_owned(), status));
    });
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.serve(proxy.build(), async { stopped.await.unwrap_or(()) }));
    (addr, seen, stop)
}

#[tokio::test]
async fn our_proxy_in_front_passes_answers_errors_and_ids_on() {
    if !skip_unless("curl") {
        return;
    }
    let addsvc = start().await;
    let (addr, seen, _stop) = proxy(addsvc.http).await;
    let url = |path: &str| format!("http://{addr}{path}");
    for version in VERSIONS {
        let id = "x-request-id: the-callers-own";
        let answer = curl([version, "-H", JSON, "-H", id, "-d", r#"{"a":1,"b":2}"#, &url("/sum")]).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &br#"{"v":3}"#[..]));
        let ids: Vec<_> = answer.headers().get_all("x-request-id").iter().collect();
        assert_eq!(ids, ["the-callers-own"], "{version}");
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert!(!answer.headers().contains_key("connection"), "that of the other connection");

        let failed = curl([version, "-H", JSON, "-d", "{}", &url("/sum")]).await.unwrap();
        assert_eq!((failed.status().as_u16(), &failed.body()[..]), (400, &br#"{"error":"can't sum two zeroes"}"#[..]));
        // Made by addsvc, since nobody had one: 36 characters, as UUIDs have.
        assert_eq!(failed.headers()["x-request-id"].len(), 36, "{version}");

        let wrong = curl([version, &url("/sum?x=%20y")]).await.unwrap();
        assert_eq!((wrong.status().as_u16(), &wrong.headers()["allow"]), (405, &"POST".parse().unwrap()));
        assert_eq!(curl([version, &url("/nope")]).await.unwrap().status(), 404);
        let head = curl([version, "--head", &url("/openapi.json")]).await.unwrap();
        assert_eq!(head.status(), 200);
        assert_ne!(head.headers()["content-length"], "0", "that of the GET");
    }
    let statuses: Vec<_> = seen.lock().unwrap().iter().map(|(path, status)| format!("{path} {status:?}")).collect();
    let expected = ["/sum Some(200)", "/sum Some(400)", "/sum Some(405)", "/nope Some(404)", "/openapi.json Some(200)"];
    assert_eq!(statuses, [expected, expected].concat());
}

#[tokio::test]
async fn when_addsvc_is_gone_the_proxy_answers_502() {
    if !skip_unless("curl") {
        return;
    }
    let addsvc = start().await;
    let (addr, _, _stop) = proxy(addsvc.http).await;
    let sum = format!("http://{addr}/sum");
    let ask = async || curl(["-H", JSON, "-d", r#"{"a":1,"b":2}"#, &sum]).await.unwrap();
    assert_eq!(ask().await.status(), 200);
    let mut child = addsvc.child;
    tokio::task::spawn_blocking(move || child.stop().unwrap()).await.unwrap();
    let answer = ask().await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (502, &"application/problem+json".parse().unwrap())
    );
}
