//! Requests that come back: what surely did not begin is given back as it was, and a server that is killed costs no other calls
//! than those on it.

use std::process::Command;
use std::time::{Duration, Instant};

use kit_base::{Endpoint, Request, Response};
use kit_testing::process::{Child, Signal};
use kit_transport_grpc::GrpcClient;
use tokio::task::JoinSet;

use crate::connections::ends::chain;
use crate::support::{HANGS, Note, echo, echoing, note, serve};

/// Says where a server is to tell its address: then it runs until it is killed.
const SERVE: &str = "KIT_TEST_SERVE";

/// The server that other tests start and kill.
#[tokio::test]
async fn serves_where_another_test_asks_for_it() {
    if std::env::var_os(SERVE).is_none() {
        return;
    }
    let served = serve(echoing(async |request: Request<_>| Ok(Response::new(request.into_message())))).await;
    println!("listening on {}", served.addr);
    std::future::pending().await
}

async fn server() -> (Child, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "unsent::serves_where_another_test_asks_for_it", "--nocapture"]).env(SERVE, "1");
    let child = Child::spawn(command).unwrap();
    let addr = child.wait_for(HANGS, "the address", |line| Some(line.split_once("listening on ")?.1.to_owned()));
    (child, format!("http://{}", addr.unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn measure() {
    for round in 0..40 {
        let (mut child, url) = server().await;
        let n = if round % 2 == 0 { 16 } else { 2 };
        let call = GrpcClient::new(&url).unwrap().endpoint::<Note, Note>(echo());
        let mut calls = JoinSet::new();
        for _ in 0..n {
            let call = call.clone();
            calls.spawn(async move {
                let mut failed = Vec::new();
                let mut ok = 0;
                while failed.len() < 4 {
                    let started = Instant::now();
                    match call.call(Request::new(note("x"))).await {
                        Ok(_) => ok += 1,
                        Err(mut error) => {
                            let back = error.take_unsent::<Request<Note>>().is_some();
                            failed.push((started, back, chain(&error)));
                        }
                    }
                }
                (ok, failed)
            });
        }
        let killed = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(100));
            child.signal(Signal::Kill).unwrap();
            child.wait(HANGS).unwrap();
            Instant::now()
        });
        let killed = killed.await.unwrap();
        let (mut ok, mut flight, mut neither, mut back) = (0, 0, Vec::new(), 0);
        for (o, failed) in calls.join_all().await {
            ok += o;
            for (started, b, text) in failed {
                if b {
                    back += 1
                } else if started < killed {
                    flight += 1
                } else {
                    neither.push(text)
                }
            }
        }
        println!("ok {ok} flight {flight} back {back} neither {neither:?}");
    }
}
