//! Connections that end: with and without a goodbye, with calls on them and without.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, Instant};

use h2::Reason;
use h2::server::Builder;
use kit_base::{Endpoint, Error, Kind, Origin, Request, Response};
use kit_testing::ports::free_port;
use kit_transport_grpc::{Connected, Connections, Prost};
use tokio::net::TcpSocket;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::dead::{Frames, GOAWAY, HEADERS};
use super::host::Host;
use crate::support::{HANGS, Note, note};

type Echo = Connected<Connections, Prost, Note, Note>;

/// A call that runs beside the test.
pub(super) fn calling(echo: &Echo, text: &str) -> JoinHandle<Result<String, Error>> {
    let (echo, note) = (echo.clone(), note(text));
    tokio::spawn(async move { echo.call(Request::new(note)).await.map(text_of) })
}

pub(super) fn text_of(reply: Response<Note>) -> String {
    reply.into_message().text
}

pub(super) async fn soon<T>(call: JoinHandle<T>) -> T {
    tokio::time::timeout(HANGS, call).await.expect("no hang").unwrap()
}

/// All that an error says, cause by cause.
pub(crate) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn calls_share_one_connection_and_one_attempt_to_make_it() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new());
    let calls: Vec<_> = (0..10).map(|_| calling(&echo, "")).collect();
    let mut line = host.accept().await;
    for _ in 0..10 {
        line.call().await.answer("one");
    }
    for call in calls {
        assert_eq!(soon(call).await.unwrap(), "one");
    }
    assert!(!host.is_asked().await);
}

#[tokio::test]
async fn calls_under_way_finish_after_a_goodbye_and_the_next_takes_a_new_connection() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new());
    let first = calling(&echo, "first");
    let mut old = host.accept().await;
    let under_way = old.call().await;
    old.say_goodbye();
    let (mut new, second) = loop {
        // The goodbye has arrived when calls go elsewhere.
        let second = calling(&echo, "second");
        tokio::select! {
            new = host.accept() => break (new, second),
            call = old.call() => call.answer("old"),
        }
        soon(second).await.unwrap();
    };
    new.call().await.answer("new");
    assert_eq!(soon(second).await.unwrap(), "new");
    under_way.answer("old");
    assert_eq!(soon(first).await.unwrap(), "old");
    old.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_while_a_server_says_goodbye_again_and_again() {
    let host = Arc::new(Host::bind().await);
    let echo = host.echo(Connections::new());
    let server = tokio::spawn({
        let host = Arc::clone(&host);
        async move {
            let mut lines = JoinSet::new();
            loop {
                // Fewer streams than calls: some wait for one when the goodbye comes.
                let mut line = host.accept_with(Builder::new().max_concurrent_streams(4)).await;
                lines.spawn(async move {
                    for _ in 0..50 {
                        line.call().await.answer("");
                    }
                    line.say_goodbye();
                    while let Some(call) = line.next().await {
                        call.answer("");
                    }
                });
            }
        }
    });
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let echo = echo.clone();
        calls.spawn(async move {
            for _ in 0..200 {
                echo.call(Request::new(note(""))).await.map_err(|error| chain(&error)).unwrap();
            }
        });
    }
    tokio::time::timeout(HANGS, calls.join_all()).await.expect("no hang");
    server.abort();
}

#[tokio::test]
async fn a_call_that_the_server_refuses_goes_again_once_and_is_not_sent_in_the_end() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new());
    let call = calling(&echo, "");
    let mut line = host.accept().await;
    line.call().await.reset(Reason::REFUSED_STREAM);
    line.call().await.answer("taken");
    assert_eq!(soon(call).await.unwrap(), "taken");

    let call = calling(&echo, "");
    for _ in 0..2 {
        line.call().await.reset(Reason::REFUSED_STREAM);
    }
    let error = soon(call).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{}", chain(&error));
    assert!(!line.is_called().await);

    // A reset of another kind does not tell what was done.
    let call = calling(&echo, "");
    line.call().await.reset(Reason::INTERNAL_ERROR);
    let error = soon(call).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Internal, Origin::Remote), "{}", chain(&error));
}

#[tokio::test]
async fn a_connection_that_is_cut_costs_the_calls_on_it_and_no_others() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new());
    let calls = [calling(&echo, "unanswered"), calling(&echo, "half answered")];
    let mut line = host.accept().await;
    let _waiting = line.call().await;
    let mut half = line.call().await;
    let _stream = half.begin();
    line.knife().abort();
    for call in calls {
        let error = soon(call).await.unwrap_err();
        assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::Remote), "{}", chain(&error));
        assert!(chain(&error).contains(&host.addr().to_string()), "{}", chain(&error));
    }
    let call = calling(&echo, "");
    let mut line = host.accept().await;
    line.call().await.answer("again");
    assert_eq!(soon(call).await.unwrap(), "again");
}

#[tokio::test]
async fn a_server_that_comes_back_on_its_port_is_found_again() {
    let port = free_port().unwrap();
    let bind = || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(port.addr()).unwrap();
        Host::on(socket.listen(16).unwrap())
    };
    let mut host = bind();
    let echo = host.echo(Connections::new());
    for _ in 0..3 {
        let started = Instant::now();
        let call = tokio::spawn({
            let echo = echo.clone();
            async move {
                loop {
                    match echo.call(Request::new(note(""))).await {
                        // It is not time for the next attempt.
                        Err(error) if error.origin() == Origin::NotSent => sleep(Duration::from_millis(10)).await,
                        outcome => return outcome.map(text_of),
                    }
                }
            }
        });
        let mut line = host.accept().await;
        // 1 s, and time for a machine that is busy.
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
        line.call().await.answer("here");
        assert_eq!(soon(call).await.unwrap(), "here");
        drop((line, host));
        // The first one may not have heard of the end.
        let _ = soon(calling(&echo, "")).await;
        let error = soon(calling(&echo, "")).await.unwrap_err();
        assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{}", chain(&error));
        host = bind();
    }
}

/// A `GOAWAY` with this last stream, and no error.
async fn goodbye(peer: &mut Frames, last: u32) {
    peer.send(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat()).await;
}

#[tokio::test]
async fn a_goodbye_gives_leave_to_repeat_only_calls_that_it_does_not_name_as_seen() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new());
    // One that says first that it takes no more, and then what it has taken.
    for goodbyes in [&[1][..], &[0x7fff_ffff, 1], &[0x7fff_ffff]] {
        let call = calling(&echo, "");
        let mut peer = Frames::greet(&host).await;
        peer.expect(HEADERS, HANGS).await;
        for last in goodbyes {
            goodbye(&mut peer, *last).await;
        }
        drop(peer);
        let error = soon(call).await.unwrap_err();
        assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::Remote), "{}", chain(&error));
        assert!(!host.is_asked().await);
    }
    for goodbyes in [&[0][..], &[0x7fff_ffff, 0]] {
        let echo = host.echo(Connections::new());
        let call = calling(&echo, "");
        let mut peer = Frames::greet(&host).await;
        peer.expect(HEADERS, HANGS).await;
        for last in goodbyes {
            goodbye(&mut peer, *last).await;
        }
        let mut line = host.accept().await;
        line.call().await.answer("again");
        assert_eq!(soon(call).await.unwrap(), "again");
    }
}
