//! Requests that come back: what surely did not begin is given back as it was, and a server that is killed costs no other calls
//! than those on it.

use std::cell::Cell;
use std::process::Command;
use std::time::{Duration, Instant};

use kit_base::{
    Connect, Context, Deadline, Endpoint, Error, Kind, Operation, Origin, Request, ServerStream, Streaming,
};
use kit_testing::backend::{Backend, Reply};
use kit_testing::ports;
use kit_testing::process::{Child, Signal};
use kit_transport_http::{Connected, EncodeRequest, HttpClient, Json, Outgoing, Route};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{HANGS, Notes, Sum, chain, op, sum};

/// Says where a server is to tell its address: then it runs until it is killed.
const SERVE: &str = "KIT_TEST_SERVE";

/// The server that other tests start and kill.
#[tokio::test]
async fn serves_where_another_test_asks_for_it() {
    if std::env::var_os(SERVE).is_none() {
        return;
    }
    let served = crate::support::up(sum()).await;
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
    for _ in 0..20 {
        let (mut child, url) = server().await;
        let call: Connected<Json, Sum, Value> = HttpClient::new(&url).unwrap().endpoint(op("sum"));
        let mut calls = JoinSet::new();
        for _ in 0..16 {
            let call = call.clone();
            calls.spawn(async move {
                let mut failed = Vec::new();
                let mut ok = 0;
                while failed.len() < 4 {
                    let started = Instant::now();
                    match call.call(Request::new(Sum { a: 1, b: 2 })).await {
                        Ok(_) => ok += 1,
                        Err(mut error) => {
                            let back = error.take_unsent::<Request<Sum>>().is_some();
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
                if b { back += 1 } else if started < killed { flight += 1 } else { neither.push(text) }
            }
        }
        println!("ok {ok} flight {flight} back {back} neither {neither:?}");
    }
}
