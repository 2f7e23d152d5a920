//! The built program, called with curl, reqwest and a client of tonic's; and what its source and its manifest are held to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod source;

use std::process::Command;
use std::time::{Duration, Instant};

use kit_testing::http::curl;
use kit_testing::process::Child;
use kit_testing::tools::skip_unless;
use limited::{Counted, flood};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

const PATIENCE: Duration = Duration::from_secs(20);

/// Starts the servers, and gives their URLs.
async fn serve() -> (Child, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_limited"));
    command.args(["serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0"]);
    tokio::task::spawn_blocking(move || {
        let child = Child::spawn(command).unwrap();
        let line = child.wait_for_line("limited: http on ", PATIENCE).unwrap();
        let (http, grpc) = line.strip_prefix("limited: http on ").unwrap().split_once(", grpc on ").unwrap();
        (child, format!("http://{http}"), format!("http://{grpc}"))
    })
    .await
    .unwrap()
}

async fn connect(url: &str) -> HealthClient<Channel> {
    HealthClient::new(Endpoint::from_shared(url.to_owned()).unwrap().connect().await.unwrap())
}

#[test]
fn the_demonstration_runs_to_its_end() {
    let mut demo = Child::spawn(Command::new(env!("CARGO_BIN_EXE_limited"))).unwrap();
    let status = demo.wait(Duration::from_secs(60)).unwrap();
    assert_eq!(status.code(), Some(0), "{}{}", demo.stdout(), demo.stderr());
    let stdout = demo.stdout();
    for told in ["429, retry-after: 1, ", "1.0s later: 200", "RESOURCE_EXHAUSTED, RetryInfo: ", "ms later: OK"] {
        assert_eq!(stdout.matches(told).count(), 1, "{told}: {stdout}");
    }
    assert!(stdout.lines().all(|line| line.chars().count() <= 80), "{stdout}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_limited"));
    command.args(["serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", &addr]);
    let mut child = Child::spawn(command).unwrap();
    assert_eq!(child.wait(PATIENCE).unwrap().code(), Some(1));
    assert!(child.stderr().contains(&format!("cannot listen on \"{addr}\"")), "{}", child.stderr());
}

/// As many as the bucket holds, and those for which there was time meanwhile.
fn holds(Counted { passed, refused, .. }: Counted, begun: Instant) {
    let meanwhile = begun.elapsed().as_secs_f64() * 5.0;
    assert_eq!(passed + refused, 1500);
    assert!(passed >= 5 && f64::from(passed) <= 5.0 + meanwhile, "{passed}: {meanwhile}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_1500_requests_over_100_connections_pass_5_and_what_came_in_meanwhile() {
    let (_child, page, _) = serve().await;
    let begun = Instant::now();
    let connections = (0..100).map(|_| {
        let (client, page) = (reqwest::Client::builder().no_proxy().build().unwrap(), page.clone());
        move || {
            let get = client.get(&page);
            async move {
                let status = get.send().await?.status().as_u16();
                assert!(status == 200 || status == 429, "{status}");
                Ok(status == 200)
            }
        }
    });
    holds(flood(connections.collect(), 15).await.unwrap(), begun);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tonic_as_many() {
    let (_child, _, health) = serve().await;
    let begun = Instant::now();
    let mut connections = Vec::new();
    for _ in 0..100 {
        let client = connect(&health).await;
        connections.push(move || {
            let mut client = client.clone();
            async move {
                let outcome = client.check(HealthCheckRequest::default()).await;
                let code = outcome.map_or_else(|status| status.code(), |_| Code::Ok);
                assert!(code == Code::Ok || code == Code::ResourceExhausted, "{code:?}");
                Ok(code == Code::Ok)
            }
        });
    }
    holds(flood(connections, 15).await.unwrap(), begun);
}

#[tokio::test]
async fn curl_sees_429_and_when_to_come_back_and_by_then_it_passes() {
    if !skip_unless("curl") {
        return;
    }
    let (_child, page, _) = serve().await;
    let (begun, mut passed) = (Instant::now(), 0);
    let refusal = loop {
        let answer = curl([&page]).await.unwrap();
        if answer.status() != 200 {
            break answer;
        }
        assert_eq!(&answer.body()[..], b"for all\n");
        assert!(answer.headers().get("ratelimit").is_none());
        passed += 1;
        assert!(begun.elapsed() < PATIENCE);
    };
    assert!(passed >= 5);
    let header = |name: &str| refusal.headers()[name].to_str().unwrap();
    assert_eq!((refusal.status().as_u16(), header("retry-after")), (429, "1"));
    assert_eq!(header("content-type"), "application/problem+json");
    assert_eq!((header("ratelimit-policy"), header("ratelimit")), ("\"default\";q=5;w=1", "\"default\";r=0;t=1"));
    let text = String::from_utf8(refusal.body().to_vec()).unwrap();
    for part in [r#""detail":"rate limit exceeded""#, r#""kind":"RESOURCE_EXHAUSTED""#, r#""reason":"RATE_LIMITED""#] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // What is not there counts as well.
    let (mut refused, begun) = (false, Instant::now());
    while !refused {
        let status = curl([&format!("{page}/nowhere")]).await.unwrap().status().as_u16();
        assert!(status == 404 || status == 429, "{status}");
        refused = status == 429;
        assert!(begun.elapsed() < PATIENCE);
    }
    // The route beside it goes on.
    assert_eq!(curl([&format!("{page}/mine")]).await.unwrap().status(), 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(curl([&page]).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_client_of_tonics_sees_resource_exhausted_and_when_to_come_back_and_by_then_it_passes() {
    let (_child, _, health) = serve().await;
    let mut client = connect(&health).await;
    let (begun, mut passed) = (Instant::now(), 0);
    let refusal = loop {
        match client.check(HealthCheckRequest::default()).await {
            Ok(_) => passed += 1,
            Err(status) => break status,
        }
        assert!(begun.elapsed() < PATIENCE);
    };
    assert!(passed >= 5);
    assert_eq!((refusal.code(), refusal.message()), (Code::ResourceExhausted, "rate limit exceeded"));
    assert_eq!(refusal.get_details_error_info().unwrap().reason, "RATE_LIMITED");
    let after = refusal.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(after > Duration::ZERO && after <= Duration::from_millis(200), "{after:?}");
    let metadata = |name: &str| refusal.metadata().get(name).unwrap().to_str().unwrap();
    assert!(metadata("grpc-retry-pushback-ms").parse::<u128>().unwrap() <= 200);
    assert_eq!(metadata("ratelimit"), "\"default\";r=0;t=1");
    tokio::time::sleep(after).await;
    client.check(HealthCheckRequest::default()).await.unwrap();
}

/// Each address of the loopback network is a client.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn each_client_has_5_a_minute_and_is_told_what_is_left() {
    if !skip_unless("curl") {
        return;
    }
    let (_child, page, _) = serve().await;
    let mine = format!("{page}/mine");
    for client in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
        let call = async || {
            let answer = curl(["--interface", client, &mine]).await.unwrap();
            let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
            (answer.status().as_u16(), header("ratelimit-policy"), header("ratelimit"))
        };
        for left in (0..5).rev() {
            let (status, policy, limit) = call().await;
            assert_eq!((status, &*policy), (200, "\"client\";q=5;w=60"));
            assert!(limit.starts_with(&format!("\"client\";r={left};t=")), "{limit}");
        }
        assert_eq!(call().await.0, 429);
    }
}

/// The lines that it prints to try are right.
#[tokio::test]
async fn curl_speaks_grpc_as_it_is_told_to() {
    if !skip_unless("curl") {
        return;
    }
    let (child, ..) = serve().await;
    let script = tokio::task::spawn_blocking(move || {
        child.wait_for_line("-H 'content-type: application/grpc'", PATIENCE).unwrap();
        let told = child.stdout();
        // So many that a slow machine is refused too.
        let lines = told.split_once("try\n").unwrap().1.replace("[1-8]", "[1-99]");
        let output = Command::new("bash").args(["-c", &lines]).output().unwrap();
        (lines, String::from_utf8(output.stdout).unwrap(), output.status.code())
    });
    let (lines, output, code) = script.await.unwrap();
    assert_eq!(code, Some(0), "{lines}{output}");
    for part in [
        "HTTP/1.1 200",
        "HTTP/1.1 429",
        "retry-after: 1",
        "ratelimit: \"client\";r=4;t=12",
        "HTTP/2 200",
        "grpc-status: 0",
    ] {
        assert!(output.contains(part), "{part}: {lines}{output}");
    }
}
