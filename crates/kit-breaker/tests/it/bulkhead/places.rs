//! The bulkhead over real servers and clients.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use kit_base::{Endpoint, FromHttpService, ServiceError, Tower};
use kit_breaker::Bulkhead;
use kit_testing::{http::curl, tools::skip_unless};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Channel, Server};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower_layer::Layer;

/// Whatever takes longer hangs.
const HANGS: Duration = Duration::from_secs(20);

async fn until(holds: impl Fn() -> bool) {
    let holds = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(HANGS, holds).await.expect("it comes to hold");
}

/// A router: `/held` answers once for each permit of the semaphore, `/stream` sends one part and then waits until its
/// reader leaves or a permit comes, `/now` answers at once.
async fn serve(layer: impl FnOnce(Router) -> Router) -> (String, Arc<Semaphore>) {
    let open = Arc::new(Semaphore::new(0));
    let (held, stream) = (Arc::clone(&open), Arc::clone(&open));
    let held = move || {
        let held = Arc::clone(&held);
        async move {
            held.acquire().await.expect("it is open").forget();
            "held"
        }
    };
    let stream = move || {
        let open = Arc::clone(&stream);
        async move {
            let (sender, parts) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
            tokio::spawn(async move {
                let _ = sender.send(Ok(Bytes::from_static(b"part"))).await;
                tokio::select! {
                    () = sender.closed() => {}
                    permit = open.acquire() => permit.expect("it is open").forget(),
                }
            });
            Body::from_stream(ReceiverStream::new(parts))
        }
    };
    let router =
        Router::new().route("/held", get(held)).route("/stream", get(stream)).route("/now", get(|| async { "now" }));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("a free port"));
    let router = layer(router);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, open)
}

fn ask(url: &str, path: &str) -> tokio::task::JoinHandle<(u16, String)> {
    let url = format!("{url}{path}");
    tokio::spawn(async move {
        let answer = timeout(HANGS, reqwest::get(url)).await.expect("no hang").expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("its text"))
    })
}

#[tokio::test]
async fn an_axum_router_answers_429_to_reqwest_and_curl_when_it_is_full() {
    let bulkhead = Bulkhead::new(2).unwrap();
    let (url, open) = serve(|router| router.layer(Tower::new(bulkhead.clone()).answered())).await;
    let held = [ask(&url, "/held"), ask(&url, "/held")];
    until(|| bulkhead.in_flight() == 2).await;

    let refused = reqwest::get(format!("{url}/now")).await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    let problem = refused.text().await.unwrap();
    assert!(problem.contains(r#""kind":"RESOURCE_EXHAUSTED","reason":"BULKHEAD_FULL""#), "{problem}");
    if skip_unless("curl") {
        let refused = curl([format!("{url}/now")]).await.unwrap();
        assert_eq!(refused.status(), 429);
    }
    open.add_permits(2);
    for held in held {
        assert_eq!(held.await.unwrap(), (200, "held".to_owned()));
    }
    until(|| bulkhead.in_flight() == 0).await;
    assert_eq!(ask(&url, "/now").await.unwrap(), (200, "now".to_owned()));
}

#[tokio::test]
async fn over_an_axum_router_who_waits_gets_in_and_who_is_too_late_gets_504() {
    let bulkhead = Bulkhead::new(1).unwrap().queue(1);
    let (url, open) = serve(|router| router.layer(Tower::new(bulkhead.clone()).answered())).await;
    let held = ask(&url, "/held");
    until(|| bulkhead.in_flight() == 1).await;

    let late = reqwest::Client::new().get(format!("{url}/now")).header("grpc-timeout", "100m").send();
    assert_eq!(timeout(HANGS, late).await.unwrap().unwrap().status(), 504);
    assert_eq!(bulkhead.waiting(), 0);
    // A client that hangs up is out of the queue.
    let gone = ask(&url, "/now");
    until(|| bulkhead.waiting() == 1).await;
    gone.abort();
    until(|| bulkhead.waiting() == 0).await;

    let waits = ask(&url, "/now");
    until(|| bulkhead.waiting() == 1).await;
    open.add_permits(1);
    assert_eq!(held.await.unwrap(), (200, "held".to_owned()));
    assert_eq!(waits.await.unwrap(), (200, "now".to_owned()));
    until(|| bulkhead.in_flight() == 0).await;
}

#[tokio::test]
async fn a_body_holds_its_place_until_its_end_or_until_its_reader_hangs_up() {
    let bulkhead = Bulkhead::new(1).unwrap();
    let (url, open) = serve(|router| router.layer(Tower::new(bulkhead.clone()).answered())).await;
    for hangs_up in [true, false] {
        let mut answer = reqwest::get(format!("{url}/stream")).await.unwrap();
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "part");
        assert_eq!(bulkhead.in_flight(), 1);
        assert_eq!(ask(&url, "/now").await.unwrap().0, 429);
        if hangs_up {
            drop(answer);
        } else {
            open.add_permits(1);
            assert_eq!(timeout(HANGS, answer.chunk()).await.unwrap().unwrap(), None);
        }
        until(|| bulkhead.in_flight() == 0).await;
    }
}

#[tokio::test]
async fn over_a_reqwest_client_a_body_holds_its_place_too() {
    let bulkhead = Bulkhead::new(1).unwrap();
    let (url, open) = serve(|router| router).await;
    let client = bulkhead.layer(FromHttpService::new(reqwest::Client::new()));
    let call = |path: &str| client.call(http::Request::get(format!("{url}{path}")).body("").unwrap());
    let answer = call("/stream").await.unwrap();
    match call("/now").await {
        Err(ServiceError::Refused(refusal)) => assert!(super::is_full(&refusal), "{refusal:?}"),
        other => panic!("{other:?}"),
    }
    open.add_permits(1);
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
    assert_eq!(body, "part");
    assert_eq!(bulkhead.in_flight(), 0);
    assert_eq!(call("/now").await.unwrap().status(), 200);
}

fn all() -> HealthCheckRequest {
    HealthCheckRequest { service: String::new() }
}

fn is_full(status: &Status) {
    use tonic_types::StatusExt;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_error_details().error_info().expect("a reason").reason, "BULKHEAD_FULL");
}

/// tonic's own server of the health service, whose watches stream on for ever.
async fn health_server(bulkhead: Option<&Bulkhead>) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("a free port"));
    let (_, service) = tonic_health::server::health_reporter();
    let incoming = TcpListenerStream::new(listener);
    match bulkhead {
        Some(bulkhead) => {
            let layer = Tower::new(bulkhead.clone()).answered();
            tokio::spawn(Server::builder().layer(layer).add_service(service).serve_with_incoming(incoming));
        }
        None => drop(tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming))),
    }
    Channel::from_shared(address).expect("an address").connect_lazy()
}

#[tokio::test]
async fn a_tonic_server_is_held_by_streams_and_tells_a_stock_client_resource_exhausted() {
    let bulkhead = Bulkhead::new(2).unwrap().queue(1);
    let client = HealthClient::new(health_server(Some(&bulkhead)).await);
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = client.clone().watch(all()).await.unwrap().into_inner();
        stream.next().await.unwrap().unwrap();
        streams.push(stream);
    }
    assert_eq!(bulkhead.in_flight(), 2);
    let mut waiting = client.clone();
    let waits = tokio::spawn(async move { waiting.check(all()).await });
    until(|| bulkhead.waiting() == 1).await;
    is_full(&client.clone().check(all()).await.unwrap_err());
    is_full(&client.clone().watch(all()).await.unwrap_err());
    // A stream that its client drops makes way.
    streams.pop();
    timeout(HANGS, waits).await.unwrap().unwrap().unwrap();
    until(|| bulkhead.in_flight() == 1).await;
    client.clone().check(all()).await.unwrap();
}

#[tokio::test]
async fn a_tonic_channel_is_held_by_streams_and_its_client_learns_resource_exhausted() {
    let bulkhead = Bulkhead::new(1).unwrap();
    let client = HealthClient::new(Tower::new(bulkhead.clone()).answered().layer(health_server(None).await));
    let mut stream = client.clone().watch(all()).await.unwrap().into_inner();
    stream.next().await.unwrap().unwrap();
    is_full(&client.clone().check(all()).await.unwrap_err());
    assert_eq!(bulkhead.in_flight(), 1);
    drop(stream);
    assert_eq!(bulkhead.in_flight(), 0);
    client.clone().check(all()).await.unwrap();
}
