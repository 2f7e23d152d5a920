//! The program: its debug pages, its end, and what it says when it cannot start.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

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
    let mut command = Command::new(env!("CARGO_BIN_EXE_addsvc"));
    command.args(["--http-addr", &addr, "--debug-addr", "127.0.0.1:0"]);
    let mut child = Child::spawn(command).unwrap();
    let status = child.wait(Duration::from_secs(5)).unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(child.stderr().contains(&addr), "{}", child.stderr());
}
