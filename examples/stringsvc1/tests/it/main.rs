//! The built stringsvc1, strict and in the manner of Go.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod openapi;

use std::process::Command;
use std::time::Duration;

use kit_testing::http::curl;
use kit_testing::process::{Child, Signal};
use serde_json::{Value, json};

/// Starts stringsvc1, and gives its URL.
async fn start(args: &'static [&'static str]) -> (Child, String) {
    tokio::task::spawn_blocking(move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stringsvc1"));
        command.args(["--http-addr", "127.0.0.1:0"]).args(args);
        let child = Child::spawn(command).unwrap();
        let addr = |line: &str| Some(line.strip_prefix("stringsvc1: http on ")?.strip_suffix("; try")?.to_owned());
        let addr = child.wait_for(Duration::from_secs(10), "the address", addr).unwrap();
        (child, format!("http://{addr}"))
    })
    .await
    .unwrap()
}

async fn call(verb: &str, url: &str, body: &str) -> (u16, Value) {
    let json = "content-type: application/json";
    let answer = curl(["-X", verb, "-H", json, "--data-binary", body, url]).await.unwrap();
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or(Value::Null))
}

#[tokio::test]
async fn strings_are_answered_as_by_go_kit_in_either_mode() {
    for args in [&[][..], &["--go-compat"]] {
        let (_child, url) = start(args).await;
        for (path, body, answer) in [
            ("/uppercase", r#"{"s":"hello, world"}"#, json!({"v": "HELLO, WORLD"})),
            ("/uppercase", r#"{"s":""}"#, json!({"v": "", "err": "empty string"})),
            ("/uppercase", r#"{"s":"a<b>&é"}"#, json!({"v": "A<B>&É"})),
            ("/count", r#"{"s":"héllo"}"#, json!({"v": 6})),
            ("/count", r#"{}"#, json!({"v": 0})),
        ] {
            for verb in ["POST", "GET"] {
                let got = call(verb, &format!("{url}{path}"), body).await;
                assert_eq!(got, (200, answer.clone()), "{verb} {path} {body} {args:?}");
            }
        }
        assert_eq!(call("POST", &format!("{url}/nope"), "{}").await.0, 404);
    }
}

#[tokio::test]
async fn malformed_bodies_are_400_with_problem_details() {
    let (_child, url) = start(&[]).await;
    let count = format!("{url}/count");
    for body in ["", "nope", r#"{"s":7}"#, "[]", "null", r#"{"s":"x"} trailing"#] {
        let (status, problem) = call("POST", &count, body).await;
        assert_eq!((status, &problem["kind"]), (400, &json!("INVALID_ARGUMENT")), "{body}");
    }
    let (status, _) = call("DELETE", &count, "{}").await;
    assert_eq!(status, 405);
    // A GET needs its body too, and the query is none.
    let bare = curl([format!("{count}?s=query")]).await.unwrap();
    assert_eq!(bare.status(), 400);
    assert_eq!(call("GET", &format!("{count}?s=query"), r#"{"s":"x"}"#).await, (200, json!({"v": 1})));
}

#[tokio::test]
async fn go_compat_has_go_s_statuses_and_its_lenient_reading() {
    let (_child, url) = start(&["--go-compat"]).await;
    for (path, body, expected) in
        [("/count", "null", (200, json!({"v": 0}))), ("/uppercase", r#"{"S":"x"} trailing"#, (200, json!({"v": "X"})))]
    {
        assert_eq!(call("POST", &format!("{url}{path}"), body).await, expected, "{path} {body}");
    }
    for body in ["", "nope", r#"{"s":7}"#, "[]"] {
        assert_eq!(call("POST", &format!("{url}/count"), body).await.0, 500, "{body}");
    }
    assert_eq!(call("DELETE", &format!("{url}/count"), r#"{"s":"abc"}"#).await, (200, json!({"v": 3})));
    let form = curl(["-d", r#"{"s":"abc"}"#, &format!("{url}/count")]).await.unwrap();
    assert_eq!(form.status(), 200);
}

#[tokio::test]
async fn it_leaves_with_zero_on_either_signal() {
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let (mut child, _) = start(&[]).await;
        child.signal(signal).unwrap();
        assert_eq!(child.wait(Duration::from_secs(5)).unwrap().code(), Some(0));
    }
}
