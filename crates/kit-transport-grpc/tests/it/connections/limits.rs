//! More calls than a connection takes, more connections than one, and old ones.

use std::num::NonZeroUsize;
use std::time::Duration;

use h2::server::Builder;
use kit_base::{Context, Deadline, Endpoint, Kind, Request, Response};
use kit_transport_grpc::{Connections, GrpcClient};
use tokio::task::JoinSet;

use super::ends::{calling, chain, soon};
use super::host::Host;
use crate::support::{HANGS, echo, echoing, note, serve};

const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

#[tokio::test]
async fn calls_beyond_the_streams_of_the_server_wait_and_finish_or_meet_their_deadline() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new());
    let first = calling(&echo, "");
    let mut line = host.accept_with(Builder::new().max_concurrent_streams(2)).await;
    line.call().await.answer("0");
    // Now the client knows the limit.
    soon(first).await.unwrap();
    let calls: Vec<_> = (0..6).map(|_| calling(&echo, "")).collect();
    let (one, two) = (line.call().await, line.call().await);
    assert!(!line.is_called().await);

    let deadline = Deadline::after(std::time::Instant::now(), Duration::from_millis(200));
    let late = echo.call(Request::from_parts(Context::new().with_deadline(deadline), note(""))).await;
    assert_eq!(late.unwrap_err().kind(), Kind::DeadlineExceeded);

    one.answer("1");
    two.answer("1");
    for _ in 2..6 {
        line.call().await.answer("1");
    }
    for call in calls {
        assert_eq!(soon(call).await.unwrap(), "1");
    }
    assert!(!host.is_asked().await);
}

#[tokio::test]
async fn four_connections_carry_four_times_the_calls_of_one() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new().count(NonZeroUsize::new(4).unwrap()));
    let calls: Vec<_> = (0..12).map(|_| calling(&echo, "")).collect();
    let mut lines = Vec::new();
    for _ in 0..4 {
        lines.push(host.accept_with(Builder::new().max_concurrent_streams(3)).await);
    }
    let mut open = Vec::new();
    for line in &mut lines {
        for _ in 0..3 {
            open.push(line.call().await);
        }
    }
    for call in open {
        call.answer("");
    }
    for call in calls {
        soon(call).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_at_once_are_all_answered() {
    let server = serve(echoing(async |request: Request<_>| {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(Response::new(request.into_message()))
    }))
    .await;
    for count in [1, 4] {
        let connections = Connections::new().count(NonZeroUsize::new(count).unwrap());
        let echo = GrpcClient::with_connections(server.url(), connections).unwrap().endpoint(echo());
        let mut calls = JoinSet::new();
        for i in 0..1000 {
            let call = calling(&echo, &i.to_string());
            calls.spawn(async move { assert_eq!(call.await.unwrap().unwrap(), i.to_string()) });
        }
        tokio::time::timeout(HANGS, calls.join_all()).await.expect("no hang");
    }
}

#[tokio::test]
async fn each_call_takes_the_connection_with_the_fewest() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new().count(TWO));
    let long = calling(&echo, "");
    let mut one = host.accept().await;
    let open = one.call().await;
    // The other connection is made, but nobody waits for it.
    let second = calling(&echo, "");
    let mut two = host.accept().await;
    one.call().await.answer("second");
    soon(second).await.unwrap();
    for _ in 0..5 {
        let call = calling(&echo, "");
        two.call().await.answer("two");
        assert_eq!(soon(call).await.unwrap(), "two");
    }
    open.answer("long");
    assert_eq!(soon(long).await.unwrap(), "long");
    // Alike again: each one has its turn.
    let calls = [calling(&echo, ""), calling(&echo, "")];
    one.call().await.answer("");
    two.call().await.answer("");
    for call in calls {
        soon(call).await.unwrap();
    }
    assert!(!host.is_asked().await);
}

#[tokio::test]
async fn no_call_waits_for_a_connection_while_there_is_another() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new().count(TWO));
    let first = calling(&echo, "");
    let mut one = host.accept().await;
    one.call().await.answer("");
    soon(first).await.unwrap();
    // Nobody speaks on the second one, and then it is refused.
    drop(host);
    for _ in 0..6 {
        let call = calling(&echo, "");
        one.call().await.answer("one");
        assert_eq!(soon(call).await.map_err(|error| chain(&error)).unwrap(), "one");
    }
}

#[tokio::test]
async fn an_old_connection_is_replaced_and_its_calls_finish() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new().max_age(Duration::from_secs(1)));
    let long = calling(&echo, "");
    let mut old = host.accept().await;
    let open = old.call().await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // This one begins the next connection, and does not wait for it.
    let call = calling(&echo, "");
    old.call().await.answer("old");
    soon(call).await.unwrap();
    let mut new = host.accept().await;
    loop {
        // The old one goes on until the new one is ready.
        let call = calling(&echo, "");
        tokio::select! {
            call = new.call() => call.answer("new"),
            call = old.call() => call.answer("old"),
        }
        if soon(call).await.unwrap() == "new" {
            break;
        }
    }
    open.answer("long");
    assert_eq!(soon(long).await.unwrap(), "long");
    old.ended().await;
}

#[tokio::test]
async fn an_old_connection_goes_on_if_there_is_no_new_one() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new().max_age(Duration::from_secs(1)));
    let call = calling(&echo, "");
    let mut old = host.accept().await;
    old.call().await.answer("");
    soon(call).await.unwrap();
    drop(host);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for _ in 0..5 {
        let call = calling(&echo, "");
        old.call().await.answer("old");
        assert_eq!(soon(call).await.map_err(|error| chain(&error)).unwrap(), "old");
    }
}
