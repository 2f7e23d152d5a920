//! The stop of the program while it is called from all sides: no call that has begun is lost.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use addsvc::{
    Add, AddEndpoints, AddError, Adder, ConcatReply, ConcatRequest, SumReply, SumRequest, grpc_client, grpc_server,
};
use kit_base::{Context, Kind, Origin};
use kit_serve::Server;
use kit_testing::process::{Child, Signal};
use kit_testing::temp::temp_dir;
use kit_testing::tools::skip_unless_or;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::start;

/// What became of the calls of one caller.
#[derive(Default)]
struct Told {
    answered: u64,
    /// Those that had no chance to begin.
    refused: u64,
    wrong: Vec<String>,
}

/// Calls without a pause, until the server is gone.
async fn caller(remote: Arc<impl Add>, answered: Arc<AtomicU64>, gone: Arc<AtomicBool>) -> Told {
    let mut told = Told::default();
    for n in 1.. {
        // Whoever is told that nobody is there may be told so again.
        if gone.load(SeqCst) && told.refused > 0 {
            break;
        }
        match remote.sum(&Context::new(), SumRequest { a: n, b: 1 }).await {
            Ok(reply) if reply.v == n + 1 => {
                told.answered += 1;
                answered.fetch_add(1, SeqCst);
            }
            Err(AddError::Other(error)) if (error.kind(), error.origin()) == (Kind::Unavailable, Origin::NotSent) => {
                told.refused += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            other => told.wrong.push(format!("{other:?}")),
        }
    }
    told
}

#[tokio::test]
async fn a_stop_under_load_loses_no_call_that_has_begun() {
    for _ in 0..5 {
        let mut addsvc = start().await;
        let (answered, gone) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut callers = JoinSet::new();
        // Four connections, with eight calls on each at any time.
        for _ in 0..4 {
            let remote = Arc::new(grpc_client(&format!("http://{}", addsvc.grpc)).unwrap());
            for _ in 0..8 {
                let remote = Arc::clone(&remote);
                let (answered, gone) = (Arc::clone(&answered), Arc::clone(&gone));
                callers.spawn(async move { caller(remote, answered, gone).await });
            }
        }
        while answered.load(SeqCst) < 200 {
            tokio::task::yield_now().await;
        }
        addsvc.child.signal(Signal::Terminate).unwrap();
        let status = tokio::task::spawn_blocking(move || addsvc.child.wait(Duration::from_secs(15)).unwrap());
        assert_eq!(status.await.unwrap().code(), Some(0));
        gone.store(true, SeqCst);

        let told = callers.join_all().await;
        let wrong: Vec<_> = told.iter().flat_map(|told| &told.wrong).collect();
        assert!(wrong.is_empty(), "{} calls were lost: {wrong:?}", wrong.len());
        assert!(told.iter().all(|told| told.answered > 0 && told.refused > 0));
    }
}

#[tokio::test]
async fn nor_does_it_lose_one_of_a_client_that_no_one_here_wrote() {
    if !skip_unless_or("h2load", "run `cargo xtask servers h2load`") {
        return;
    }
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let (addr, stats) = (server.local_addr(), server.stats());
    let (stop, stopping) = oneshot::channel::<()>();
    let service = AddEndpoints::new(Adder).bind(grpc_server(())).build().unwrap();
    let serving = tokio::spawn(server.serve(service, async { stopping.await.unwrap_or(()) }));

    let folder = temp_dir().unwrap();
    let body = folder.path().join("body");
    std::fs::write(&body, [0, 0, 0, 0, 4, 0x08, 1, 0x10, 2]).unwrap();
    let mut load = Command::new("h2load");
    // More calls than there is time for.
    load.args([
        "-n",
        "5000000",
        "-c",
        "4",
        "-m",
        "8",
        "-H",
        "content-type: application/grpc",
        "-H",
        "te: trailers",
        "-d",
    ]);
    let mut load = Child::spawn(load.arg(&body).arg(format!("http://{addr}/pb.Add/Sum"))).unwrap();
    while stats.requests_total() < 200 {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    assert!(serving.await.unwrap().is_clean());
    let told = tokio::task::spawn_blocking(move || {
        load.wait(Duration::from_secs(60)).unwrap();
        load.stdout()
    });
    let told = told.await.unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix("requests: ")).expect(&told);
    let succeeded = line.split(", ").find_map(|part| part.strip_suffix(" succeeded")).expect(line);
    // What it counts as started has not always left it. Each call whose head was read here has its answer there.
    assert_eq!(succeeded.parse::<u64>().unwrap(), stats.requests_total(), "{line}");
}

/// Sums when it is told to, and joins texts at once.
struct Waiting {
    begun: Arc<AtomicU64>,
    go: watch::Receiver<bool>,
}

impl Add for Waiting {
    async fn sum(&self, _: &Context, req: SumRequest) -> Result<SumReply, AddError> {
        self.begun.fetch_add(1, SeqCst);
        self.go.clone().wait_for(|go| *go).await.unwrap();
        Ok(SumReply { v: req.a + req.b })
    }

    async fn concat(&self, _: &Context, req: ConcatRequest) -> Result<ConcatReply, AddError> {
        Ok(ConcatReply { v: req.a })
    }
}

#[tokio::test]
async fn calls_under_way_are_answered_after_the_stop_and_those_that_come_then_may_be_made_again() {
    const CALLS: i64 = 100;
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let remote = Arc::new(grpc_client(&format!("http://{}", server.local_addr())).unwrap());
    let (stop, stopping) = oneshot::channel::<()>();
    let (begun, (go, gone)) = (Arc::new(AtomicU64::new(0)), watch::channel(false));
    let waiting = Waiting { begun: Arc::clone(&begun), go: gone };
    let service = AddEndpoints::new(waiting).bind(grpc_server(())).build().unwrap();
    let serving = tokio::spawn(server.serve(service, async { stopping.await.unwrap_or(()) }));

    let mut calls = JoinSet::new();
    for n in 0..CALLS {
        let remote = Arc::clone(&remote);
        calls.spawn(async move { remote.sum(&Context::new(), SumRequest { a: n, b: 1 }).await.map(|reply| reply.v) });
    }
    while begun.load(SeqCst) < CALLS.unsigned_abs() {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    let refused = loop {
        match remote.concat(&Context::new(), ConcatRequest::default()).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(AddError::Other(error)) => break error,
            Err(own) => panic!("{own}"),
        }
    };
    assert_eq!((refused.kind(), refused.origin()), (Kind::Unavailable, Origin::NotSent), "{refused:?}");
    go.send(true).unwrap();
    let mut sums: Vec<_> = calls.join_all().await.into_iter().map(Result::unwrap).collect();
    sums.sort_unstable();
    assert_eq!(sums, (1..=CALLS).collect::<Vec<_>>());
    assert!(serving.await.unwrap().is_clean());
}
