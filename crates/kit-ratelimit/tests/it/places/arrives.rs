//! Its refusal, at clients that no one here wrote.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use http::{HeaderMap, Method};
use kit_base::{Endpoint, FromHttpService, ServiceError, Tower};
use kit_ratelimit::{Layer, Quota, RateLimit};
use kit_testing::http::{Peer, curl, raw_response};
use kit_testing::process::Child;
use kit_testing::tools::{skip_unless, skip_unless_or};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use super::health::{Backend, behind, word};
use super::{HANGS, Limit, routes, serve};
use crate::headers::{left, policy, read};
use crate::support::nz;

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/venv/bin/python");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/places/client.py");

/// What is left until there is a token: no whole number of seconds.
const LEFT: Duration = Duration::from_millis(7_400);

/// The refusal as RFC 9457 has it.
const PROBLEM: &str = r#"{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"rate limit exceeded","kind":"RESOURCE_EXHAUSTED","reason":"RATE_LIMITED"}"#;

/// Two at once, and then one in 7.5 seconds.
fn slow() -> RateLimit {
    RateLimit::new(Quota::per_minute(nz(8)).with_burst(nz(2))).named("search")
}

/// A limit whose tokens were all taken a while ago.
fn empty() -> Limit<RateLimit> {
    use kit_base::{Clock, Gate, Now};
    let limit = Limit::of(slow());
    let now = limit.clock.now();
    for _ in 0..2 {
        let clock = move || now;
        Gate::<(), (), kit_base::Error>::admit(limit.guard.gate(), &mut (), &Now::new(&clock)).unwrap();
    }
    limit.clock.advance(Duration::from_millis(100));
    limit
}

fn check_limits(headers: &HeaderMap) {
    assert_eq!(read(headers, "ratelimit-policy"), [policy("search", 2, 15)]);
    assert_eq!(read(headers, "ratelimit"), [left("search", 0, 8)]);
}

fn check_head(status: u16, headers: &HeaderMap) {
    assert_eq!(status, 429);
    assert_eq!(headers["retry-after"], "8", "7.4 s, rounded up: who comes after 7 is refused once more");
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["content-length"], PROBLEM.len().to_string());
    check_limits(headers);
}

fn check_http(status: u16, headers: &HeaderMap, body: &[u8]) {
    check_head(status, headers);
    assert_eq!(std::str::from_utf8(body).unwrap(), PROBLEM);
}

/// A router with a limit that is used up.
async fn served() -> (Limit<RateLimit>, SocketAddr) {
    let (limit, (router, _)) = (empty(), routes());
    let addr = serve(router.layer(Tower::new(limit.guard.clone()).answered())).await;
    (limit, addr)
}

#[tokio::test]
async fn from_a_router_at_reqwest_by_all_methods() {
    let (limit, addr) = served().await;
    let client = reqwest::Client::new();
    let ask = |method: Method| client.request(method, format!("http://{addr}/"));
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let answer = ask(method).body("a question").send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        check_http(status, &headers, &answer.bytes().await.unwrap());
    }
    // The head of a refusal comes without its body.
    let answer = ask(Method::HEAD).send().await.unwrap();
    check_head(answer.status().as_u16(), answer.headers());
    assert_eq!(answer.bytes().await.unwrap(), "");
    // They have cost nothing: who comes when he was told to gets in.
    limit.clock.advance(LEFT);
    assert_eq!(ask(Method::OPTIONS).send().await.unwrap().status(), 200);
    assert_eq!(ask(Method::HEAD).send().await.unwrap().status(), 429);
}

#[tokio::test]
async fn from_a_router_at_curl() {
    if !skip_unless("curl") {
        return;
    }
    let (_limit, addr) = served().await;
    let url = format!("http://{addr}/");
    for args in [&["--get"][..], &["--http1.0"], &["--request", "OPTIONS"], &["--data", "a=b"]] {
        let answer = curl(args.iter().copied().chain([&*url])).await.unwrap();
        check_http(answer.status().as_u16(), answer.headers(), answer.body());
    }
    let head = curl(["--head", &url]).await.unwrap();
    check_head(head.status().as_u16(), head.headers());
}

#[tokio::test]
async fn from_a_router_to_the_byte_and_on_a_connection_that_goes_on() {
    let (limit, addr) = served().await;
    let answer = raw_response(addr, "GET / HTTP/1.0\r\n\r\n").await.unwrap();
    check_http(answer.status().as_u16(), answer.headers(), answer.body());
    // It is refused before its body has come, and the connection is as good as before.
    let mut peer = Peer::connect(addr).await.unwrap();
    for passes in [false, false, true, false] {
        if passes {
            limit.clock.advance(LEFT);
        }
        peer.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc").await.unwrap();
        let answer = peer.response().await.unwrap();
        assert_eq!(answer.status().as_u16(), if passes { 200 } else { 429 });
    }
}

#[tokio::test]
async fn around_a_reqwest_client_as_an_error_with_its_type() {
    let limit = empty();
    let client = limit.guard.layer(FromHttpService::new(reqwest::Client::new()));
    let request = http::Request::get("http://127.0.0.1:1/").body("").unwrap();
    let error = client.call(request).await.unwrap_err();
    let ServiceError::Refused(refusal) = error else { panic!("{error:?}") };
    // A server in front passes it on as an answer, as it is.
    let answer = refusal.to_http_answer();
    assert_eq!((answer.status().as_u16(), answer.body()), (429, &PROBLEM.into()));
    check_limits(answer.headers());
}

fn check_metadata(metadata: &MetadataMap) {
    check_limits(&metadata.clone().into_headers());
    assert_eq!(metadata.get("grpc-retry-pushback-ms").unwrap(), "7400");
}

fn check_grpc(status: &Status) {
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "rate limit exceeded"));
    assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(LEFT));
    assert_eq!(status.get_details_error_info().unwrap().reason, "RATE_LIMITED");
    check_metadata(status.metadata());
}

#[tokio::test]
async fn over_a_channel_and_from_a_tonic_server_at_a_stock_client() {
    let (limit, backend) = (empty(), Backend::start());
    let mut client = HealthClient::new(Tower::new(limit.guard.clone()).answered().layer(backend.channel()));
    check_grpc(&client.check(word("ok")).await.unwrap_err());
    check_grpc(&client.watch(word("ok")).await.unwrap_err());
    assert_eq!(backend.reached(), 0);

    let backend = behind!(Tower::new(limit.guard.clone()).answered());
    let mut client = HealthClient::new(backend.channel());
    check_grpc(&client.check(word("ok")).await.unwrap_err());
    check_grpc(&client.watch(word("ok")).await.unwrap_err());
    assert_eq!(backend.reached(), 0);
    limit.clock.advance(LEFT);
    client.check(word("ok")).await.unwrap();
}

/// What can never be made says so to clients that try again by themselves.
#[tokio::test]
async fn a_call_that_costs_too_much_is_told_not_to_come_back() {
    let limit = Limit::of(slow().costing(|_: &http::Request<tonic::body::Body>| 3));
    let backend = behind!(Tower::new(limit.guard.clone()).answered());
    let status = HealthClient::new(backend.channel()).check(word("ok")).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "-1");
    assert!(status.get_details_retry_info().is_none());

    let limit = Limit::of(slow().costing(|_: &http::Request<axum::body::Body>| 3));
    let (router, _) = routes();
    let addr = serve(router.layer(Tower::new(limit.guard.clone()).answered())).await;
    let answer = reqwest::get(format!("http://{addr}/")).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("retry-after")), (429, None));
    assert!(answer.text().await.unwrap().contains("the request costs 3, more than the 2 of the rate limit"));
}

#[tokio::test]
async fn metadata_of_an_answer_at_a_stock_tonic_client_where_that_is_asked_for() {
    let limit = Limit::of(slow().with_headers());
    let backend = behind!(Tower::new(limit.guard.clone()).answered());
    let mut client = HealthClient::new(backend.channel());
    let answer = client.check(word("ok")).await.unwrap();
    let headers = answer.metadata().clone().into_headers();
    assert_eq!(headers["x-own"], "1");
    assert_eq!(read(&headers, "ratelimit-policy"), [policy("search", 2, 15)]);
    assert_eq!(read(&headers, "ratelimit"), [left("search", 1, 8)]);
    // An answer that fails in its head is an answer too.
    let status = client.check(word("5")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "as told"));
    assert_eq!(read(&status.metadata().clone().into_headers(), "ratelimit"), [left("search", 0, 8)]);
    // A refusal speaks once.
    let status = client.watch(word("ok")).await.unwrap_err();
    assert_eq!(read(&status.metadata().clone().into_headers(), "ratelimit-policy"), [policy("search", 2, 15)]);
}

#[tokio::test]
async fn from_a_tonic_server_at_grpcs_cpp_core() {
    let rows = "grpcio grpcio-health-checking grpcio-status";
    if !skip_unless_or(PYTHON, &format!("run `cargo xtask servers {rows}`")) {
        return;
    }
    let limit = empty();
    let backend = behind!(Tower::new(limit.guard.clone()).answered());
    let mut python = Command::new(PYTHON);
    // `-B`: nothing is written beside the script.
    python.args(["-B", SCRIPT, &backend.addr.to_string()]);
    let mut python = Child::spawn(python).unwrap();
    let ran = tokio::task::spawn_blocking(move || (python.wait(HANGS), python.stdout(), python.stderr()));
    let (status, stdout, stderr) = ran.await.unwrap();
    let line = |call: &str| {
        let limits = r#"ratelimit-policy="search";q=2;w=15 ratelimit="search";r=0;t=8"#;
        let metadata = format!("grpc-retry-pushback-ms=7400 {limits}");
        format!("{call} RESOURCE_EXHAUSTED 'rate limit exceeded' reason=RATE_LIMITED retry_delay=7.4 {metadata}\n")
    };
    assert!(status.is_ok_and(|status| status.success()), "{stderr}");
    assert_eq!(stdout, line("check") + &line("watch"));
}

#[tokio::test]
async fn from_a_tonic_server_at_curl_which_speaks_no_grpc() {
    if !skip_unless("curl") {
        return;
    }
    let limit = empty();
    let backend = behind!(Tower::new(limit.guard.clone()).answered());
    let url = format!("http://{}/grpc.health.v1.Health/Check", backend.addr);
    let answer = curl(["--http2-prior-knowledge", &url]).await.unwrap();
    check_http(answer.status().as_u16(), answer.headers(), answer.body());
}
