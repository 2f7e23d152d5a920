//! Everything that clients do wrong, from outside.

use std::time::Duration;

use kit_testing::http::{Peer, curl, raw_response};
use serde_json::Value;

use crate::start;

#[tokio::test]
async fn malformed_bodies_are_answered_with_problem_details() {
    let addsvc = start().await;
    let brackets = "[".repeat(100_000);
    let deep = format!(r#"{{"a":{brackets}"#);
    for (body, says) in [
        ("", "empty"),
        ("nope", "line 1"),
        (r#"{"a":"1"}"#, "string"),
        (r#"{"a":1.5}"#, "1.5"),
        (r#"{"a":18446744073709551616}"#, "e+19"),
        (r#"{"a":1}trailing"#, "trailing"),
        (r#"{"a":1"#, "EOF"),
        (r#"{"a":null}"#, "null"),
        ("null", "null"),
        ("[]", "malformed"),
        (&brackets, "malformed"),
        (&deep, "malformed"),
    ] {
        let (status, content_type, problem) = addsvc.post("/sum", body).await;
        let shown = body.get(..40).unwrap_or(body);
        assert_eq!((status, &*content_type), (400, "application/problem+json"), "{shown}");
        assert_eq!(problem["kind"], "INVALID_ARGUMENT", "{shown}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{shown}: {detail}");
    }
}

#[tokio::test]
async fn invalid_utf_8_is_malformed() {
    let addsvc = start().await;
    let body = b"{\"a\":\"\xff\xfe\"}";
    let head = "POST /concat HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ";
    let request = [format!("{head}{}\r\nconnection: close\r\n\r\n", body.len()).as_bytes(), body].concat();
    let answer = raw_response(addsvc.http, request).await.unwrap();
    assert_eq!(answer.status(), 400);
}

#[tokio::test]
async fn paths_verbs_and_types_that_are_unknown_have_their_status() {
    let addsvc = start().await;
    let url = |path: &str| format!("http://{}{path}", addsvc.http);
    let post = ["-H", "content-type: application/json", "-d", r#"{"a":1}"#];

    let answer = curl(post.into_iter().chain([&*url("/nope")])).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (404, &"application/problem+json".parse().unwrap())
    );

    for verb in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = curl(post.into_iter().chain(["-X", verb, &*url("/sum")])).await.unwrap();
        assert_eq!(answer.status(), 405, "{verb}");
        assert_eq!(answer.headers()["allow"], "POST", "{verb}");
    }

    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "\u{e9}"] {
        let header = format!("content-type: {content_type}");
        let answer = curl(["-H", &header, "-d", r#"{"a":1}"#, &url("/sum")]).await.unwrap();
        assert_eq!(answer.status(), 415, "{content_type}");
        let problem: Value = serde_json::from_slice(answer.body()).unwrap();
        assert!(problem["detail"].as_str().unwrap().contains("content type"), "{problem}");
    }
    for content_type in ["application/json; charset=utf-8", "application/vnd.add+json", "Application/JSON"] {
        let header = format!("content-type: {content_type}");
        let answer = curl(["-H", &header, "-d", r#"{"a":1}"#, &url("/sum")]).await.unwrap();
        assert_eq!(answer.status(), 200, "{content_type}");
    }
}

#[tokio::test]
async fn a_deadline_that_is_none_is_named() {
    let addsvc = start().await;
    for deadline in ["abc", "1", "m", "-1S", "123456789n", "1.5S", "1x"] {
        let (header, url) = (format!("grpc-timeout: {deadline}"), format!("http://{}/sum", addsvc.http));
        let answer =
            curl(["-H", &header, "-d", r#"{"a":1}"#, "-H", "content-type: application/json", &url]).await.unwrap();
        let problem: Value = serde_json::from_slice(answer.body()).unwrap();
        let detail = problem["detail"].as_str().unwrap();
        assert_eq!(answer.status(), 400, "{deadline}");
        assert!(detail.contains("grpc-timeout") && detail.contains(deadline), "{detail}");
    }
}

/// The most memory that a process has had, in KiB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_body_of_100_mb_is_refused_and_never_kept_in_memory() {
    let addsvc = start().await;
    addsvc.post("/sum", r#"{"a":1}"#).await;
    let before = peak(addsvc.child.pid());
    let dir = kit_testing::temp::temp_dir().unwrap();
    let file = dir.path().join("big");
    std::fs::write(&file, vec![b' '; 100_000_000]).unwrap();
    let (data, url) = (format!("@{}", file.display()), format!("http://{}/sum", addsvc.http));
    let json = "content-type: application/json";
    for chunked in [false, true] {
        let length = if chunked { "transfer-encoding: chunked" } else { "x-nothing: 1" };
        let answer = curl(["-H", json, "-H", length, "--data-binary", &data, &url]).await.unwrap();
        assert_eq!(answer.status(), 413, "chunked: {chunked}");
    }
    let grown = peak(addsvc.child.pid()) - before;
    assert!(grown < 10_000, "the server grew by {grown} KiB");
}

#[tokio::test]
async fn a_body_that_stops_half_way_leaves_the_others_alone() {
    let addsvc = start().await;
    let half = "POST /sum HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{\"a\":1,";
    let mut silent = Peer::connect(addsvc.http).await.unwrap();
    silent.send(half).await.unwrap();
    // Half closed: no more will come, and an answer can still be read.
    let mut closed = Peer::connect(addsvc.http).await.unwrap();
    closed.send(half).await.unwrap();
    closed.finish().await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(5), closed.closed()).await;
    assert!(ended.is_ok(), "the connection hangs");
    assert_eq!(addsvc.post("/sum", r#"{"a":1}"#).await.0, 200);
}
