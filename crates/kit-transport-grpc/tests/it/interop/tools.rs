//! Our server under `buf curl` (Go) and h2load (nghttp2).

use serde_json::{Value, json};

use crate::peers::{PROTO, buf_curl, buf_is_here, h2load, h2load_is_here};
use crate::probe::Probe;

#[tokio::test]
async fn buf_calls_each_kind_of_method() {
    if !buf_is_here() {
        return;
    }
    let probe = Probe::serve(|server| server).await;
    let schema = ["--schema", PROTO];
    let verbose = [&schema[..], &["-v", "-H", "x-a: 1", "-H", "x-b-bin: AP8"]].concat();
    let echo = buf_curl(probe.addr, &verbose, "Echo", r#"{"text": "é", "payload": "AAH/"}"#).await;
    assert!(echo.success, "{}", echo.stderr);
    let reply: Value = serde_json::from_str(&echo.stdout).expect(&echo.stdout);
    assert_eq!((&reply["text"], &reply["payload"]), (&json!("é"), &json!("AAH/")));
    assert_eq!((&reply["metadata"]["x-a"], &reply["metadata"]["x-b-bin"]), (&json!("1"), &json!("00ff")));
    // Names as Go writes them.
    let told = echo.stderr.to_lowercase();
    for line in ["x-probe-head: 1", "x-probe-head-bin: aah/", "x-probe-tail: the end", "x-probe-tail-bin: /wea"] {
        assert!(told.contains(line), "{line} {told}");
    }
    for (method, request, replies) in [
        ("Count", r#"{"n": 2}"#, r#"{"i":1}{"i":2}"#),
        ("Sum", r#"{"value": 1}{"value": 2}"#, r#"{"total":"3","count":2}"#),
    ] {
        let ran = buf_curl(probe.addr, &schema, method, request).await;
        assert!(ran.success, "{}", ran.stderr);
        assert_eq!(ran.stdout.split_whitespace().collect::<String>(), replies);
    }
    let chat = buf_curl(probe.addr, &schema, "Chat", r#"{"text": "a"}{"text": "b"}"#).await;
    let replies: Vec<Value> =
        serde_json::Deserializer::from_str(&chat.stdout).into_iter().map(Result::unwrap).collect();
    let texts: Vec<_> = replies.iter().map(|reply| &reply["text"]).collect();
    assert_eq!(texts, ["a", "b"], "{chat:?}");
}

#[tokio::test]
async fn buf_shows_our_errors_with_their_details() {
    if !buf_is_here() {
        return;
    }
    let probe = Probe::serve(|server| server).await;
    let fail = json!({"code": 5, "message": "nö: 100 %\n", "reason": "GONE", "retryAfterMs": 1500,
        "fieldViolations": {"a.b": "is bad"}});
    // Without messages, and after one.
    for (method, request) in [("Echo", json!({ "fail": fail })), ("Count", json!({"n": 1, "fail": fail}))] {
        let error = buf_curl(probe.addr, &["--schema", PROTO], method, &request.to_string()).await;
        assert!(!error.success);
        let told: Value = serde_json::from_str(&error.stderr).expect(&error.stderr);
        assert_eq!((&told["code"], &told["message"]), (&json!("not_found"), &fail["message"]));
        let details = told["details"].as_array().unwrap();
        let mut types: Vec<_> = details.iter().map(|detail| detail["type"].as_str().unwrap()).collect();
        types.sort_unstable();
        assert_eq!(types, ["google.rpc.BadRequest", "google.rpc.ErrorInfo", "google.rpc.RetryInfo"]);
    }
    let missing = buf_curl(probe.addr, &["--schema", PROTO], "Echo", r#"{"fail": {"code": 99}}"#).await;
    let told: Value = serde_json::from_str(&missing.stderr).expect(&missing.stderr);
    assert_eq!((&told["code"], &told["message"]), (&json!("unknown"), &json!("unknown error")));
}

#[tokio::test]
async fn h2load_drives_a_unary_method_over_many_connections() {
    if !h2load_is_here() {
        return;
    }
    let mut probe = Probe::serve(|server| server).await;
    // A text of one letter.
    let message = [0x0a, 0x01, b'x'];
    let load = h2load(probe.addr, "/kit.probe.v1.Probe/Echo", &message, &["-n", "2000", "-c", "4", "-m", "50"]).await;
    assert!(load.stdout.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{load:?}");
    assert!(load.stdout.contains("status codes: 2000 2xx"), "{load:?}");
    // It knows of HTTP statuses only; an error of gRPC is 200 too.
    let ended = probe.ended("Echo");
    assert_eq!((ended.len(), ended.iter().filter(|how| *how == "OK").count()), (2000, 2000));
}
