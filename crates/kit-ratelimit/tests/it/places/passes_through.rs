//! A limit of the backend's own passes through ours as it is: its 429, its `Retry-After`, its `RateLimit`.

use axum::Router;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use kit_base::{Endpoint, FromHttpService, Tower};
use kit_ratelimit::Layer;
use kit_testing::backend::{Backend, Reply, Script};
use tonic::Code;
use tonic_health::pb::health_client::HealthClient;

use super::health::{Backend as Health, behind, word};
use super::{Limit, five, serve};
use crate::headers::{left, policy, read};

const THEIRS: &str = r#""theirs";r=0;t=7"#;
const THEIR_POLICY: &str = r#""theirs";q=1;w=7"#;

fn check_theirs(status: u16, headers: &HeaderMap, body: &[u8]) {
    assert_eq!((status, body), (429, &b"theirs"[..]));
    assert_eq!((&headers["retry-after"], &headers["x-own"]), (&"7".parse().unwrap(), &"1".parse().unwrap()));
}

fn check_only_theirs(headers: &HeaderMap) {
    assert_eq!(headers.get_all("ratelimit").iter().collect::<Vec<_>>(), [THEIRS]);
    assert_eq!(headers.get_all("ratelimit-policy").iter().collect::<Vec<_>>(), [THEIR_POLICY]);
}

fn check_ours_too(headers: &HeaderMap, r: u64) {
    assert_eq!(headers["ratelimit"], THEIRS, "theirs comes first");
    assert_eq!(read(headers, "ratelimit"), [left("theirs", 0, 7), left("default", r, 1)]);
    assert_eq!(read(headers, "ratelimit-policy"), [policy("theirs", 1, 7), policy("default", 5, 1)]);
}

#[tokio::test]
async fn through_a_reqwest_client() {
    let reply = Reply::status(429).header("retry-after", "7").header("x-own", "1").body("theirs");
    let reply = reply.header("ratelimit", THEIRS).header("ratelimit-policy", THEIR_POLICY);
    let backend = Backend::start(Script::by(move |_| reply.clone())).await.unwrap();
    let ask = || Request::get(backend.url()).body("").unwrap();

    let limit = Limit::of(five());
    let client = limit.guard.layer(FromHttpService::new(reqwest::Client::new()));
    for left in (0..5).rev() {
        let (head, body) = client.call(ask()).await.unwrap().into_parts();
        check_theirs(head.status.as_u16(), &head.headers, &body.collect().await.unwrap().to_bytes());
        check_only_theirs(&head.headers);
        // The call was made, so it has cost a token.
        assert_eq!(limit.left(), left);
    }

    let limit = Limit::of(five().with_headers());
    let client = limit.guard.layer(FromHttpService::new(reqwest::Client::new()));
    for left in (0..5).rev() {
        let (head, body) = client.call(ask()).await.unwrap().into_parts();
        check_theirs(head.status.as_u16(), &head.headers, &body.collect().await.unwrap().to_bytes());
        check_ours_too(&head.headers, left);
    }
}

#[tokio::test]
async fn of_a_handler_through_a_router() {
    let router = || {
        Router::new().fallback(async || {
            let own = [("ratelimit", THEIRS), ("ratelimit-policy", THEIR_POLICY), ("retry-after", "7"), ("x-own", "1")];
            (http::StatusCode::TOO_MANY_REQUESTS, own, "theirs")
        })
    };
    let ask = async |addr| {
        let answer = reqwest::get(format!("http://{addr}/")).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        check_theirs(status, &headers, &answer.bytes().await.unwrap());
        headers
    };
    let limit = Limit::of(five());
    let addr = serve(router().layer(Tower::new(limit.guard.clone()).answered())).await;
    check_only_theirs(&ask(addr).await);
    let limit = Limit::of(five().with_headers());
    let addr = serve(router().layer(Tower::new(limit.guard.clone()).answered())).await;
    check_ours_too(&ask(addr).await, 4);
}

fn check_status(status: &tonic::Status) {
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "as told"));
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "7500");
}

#[tokio::test]
async fn of_a_grpc_service_through_a_channel_and_a_server() {
    let plain = Limit::of(five());
    let health = Health::start();
    let mut client = HealthClient::new(Tower::new(plain.guard.clone()).answered().layer(health.channel()));
    let status = client.check(word("busy")).await.unwrap_err();
    check_status(&status);
    let headers = status.metadata().clone().into_headers();
    assert_eq!((read(&headers, "ratelimit"), headers.get("ratelimit-policy")), (vec![left("theirs", 0, 8)], None));
    assert_eq!(plain.left(), 4);

    let limit = Limit::of(five().with_headers());
    let backend = behind!(Tower::new(limit.guard.clone()).answered());
    let mut client = HealthClient::new(backend.channel());
    let status = client.check(word("busy")).await.unwrap_err();
    check_status(&status);
    let headers = status.metadata().clone().into_headers();
    assert_eq!(read(&headers, "ratelimit"), [left("theirs", 0, 8), left("default", 4, 1)]);
    // A status after messages is in the trailers, where no such header may be; ours is in the head.
    let mut answer = client.watch(word("busy")).await.unwrap();
    assert_eq!(read(&answer.metadata().clone().into_headers(), "ratelimit"), [left("default", 3, 1)]);
    for _ in 0..3 {
        answer.get_mut().message().await.unwrap().unwrap();
    }
    check_status(&answer.get_mut().message().await.unwrap_err());
}
