//! Many calls where there is no server, one that ends each connection, or one that does not go on; and several runtimes.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use h2::server::Builder;
use kit_base::{Context, Deadline, Endpoint, Kind, Origin, Request};
use kit_transport_grpc::Connections;
use tokio::io::AsyncReadExt;
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinSet;

use super::dead::{Frames, GOAWAY};
use super::ends::{calling, chain, soon, text_of};
use super::host::Host;
use super::making::tasks_are;
use crate::support::{HANGS, echoing, note, serve};

#[tokio::test]
async fn calls_to_a_server_that_hangs_up_at_once_make_few_connections() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new());
    let started = Instant::now();
    let made = async {
        let mut made = 0;
        loop {
            drop(host.accept_raw().await);
            made += 1;
            if started.elapsed() > Duration::from_secs(1) {
                return made;
            }
        }
    };
    let calls = async {
        loop {
            let error = echo.call(Request::new(note(""))).await.unwrap_err();
            assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{}", chain(&error));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let made = tokio::select! { made = made => made, () = calls => 0 };
    assert!((3..20).contains(&made), "{made} connections");
}

#[tokio::test]
async fn a_call_outlives_the_goodbye_of_all_of_many_connections() {
    const COUNT: usize = 16;
    let host = Host::bind().await;
    let echo = host.echo(Connections::new().count(NonZeroUsize::new(COUNT).unwrap()));
    let long: Vec<_> = (0..COUNT).map(|_| calling(&echo, "")).collect();
    let (mut lines, mut open) = (Vec::new(), Vec::new());
    for _ in 0..COUNT {
        lines.push(host.accept().await);
    }
    for line in &mut lines {
        open.push(line.call().await);
    }
    for line in &lines {
        line.say_goodbye();
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let call = calling(&echo, "");
    let mut new = host.accept().await;
    new.call().await.answer("new");
    assert_eq!(soon(call).await.map_err(|error| chain(&error)).unwrap(), "new");
    for call in open {
        call.answer("");
    }
    for call in long {
        soon(call).await.map_err(|error| chain(&error)).unwrap();
    }
}

#[tokio::test]
async fn the_server_is_told_the_time_that_is_left_when_the_request_leaves() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new());
    let deadline = Deadline::after(Instant::now(), Duration::from_secs(10));
    let request = Request::from_parts(Context::new().with_deadline(deadline), note(""));
    let call = tokio::spawn(async move { echo.call(request).await.map(text_of) });
    let slow = host.accept_raw().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut line = super::host::Line::over(Builder::new().handshake(slow).await.unwrap());
    let call_there = line.call().await;
    let left = call_there.timeout();
    assert!(left <= Duration::from_millis(9600) && left > Duration::from_secs(5), "{left:?}");
    call_there.answer("");
    soon(call).await.unwrap();
}

#[tokio::test]
async fn dropping_the_client_ends_a_connection_whose_peer_has_stopped_reading() {
    let host = Host::bind().await;
    let before = Handle::current().metrics().num_alive_tasks();
    let echo = host.echo(Connections::new().tcp_user_timeout(None));
    let call = calling(&echo, &"x".repeat(64 << 20));
    let mut stream = host.accept_raw().await;
    let mut hello = [0; 24];
    stream.read_exact(&mut hello).await.unwrap();
    // SETTINGS and WINDOW_UPDATE: as much as it likes.
    let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff];
    let window = [0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0];
    tokio::io::AsyncWriteExt::write_all(&mut stream, &Bytes::from([&settings[..], &window].concat())).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    call.abort();
    drop(echo);
    tasks_are(before).await;
}

#[test]
fn connections_of_a_runtime_that_is_gone_are_made_again_by_the_next() {
    let there = Runtime::new().unwrap();
    let host = there.block_on(Host::bind());
    let one = Runtime::new().unwrap();
    let echo = host.echo(Connections::new());
    let serving = there.spawn(async move {
        let mut lines = Vec::new();
        loop {
            let mut line = host.accept().await;
            line.call().await.answer("served");
            lines.push(line);
        }
    });
    let call = |runtime: &Runtime| {
        let call = echo.call(Request::new(note("")));
        runtime.block_on(async {
            tokio::time::timeout(HANGS, call).await.expect("no hang").map_err(|error| chain(&error)).map(text_of)
        })
    };
    assert_eq!(call(&one).unwrap(), "served");
    drop(one);
    let two = Runtime::new().unwrap();
    assert_eq!(call(&two).unwrap(), "served");
    serving.abort();
}

#[tokio::test]
async fn a_connection_that_ends_while_the_next_is_made_costs_no_other() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new().max_age(Duration::from_secs(1)));
    let call = calling(&echo, "");
    let mut old = host.accept().await;
    old.call().await.answer("");
    soon(call).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let call = calling(&echo, "");
    old.call().await.answer("");
    soon(call).await.unwrap();
    let next = host.accept_raw().await;
    old.go_away(Reason::NO_ERROR);
    old.ended().await;
    let calls: Vec<_> = (0..3).map(|_| calling(&echo, "")).collect();
    assert!(!host.is_asked().await);
    let mut line = super::host::Line::over(Builder::new().handshake(next).await.unwrap());
    for _ in &calls {
        line.call().await.answer("next");
    }
    let mut calls: JoinSet<_> = calls.into_iter().map(soon).collect();
    while let Some(call) = calls.join_next().await {
        assert_eq!(call.unwrap().map_err(|error| chain(&error)).unwrap(), "next");
    }
}

#[tokio::test]
async fn a_server_that_says_goodbye_to_each_connection_gets_few_of_them() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new());
    let started = Instant::now();
    let made = async {
        let mut made = 0;
        while started.elapsed() < Duration::from_secs(1) {
            let mut peer = Frames::greet(&host).await;
            peer.send(GOAWAY, 0, 0, &[0; 8]).await;
            made += 1;
        }
        made
    };
    let calls = async {
        loop {
            let error = echo.call(Request::new(note(""))).await.unwrap_err();
            assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{}", chain(&error));
        }
    };
    let made = tokio::select! { made = made => made, () = calls => 0 };
    assert!(made < 40, "{made} connections");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_leave_at_any_time_hold_up_no_others() {
    let server = serve(echoing(async |request: kit_base::Request<_>| {
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok(kit_base::Response::new(request.into_message()))
    }))
    .await;
    let echo = server.echo();
    let mut calls = JoinSet::new();
    for i in 0..4000 {
        let echo = echo.clone();
        calls.spawn(async move {
            let limit = Duration::from_micros(fastrand::u64(10_000..200_000));
            let deadline = Deadline::after(Instant::now(), limit);
            let context = if i % 4 == 0 { Context::new() } else { Context::new().with_deadline(deadline) };
            match echo.call(Request::from_parts(context, note(""))).await {
                // Servers end a connection with 20 resets in one piece.
                Err(error) if error.kind() == Kind::Unavailable => {}
                Err(error) if error.kind() == Kind::DeadlineExceeded && i % 4 != 0 => {}
                outcome => drop(outcome.map_err(|error| chain(&error)).unwrap()),
            }
        });
    }
    tokio::time::timeout(HANGS, calls.join_all()).await.expect("no hang");
    soon(calling(&echo, "")).await.unwrap();
}
