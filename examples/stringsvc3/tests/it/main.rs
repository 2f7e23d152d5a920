//! The built stringsvc3, by itself and in front of others.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod breaker;
mod limit;

use std::process::Command;
use std::time::Duration;

use kit_testing::backend::{Backend, Reply};
use kit_testing::http::curl;
use kit_testing::process::{Child, Signal};
use serde_json::{Value, json};

/// Starts stringsvc3, and gives its URL and its first line.
async fn start(args: &[&str]) -> (Child, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stringsvc3"));
    command.args(["--http-addr", "127.0.0.1:0"]).args(args);
    tokio::task::spawn_blocking(move || {
        let child = Child::spawn(command).unwrap();
        let line = child.wait_for_line("stringsvc3: http on ", Duration::from_secs(10)).unwrap();
        let addr = line.strip_prefix("stringsvc3: http on ").unwrap().split_once(',').unwrap().0.to_owned();
        (child, format!("http://{addr}"), line)
    })
    .await
    .unwrap()
}

async fn call(url: &str, method: &str, body: Value) -> (u16, Value) {
    let (json, url, body) = ("content-type: application/json", format!("{url}/{method}"), body.to_string());
    let answer = curl(["-H", json, "-d", &body, &url]).await.unwrap();
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
}

#[tokio::test]
async fn without_a_proxy_it_does_it_all_by_itself() {
    let (_child, url, line) = start(&[]).await;
    assert!(line.ends_with(", proxy_to=none; try"), "{line}");
    assert_eq!(call(&url, "uppercase", json!({"s": "hello"})).await, (200, json!({"v": "HELLO"})));
    assert_eq!(call(&url, "count", json!({"s": "hello"})).await, (200, json!({"v": 5})));
    let empty = call(&url, "uppercase", json!({"s": ""})).await;
    assert_eq!(empty, (200, json!({"v": "", "err": "empty string"})));
}

/// As in Go kit's walk-through: three of them, and one before these.
#[tokio::test]
async fn uppercase_goes_to_the_others_one_after_the_other_and_count_stays() {
    let others = [start(&[]).await, start(&[]).await, start(&[]).await];
    let list = others.each_ref().map(|(_, url, _)| url.strip_prefix("http://").unwrap()).join(", ");
    let (_child, url, line) = start(&["--proxy", &list]).await;
    let proxy_to = others.each_ref().map(|(_, url, _)| format!("{url}/uppercase")).join(",");
    assert!(line.ends_with(&format!(", proxy_to={proxy_to}; try")), "{line}");
    for text in ["a", "b", "c", "d"] {
        assert_eq!(call(&url, "uppercase", json!({"s": text})).await, (200, json!({"v": text.to_uppercase()})));
    }
    // The error of a business rule is the others', and is passed on.
    let empty = call(&url, "uppercase", json!({"s": ""})).await;
    assert_eq!(empty, (200, json!({"v": "", "err": "empty string"})));
    drop(others);
    assert_eq!(call(&url, "count", json!({"s": "hello"})).await, (200, json!({"v": 5})));
    let (status, reply) = call(&url, "uppercase", json!({"s": "x"})).await;
    assert_eq!((status, reply), (200, json!({"v": "", "err": "cannot connect to the service"})));
}

#[tokio::test]
async fn each_is_asked_in_turn_by_get_with_a_body_at_its_own_path() {
    let reply = |v: &str| Reply::json(json!({ "v": v }).to_string());
    let one = Backend::start(reply("1")).await.unwrap();
    let other = Backend::start(reply("2")).await.unwrap();
    let list = format!("{},http://{}/v2/upper", one.addr(), other.addr());
    let (_child, url, _) = start(&["--proxy", &list]).await;
    for n in 0..6 {
        let v = if n % 2 == 0 { "1" } else { "2" };
        assert_eq!(call(&url, "uppercase", json!({"s": "x"})).await, (200, json!({ "v": v })));
    }
    for (backend, path) in [(one, "/uppercase"), (other, "/v2/upper")] {
        let requests = backend.requests();
        assert_eq!(requests.len(), 3);
        for request in requests {
            assert_eq!((request.method().as_str(), request.uri().path()), ("GET", path));
            assert_eq!(request.headers()["content-type"], "application/json");
            assert_eq!(&request.body()[..], br#"{"s":"x"}"#);
        }
    }
}

#[tokio::test]
async fn what_fails_there_is_told_within_the_reply() {
    let broken = Backend::start(Reply::status(500).body("secret")).await.unwrap();
    let (_child, url, _) = start(&["--proxy", &broken.url()]).await;
    let (status, reply) = call(&url, "uppercase", json!({"s": "x"})).await;
    assert_eq!((status, &reply["v"]), (200, &json!("")));
    let err = reply["err"].as_str().unwrap();
    assert!(!err.is_empty() && !err.contains("secret"), "{err}");
    // What is malformed never goes there.
    assert_eq!(call(&url, "uppercase", json!({"s": 7})).await.0, 400);
    assert_eq!(broken.requests().len(), 1);
}

#[tokio::test]
async fn one_that_is_gone_costs_no_call() {
    let alive = start(&[]).await;
    let gone = kit_testing::ports::free_port().unwrap();
    let (_child, url, _) = start(&["--proxy", &format!("{},{}", gone.addr(), alive.1)]).await;
    for _ in 0..6 {
        assert_eq!(call(&url, "uppercase", json!({"s": "x"})).await, (200, json!({"v": "X"})));
    }
}

#[test]
fn a_list_that_makes_no_sense_is_refused_with_what_is_wrong() {
    for (list, wrong) in
        [("", "\"\""), ("127.0.0.1:1,,127.0.0.1:2", "\"\""), ("ftp://a:1", "\"ftp://a:1\""), ("a:1?x=1", "\"a:1?x=1\"")]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_stringsvc3")).args(["--proxy", list]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(&format!("{wrong} is no address")), "{list}: {stderr}");
    }
}

#[tokio::test]
async fn it_leaves_with_zero_on_either_signal() {
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let (mut child, ..) = start(&["--proxy", "127.0.0.1:1"]).await;
        child.signal(signal).unwrap();
        assert_eq!(child.wait(Duration::from_secs(5)).unwrap().code(), Some(0));
    }
}
