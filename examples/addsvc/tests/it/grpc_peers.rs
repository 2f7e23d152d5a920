//! Go kit's `pb.Add` spoken by a program that no one here wrote: gRPC's C++ core, from Python.

use std::process::Command;
use std::time::Duration;

use addsvc::{Add as _, AddError, ConcatRequest, SumRequest, grpc_client};
use kit_base::{Context, Kind};
use kit_testing::process::Child;
use kit_testing::tools::skip_unless_or;
use serde_json::{Value, json};

use crate::start;

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/venv/bin/python");
const HANGS: Duration = Duration::from_secs(30);

#[must_use]
fn python_is_here() -> bool {
    skip_unless_or(PYTHON, "run `cargo xtask servers grpcio`")
}

fn script(args: &[&str]) -> Child {
    let mut command = Command::new(PYTHON);
    command.args(["-B", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pb_add.py")]).args(args);
    Child::spawn(command).unwrap()
}

#[tokio::test]
async fn a_client_on_grpc_s_own_core_gets_the_answers_of_go_kit_s_addsvc() {
    if !python_is_here() {
        return;
    }
    let addsvc = start().await;
    let addr = addsvc.grpc.to_string();
    let answers = tokio::task::spawn_blocking(move || {
        let mut child = script(&["client", &addr]);
        let status = child.wait(HANGS).unwrap();
        assert!(status.success(), "{}", child.stderr());
        child.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    })
    .await
    .unwrap();
    let expected = [
        json!(["Sum", "OK", {"v": 3, "err": ""}]),
        json!(["Sum", "OK", {"v": -2, "err": ""}]),
        json!(["Sum", "OK", {"v": 0, "err": ""}]),
        json!(["Sum", "OK", {"v": 0, "err": "can't sum two zeroes"}]),
        json!(["Sum", "OK", {"v": 0, "err": "integer overflow"}]),
        json!(["Concat", "OK", {"v": "ab", "err": ""}]),
        json!(["Concat", "OK", {"v": "äöü", "err": ""}]),
        json!(["Concat", "OK", {"v": "", "err": ""}]),
        json!(["Concat", "OK", {"v": "", "err": "result exceeds maximum size"}]),
        json!(["Product", "UNIMPLEMENTED", null]),
        json!(["hundred at once", "OK", 100]),
    ];
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn our_client_gets_the_answers_of_a_server_that_behaves_as_go_kit_s_addsvc() {
    if !python_is_here() {
        return;
    }
    let (_child, port) = tokio::task::spawn_blocking(|| {
        let child = script(&["server"]);
        let port = child.wait_for(HANGS, "its port", |line| line.parse::<u16>().ok()).unwrap();
        (child, port)
    })
    .await
    .unwrap();
    let remote = grpc_client(&format!("http://127.0.0.1:{port}")).unwrap();
    let cx = Context::new();
    assert_eq!(remote.sum(&cx, SumRequest { a: 1, b: -3 }).await.unwrap().v, -2);
    let two_zeroes = remote.sum(&cx, SumRequest { a: 0, b: 0 }).await.unwrap_err();
    assert!(matches!(two_zeroes, AddError::TwoZeroes), "{two_zeroes:?}");
    let overflow = remote.sum(&cx, SumRequest { a: i32::MAX.into(), b: 1 }).await.unwrap_err();
    assert!(matches!(overflow, AddError::IntegerOverflow), "{overflow:?}");
    let concat = |a: &str, b: &str| ConcatRequest { a: a.into(), b: b.into() };
    assert_eq!(remote.concat(&cx, concat("ä", "b")).await.unwrap().v, "äb");
    let long = remote.concat(&cx, concat("12345", "678901")).await.unwrap_err();
    assert!(matches!(long, AddError::MaxSizeExceeded), "{long:?}");
    // A plain error of an endpoint, as Go kit's limiter gives it.
    let limited = remote.sum(&cx, SumRequest { a: 429, b: 0 }).await.unwrap_err();
    let AddError::Other(limited) = limited else { panic!("{limited:?}") };
    assert_eq!((limited.kind(), limited.message()), (Kind::Unknown, "rate limit exceeded"));
}
