//! Its refusal, at clients that no one here wrote.

use std::process::Command;
use std::time::Duration;

use http::HeaderMap;
use kit_base::{Endpoint, FromHttpService, ServiceError, Tower};
use kit_testing::http::curl;
use kit_testing::process::Child;
use kit_testing::tools::{skip_unless, skip_unless_or};
use tonic::{Code, Request, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;
use tower_layer::Layer;

use super::channel::Over;
use super::health::{Backend, word};
use super::{Circuit, HANGS, router, server, settings};

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/venv/bin/python");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/places/client.py");

/// What is left of its open time: no whole number of seconds.
const LEFT: Duration = Duration::from_millis(7_400);

/// The refusal as RFC 9457 has it.
const PROBLEM: &str = r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"circuit breaker is open","kind":"UNAVAILABLE","reason":"CIRCUIT_OPEN"}"#;

/// A circuit that has opened by a failure, a while ago.
fn opening() -> Circuit {
    Circuit::new(settings().consecutive_failures(1))
}

fn wait(circuit: &Circuit) {
    circuit.clock.advance(super::OPEN_FOR - LEFT);
}

fn check_http(status: u16, headers: &HeaderMap, body: &str) {
    assert_eq!(status, 503);
    assert_eq!(headers["retry-after"], "8", "7.4 s, rounded up: who comes after 7 is refused once more");
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(body, PROBLEM);
}

#[tokio::test]
async fn from_a_router_at_reqwest_and_at_curl() {
    let circuit = opening();
    let (router, _) = router::routes();
    let url = router::serve(router.layer(Tower::new(circuit.guard.clone()).answered())).await;
    assert_eq!(reqwest::get(format!("{url}/500")).await.unwrap().status(), 500);
    wait(&circuit);

    let answer = reqwest::get(format!("{url}/ok")).await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    check_http(status.as_u16(), &headers, &answer.text().await.unwrap());

    if skip_unless("curl") {
        let answer = curl([format!("{url}/ok")]).await.unwrap();
        check_http(answer.status().as_u16(), answer.headers(), str::from_utf8(answer.body()).unwrap());
        // The head of a refusal comes without its body.
        let head = curl(["--head", &format!("{url}/ok")]).await.unwrap();
        assert_eq!(head.status(), 503);
        assert_eq!(head.headers()["retry-after"], "8");
    }

    // Where it was forced, nobody knows when to come back.
    circuit.guard.gate().force_open();
    let answer = reqwest::get(format!("{url}/ok")).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("retry-after")), (503, None));
}

#[tokio::test]
async fn around_a_reqwest_client_as_an_error_with_its_type() {
    let circuit = opening();
    circuit.guard.gate().force_open();
    let client = circuit.guard.layer(FromHttpService::new(reqwest::Client::new()));
    let request = http::Request::get("http://127.0.0.1:1/").body("").unwrap();
    let error = client.call(request).await.unwrap_err();
    let ServiceError::Refused(refusal) = error else { panic!("{error:?}") };
    // A server in front passes it on as an answer, as it is.
    let answer = refusal.to_http_answer();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.body(), PROBLEM);
}

fn check_grpc(status: &Status) {
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "circuit breaker is open"));
    assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(LEFT));
    assert_eq!(status.get_details_error_info().unwrap().reason, "CIRCUIT_OPEN");
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "7400");
}

/// A call that fails, a wait, and the refusals of a unary call and of a stream.
async fn refused(circuit: &Circuit, mut client: HealthClient<impl Over>) {
    assert_eq!(client.check(Request::new(word("14"))).await.unwrap_err().message(), "as told");
    wait(circuit);
    check_grpc(&client.check(Request::new(word("ok"))).await.unwrap_err());
    check_grpc(&client.watch(Request::new(word("ok"))).await.unwrap_err());
}

#[tokio::test]
async fn over_a_channel_at_the_client_that_uses_it() {
    let (circuit, backend) = (opening(), Backend::start());
    let channel = Tower::new(circuit.guard.clone()).answered().layer(backend.channel());
    refused(&circuit, HealthClient::new(channel)).await;
}

#[tokio::test]
async fn from_a_tonic_server_at_a_stock_client() {
    let circuit = opening();
    let backend = server::serve(&circuit);
    refused(&circuit, HealthClient::new(backend.channel())).await;
}

#[tokio::test]
async fn from_a_tonic_server_at_grpcs_cpp_core() {
    let rows = "grpcio grpcio-health-checking grpcio-status";
    if !skip_unless_or(PYTHON, &format!("run `cargo xtask servers {rows}`")) {
        return;
    }
    let circuit = opening();
    let backend = server::serve(&circuit);
    let mut client = HealthClient::new(backend.channel());
    client.check(Request::new(word("14"))).await.unwrap_err();
    wait(&circuit);
    let mut python = Command::new(PYTHON);
    // `-B`: nothing is written beside the script.
    python.args(["-B", SCRIPT, &backend.addr.to_string()]);
    let mut python = Child::spawn(python).unwrap();
    let ran = tokio::task::spawn_blocking(move || (python.wait(HANGS), python.stdout(), python.stderr()));
    let (status, stdout, stderr) = ran.await.unwrap();
    let line = |call: &str| {
        let metadata = "grpc-retry-pushback-ms=7400";
        format!("{call} UNAVAILABLE 'circuit breaker is open' reason=CIRCUIT_OPEN retry_delay=7.4 {metadata}\n")
    };
    assert!(status.is_ok_and(|status| status.success()), "{stderr}");
    assert_eq!(stdout, line("check") + &line("watch"));
}

#[tokio::test]
async fn from_a_tonic_server_at_curl_which_speaks_no_grpc() {
    if !skip_unless("curl") {
        return;
    }
    let circuit = opening();
    let backend = server::serve(&circuit);
    HealthClient::new(backend.channel()).check(Request::new(word("14"))).await.unwrap_err();
    wait(&circuit);
    let url = format!("http://{}/grpc.health.v1.Health/Check", backend.addr);
    let answer = curl(["--http2-prior-knowledge", &url]).await.unwrap();
    check_http(answer.status().as_u16(), answer.headers(), str::from_utf8(answer.body()).unwrap());
}
