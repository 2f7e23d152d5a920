//! The program: its debug pages, its end, and what it says when it cannot start.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use addsvc::{Add as _, SumRequest, grpc_client};
use kit_base::Context;
use kit_testing::http::curl;
use kit_testing::process::{Child, Signal};

use crate::start;

#[tokio::test]
async fn health_and_readiness_are_told_on_the_debug_port() {
    let addsvc = start().await;
    for (page, text) in [("healthz", "ok\n"), ("readyz", "ready\n")] {
        let answer = curl([format!("http://{}/{page}", addsvc.debug)]).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, text.as_bytes()));
    }
    // Calls of both transports count.
    addsvc.post("/sum", r#"{"a":1}"#).await;
    let remote = grpc_client(&format!("http://{}", addsvc.grpc)).unwrap();
    assert_eq!(remote.sum(&Context::new(), SumRequest { a: 1, b: 2 }).await.unwrap().v, 3);
    let stats = curl([format!("http://{}/stats", addsvc.debug)]).await.unwrap();
    assert_eq!(&stats.body()[..], b"requests 2\npanics 0\n");
    let answer = curl([format!("http://{}/sum", addsvc.debug)]).await.unwrap();
    assert_eq!(answer.status(), 404);
}

#[tokio::test]
async fn it_leaves_with_zero_on_either_signal() {
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let mut addsvc = start().await;
        addsvc.child.signal(signal).unwrap();
        let status = addsvc.child.wait(Duration::from_secs(5)).unwrap();
        assert_eq!(status.code(), Some(0), "{}", addsvc.child.stderr());
        assert!(addsvc.child.stdout().ends_with("addsvc: stopping\n"));
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for port in ["--http-addr", "--grpc-addr", "--debug-addr"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_addsvc"));
        for flag in ["--http-addr", "--grpc-addr", "--debug-addr"] {
            command.args([flag, if flag == port { &addr } else { "127.0.0.1:0" }]);
        }
        let mut child = Child::spawn(command).unwrap();
        let status = child.wait(Duration::from_secs(5)).unwrap();
        assert_eq!(status.code(), Some(1));
        assert!(child.stderr().contains(&addr), "{}", child.stderr());
    }
}

#[tokio::test]
async fn it_is_not_ready_while_it_answers_its_last_request() {
    let mut addsvc = start().await;
    // A request that is half there keeps the service busy.
    let mut slow = kit_testing::http::Peer::connect(addsvc.http).await.unwrap();
    let head = "POST /sum HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n";
    slow.send(head).await.unwrap();
    let stats = format!("http://{}/stats", addsvc.debug);
    while !curl([&stats]).await.unwrap().body().starts_with(b"requests 1\n") {
        tokio::task::yield_now().await;
    }
    addsvc.child.signal(Signal::Terminate).unwrap();
    addsvc.child.wait_for_line("stopping", Duration::from_secs(5)).unwrap();
    let ready = curl([format!("http://{}/readyz", addsvc.debug)]).await.unwrap();
    assert_eq!((ready.status().as_u16(), &ready.body()[..]), (503, &b"not ready\n"[..]));
    slow.send(r#"{"a":1}"#).await.unwrap();
    assert_eq!(slow.response().await.unwrap().status(), 200);
    assert_eq!(addsvc.child.wait(Duration::from_secs(5)).unwrap().code(), Some(0));
}

#[test]
fn it_stops_cleanly_when_nobody_listens_to_it() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    let mut child = Command::new(env!("CARGO_BIN_EXE_addsvc"))
        .args(["--http-addr", "127.0.0.1:0", "--grpc-addr", "localhost:0", "--debug-addr", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("addsvc: http on "));
    assert!(lines.nth(4).unwrap().unwrap().contains("/readyz"));
    drop(lines);
    let stopped = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
