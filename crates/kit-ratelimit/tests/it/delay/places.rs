//! The five places where users put it, with real servers and clients: calls are delayed and pass, deadlines make them give up at
//! once, and what would wait too long is refused.

use std::future::Future;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use kit_base::{Endpoint, FromHttpService, Kind, ServiceError, Tower};
use kit_ratelimit::{Delay, Layer, Quota, nonzero};
use kit_testing::{http::curl, tools::skip_unless};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use super::is_refused;
use crate::places::health::Over;
use crate::support::{Told, ms, quota};

/// Whatever takes longer hangs.
const HANGS: Duration = Duration::from_secs(20);

/// Ten a second, one after the other.
fn delay() -> (Delay<kit_ratelimit::One, Told>, Told) {
    let told = Told::default();
    (Delay::new(quota(10, 1)).observed_by(told.clone()), told)
}

/// Nobody gets a second token in the time of a test, or waits for it.
fn slow() -> Delay {
    Delay::new(Quota::per_minute(nonzero!(1))).at_most(Duration::from_secs(30))
}

/// Three at once: they pass, one for each tenth of a second, though not in the order in which they were sent.
async fn three_are_delayed_and_pass<T>(call: impl Fn() -> T, told: &Told)
where
    T: Future<Output = ()>,
{
    let began = Instant::now();
    timeout(HANGS, async { tokio::join!(call(), call(), call()) }).await.expect("no hang");
    assert!(began.elapsed() >= ms(200), "{:?}", began.elapsed());
    let told = told.take();
    assert!(told.iter().all(|(_, what, amount)| *what == "delayed" && *amount > 0.0 && *amount <= 0.2), "{told:?}");
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

async fn serve(layer: impl FnOnce(Router) -> Router) -> String {
    let (listener, url) = listener().await;
    let router = layer(Router::new().route("/", get(|| async { "ok" })));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn an_axum_router() {
    let (delay, told) = delay();
    let url = serve(|router| router.layer(Tower::new(delay).answered())).await;
    let call = || async { assert_eq!(reqwest::get(&url).await.unwrap().status(), 200) };
    three_are_delayed_and_pass(call, &told).await;
}

#[tokio::test]
async fn an_axum_router_answers_504_and_429_at_once() {
    let url = serve(|router| router.layer(Tower::new(slow()).answered())).await;
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 200);
    let began = Instant::now();
    let late = reqwest::Client::new().get(&url).header("grpc-timeout", "25S").send().await.unwrap();
    assert_eq!(late.status(), 504);
    let full = reqwest::get(&url).await.unwrap();
    assert_eq!(full.status(), 429);
    // A minute, less what a call may wait, and less what has passed.
    let after: u64 = full.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((10..=30).contains(&after), "{after}");
    assert!(full.headers()["ratelimit"].to_str().unwrap().starts_with(r#""default";r=0;t="#));
    assert!(full.text().await.unwrap().contains(r#""reason":"RATE_LIMITED""#));
    if skip_unless("curl") {
        let full = curl([&url]).await.unwrap();
        assert_eq!(full.status(), 429);
        let late = curl(["-H", "grpc-timeout: 100m", &url]).await.unwrap();
        assert_eq!(late.status(), 504);
    }
    assert!(began.elapsed() < HANGS, "nobody has waited");
}

#[tokio::test]
async fn a_client_that_hangs_up_is_out_of_the_line() {
    let delay = slow().at_most(Duration::from_secs(600));
    let url = serve(|router| router.layer(Tower::new(delay.clone()).answered())).await;
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 200);
    let waiting = |n| {
        let delay = delay.clone();
        timeout(HANGS, async move {
            while delay.waiting() != n {
                tokio::time::sleep(ms(2)).await;
            }
        })
    };
    let gone = tokio::spawn(reqwest::get(url.clone()));
    waiting(1).await.unwrap();
    gone.abort();
    waiting(0).await.unwrap();
}

#[tokio::test]
async fn around_a_reqwest_client() {
    let (delay, told) = delay();
    let url = serve(|router| router).await;
    let client = delay.layer(FromHttpService::new(reqwest::Client::new()));
    let ask = || http::Request::get(&url).body("").unwrap();
    let call = || async { assert_eq!(client.call(ask()).await.unwrap().status(), 200) };
    three_are_delayed_and_pass(call, &told).await;

    let client = slow().layer(FromHttpService::new(reqwest::Client::new()));
    assert_eq!(client.call(ask()).await.unwrap().status(), 200);
    let Err(ServiceError::Refused(full)) = client.call(ask()).await else { panic!("it would wait for a minute") };
    assert!(full.retry_after().is_some_and(|after| after <= Duration::from_secs(30)));
    let mut late = ask();
    late.headers_mut().insert("grpc-timeout", "25S".parse().unwrap());
    let Err(ServiceError::Refused(late)) = client.call(late).await else { panic!("it would wait for a minute") };
    assert_eq!(late.kind(), Kind::DeadlineExceeded);
}

#[tokio::test]
async fn an_endpoint() {
    let (delay, told) = delay();
    let endpoint = delay.layer(super::Notes::new());
    let call = || async { assert_eq!(endpoint.call(kit_base::Request::new(1)).await.unwrap(), 1) };
    three_are_delayed_and_pass(call, &told).await;
    let endpoint = slow().at_most(ms(0)).layer(super::Notes::new());
    endpoint.call(kit_base::Request::new(1)).await.unwrap();
    let full = endpoint.call(kit_base::Request::new(1)).await.unwrap_err();
    is_refused(&full, full.retry_after());
}

async fn health(delay: Option<Delay<kit_ratelimit::One, Told>>) -> Channel {
    let (listener, url) = listener().await;
    let (_, service) = tonic_health::server::health_reporter();
    let incoming = TcpListenerStream::new(listener);
    match delay {
        Some(delay) => {
            let server = Server::builder().layer(Tower::new(delay).answered()).add_service(service);
            tokio::spawn(server.serve_with_incoming(incoming));
        }
        None => drop(tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming))),
    }
    Channel::from_shared(url).unwrap().connect_lazy()
}

fn within(left: Option<Duration>) -> Request<HealthCheckRequest> {
    let mut request = Request::new(HealthCheckRequest { service: String::new() });
    left.into_iter().for_each(|left| request.set_timeout(left));
    request
}

async fn over_grpc<S: Over>(service: S, told: &Told) {
    let client = HealthClient::new(service);
    let call = || async { drop(client.clone().check(within(None)).await.unwrap()) };
    three_are_delayed_and_pass(call, told).await;
}

#[tokio::test]
async fn a_tonic_server_at_a_stock_client() {
    let (delay, told) = delay();
    over_grpc(health(Some(delay)).await, &told).await;
}

#[tokio::test]
async fn over_a_tonic_channel_at_the_client_that_uses_it() {
    let (delay, told) = delay();
    over_grpc(Tower::new(delay).answered().layer(health(None).await), &told).await;
}

#[tokio::test]
async fn from_a_tonic_server_deadline_exceeded_comes_at_once() {
    let told = Told::default();
    gives_up_at_once(health(Some(slow().observed_by(told.clone()))).await, &told).await;
}

#[tokio::test]
async fn over_a_tonic_channel_deadline_exceeded_comes_at_once() {
    let told = Told::default();
    gives_up_at_once(Tower::new(slow().observed_by(told.clone())).answered().layer(health(None).await), &told).await;
}

async fn gives_up_at_once<S: Over>(service: S, told: &Told) {
    let mut client = HealthClient::new(service);
    client.check(within(None)).await.unwrap();
    let began = Instant::now();
    let late = client.check(within(Some(Duration::from_secs(25)))).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert_eq!(late.message(), "the deadline would pass before it is the call's turn");
    assert!(began.elapsed() < HANGS, "{:?}", began.elapsed());
    assert_eq!(told.take(), [(String::new(), "expired", 1.0)]);
    let full = client.check(within(None)).await.unwrap_err();
    assert_eq!((full.code(), full.message()), (Code::ResourceExhausted, "rate limit exceeded"));
    assert_eq!(full.get_details_error_info().unwrap().reason, "RATE_LIMITED");
    let after = full.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(after <= Duration::from_secs(30), "a minute, less what a call may wait: {after:?}");
    assert!(full.metadata().get("grpc-retry-pushback-ms").is_some());
}
