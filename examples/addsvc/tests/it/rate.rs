//! `--rate`: one limit for all callers and both transports, and what callers see of it.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use addsvc::{Add, AddError, SumRequest, grpc_client, http_client};
use http::uri::PathAndQuery;
use kit_base::{Context, Kind};
use kit_testing::http::curl;
use kit_testing::tools::skip_unless;
use tokio::task::JoinSet;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

use crate::{Addsvc, start_on};

const PATIENCE: Duration = Duration::from_secs(20);
const TWO_PORTS: [&str; 4] = ["--http-addr", "127.0.0.1:0", "--grpc-addr", "localhost:0"];
const ONE_PORT: [&str; 4] = ["--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0"];

async fn start_at(rate: &'static str, [a, b, c, d]: [&'static str; 4]) -> Addsvc {
    start_on([a, b, c, d, "--rate", rate]).await
}

/// Go kit's `SumReply`.
#[derive(prost::Message)]
struct Sum {
    #[prost(int64, tag = "1")]
    v: i64,
    #[prost(string, tag = "2")]
    err: String,
}

impl Addsvc {
    async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.grpc)).unwrap().connect().await.unwrap()
    }

    async fn sum_by_curl(&self, body: &str) -> http::Response<bytes::Bytes> {
        let url = format!("http://{}/sum", self.http);
        curl(["-H", "content-type: application/json", "-d", body, &url]).await.unwrap()
    }
}

async fn sum_by_tonic(channel: &Channel, a: i64) -> Result<Sum, Status> {
    reply_by_tonic(channel, a).await.map(Response::into_inner)
}

async fn reply_by_tonic(channel: &Channel, a: i64) -> Result<Response<Sum>, Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/pb.Add/Sum");
    let codec = ProstCodec::<SumRequest, Sum>::default();
    client.unary(Request::new(SumRequest { a, b: 0 }), path, codec).await
}

#[tokio::test]
async fn both_transports_share_one_limit_on_two_ports_and_on_one() {
    if !skip_unless("curl") {
        return;
    }
    for ports in [TWO_PORTS, ONE_PORT] {
        let begun = Instant::now();
        let addsvc = start_at("2", ports).await;
        let channel = addsvc.channel().await;
        let (mut passed, mut refused) = (0, [false; 2]);
        while refused != [true; 2] {
            match addsvc.sum_by_curl(r#"{"a":1}"#).await.status().as_u16() {
                200 => passed += 1,
                429 => refused[0] = true,
                other => panic!("{other}"),
            }
            match sum_by_tonic(&channel, 1).await.map_err(|status| status.code()) {
                Ok(Sum { v: 1, .. }) => passed += 1,
                Err(Code::ResourceExhausted) => refused[1] = true,
                other => panic!("{other:?}"),
            }
            assert!(begun.elapsed() < PATIENCE);
        }
        let most = 2.0 + 2.0 * begun.elapsed().as_secs_f64();
        assert!(passed >= 2 && f64::from(passed) <= most, "{passed}, {most}");
    }
}

/// A machine may be so slow that some of them pass: until one does not.
#[tokio::test]
async fn over_http_a_refusal_is_429_and_says_when_to_come_back() {
    if !skip_unless("curl") {
        return;
    }
    let addsvc = start_at("1", TWO_PORTS).await;
    let begun = Instant::now();
    let refusal = loop {
        // What the service answers with an error of its own was a call too.
        let answer = addsvc.sum_by_curl("{}").await;
        if answer.status() != 400 {
            break answer;
        }
        assert!(begun.elapsed() < PATIENCE);
    };
    let header = |name: &str| refusal.headers()[name].to_str().unwrap();
    assert_eq!((refusal.status().as_u16(), header("retry-after")), (429, "1"));
    assert_eq!((header("ratelimit-policy"), header("ratelimit")), ("\"default\";q=1;w=1", "\"default\";r=0;t=1"));
    assert_eq!(header("content-type"), "application/problem+json");
    let text = String::from_utf8(refusal.body().to_vec()).unwrap();
    assert!(text.contains(r#""kind":"RESOURCE_EXHAUSTED","reason":"RATE_LIMITED""#), "{text}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(&addsvc.sum_by_curl(r#"{"a":7}"#).await.body()[..], br#"{"v":7}"#);
}

#[tokio::test]
async fn over_grpc_a_refusal_is_resource_exhausted_and_says_when_to_come_back() {
    for ports in [TWO_PORTS, ONE_PORT] {
        let addsvc = start_at("1", ports).await;
        let channel = addsvc.channel().await;
        let begun = Instant::now();
        let refusal = loop {
            match sum_by_tonic(&channel, 0).await {
                Ok(reply) => assert_eq!(reply.err, "can't sum two zeroes"),
                Err(status) => break status,
            }
            assert!(begun.elapsed() < PATIENCE);
        };
        assert_eq!((refusal.code(), refusal.message()), (Code::ResourceExhausted, "rate limit exceeded"));
        assert_eq!(refusal.get_details_error_info().unwrap().reason, "RATE_LIMITED");
        let after = refusal.get_details_retry_info().unwrap().retry_delay.unwrap();
        assert!(after > Duration::ZERO && after <= Duration::from_secs(1), "{after:?}");
        let push_back = refusal.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap();
        assert!(push_back.parse::<u128>().unwrap().abs_diff(after.as_millis()) <= 1, "{push_back} {after:?}");
        tokio::time::sleep(after).await;
        assert_eq!(sum_by_tonic(&channel, 7).await.unwrap().v, 7);
    }
}

#[tokio::test]
async fn what_is_no_call_of_the_service_is_not_limited() {
    if !skip_unless("curl") {
        return;
    }
    let addsvc = start_at("1", ONE_PORT).await;
    let mut health = HealthClient::new(addsvc.channel().await);
    for _ in 0..10 {
        health.check(HealthCheckRequest::default()).await.unwrap();
        for page in [format!("{}/openapi.json", addsvc.http), format!("{}/readyz", addsvc.debug)] {
            assert_eq!(curl([page]).await.unwrap().status(), 200);
        }
        // Nor is what cannot be read.
        assert_eq!(addsvc.sum_by_curl("{").await.status(), 400);
    }
    assert_eq!(addsvc.sum_by_curl(r#"{"a":1}"#).await.status(), 200);
}

#[tokio::test]
async fn answers_tell_what_is_left() {
    if !skip_unless("curl") {
        return;
    }
    let addsvc = start_at("1000", TWO_PORTS).await;
    let answer = addsvc.sum_by_curl(r#"{"a":1}"#).await;
    let told = answer.headers()["ratelimit"].to_str().unwrap();
    assert!(told.starts_with("\"default\";r=999;t="), "{told}");
    let answer = reply_by_tonic(&addsvc.channel().await, 1).await.unwrap();
    assert!(answer.metadata().get("ratelimit").is_some(), "{:?}", answer.metadata());
}

async fn fifteen_calls(add: impl Add, passed: &AtomicU32) {
    for _ in 0..15 {
        match add.sum(&Context::new(), SumRequest { a: 1, b: 2 }).await {
            Ok(reply) => {
                assert_eq!(reply.v, 3);
                passed.fetch_add(1, SeqCst);
            }
            Err(AddError::Other(error)) => {
                assert_eq!((error.kind(), error.reason()), (Kind::ResourceExhausted, Some("RATE_LIMITED")));
                assert!(error.retry_after().is_some());
            }
            Err(own) => panic!("{own}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_1500_calls_by_100_callers_over_both_transports_pass_5_and_what_came_in_meanwhile() {
    let begun = Instant::now();
    let addsvc = start_at("5", TWO_PORTS).await;
    let (passed, mut callers) = (Arc::new(AtomicU32::new(0)), JoinSet::new());
    for n in 0..100 {
        let (passed, http, grpc) = (passed.clone(), addsvc.http, addsvc.grpc);
        callers.spawn(async move {
            match n % 2 {
                0 => fifteen_calls(http_client(&format!("http://{http}")).unwrap(), &passed).await,
                _ => fifteen_calls(grpc_client(&format!("http://{grpc}")).unwrap(), &passed).await,
            }
        });
    }
    while let Some(called) = callers.join_next().await {
        called.unwrap();
    }
    let (passed, most) = (passed.load(SeqCst), 5.0 + 5.0 * begun.elapsed().as_secs_f64());
    assert!(passed >= 5 && f64::from(passed) <= most, "{passed}, {most}");
}

#[tokio::test]
async fn without_it_nothing_is_refused() {
    let addsvc = start_on(TWO_PORTS).await;
    let channel = addsvc.channel().await;
    for n in 1..200 {
        assert_eq!(sum_by_tonic(&channel, n).await.unwrap().v, n);
    }
}

#[test]
fn a_rate_that_is_none_is_refused_and_shown_and_the_help_tells_what_it_is() {
    for (rate, wrong) in [("0", "'0' for '--rate <N>'"), ("many", "'many' for"), ("4294967296", "'4294967296' for")] {
        let output = Command::new(env!("CARGO_BIN_EXE_addsvc")).args(["--rate", rate]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(wrong), "{stderr}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_addsvc")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("--rate <N>") && help.contains("At most so many calls a second"), "{help}");
}
