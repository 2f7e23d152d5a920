//! Many calls at once, idle and busy, beside others that are served.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kit_base::{Endpoint, Error, Kind, Request, Response};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::peer::{Peer, announced, frame, framed, request, send};
use crate::support::{HANGS, Note, echo, echoing, note, serve};

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_thousand_idle_streams_are_cheap_and_end_with_their_peers() {
    if !kit_testing::memory::alone("hostile::crowd::a_thousand_idle_streams_are_cheap_and_end_with_their_peers") {
        return;
    }
    let (ended, mut seen) = unbounded_channel();
    let (begun, mut begins) = unbounded_channel();
    let server = echoing(async |request: Request<_>| Ok(Response::new(request.into_message())));
    let server = server.before(move |_| begun.send(()).expect("a test")).finalizer(move |finished| {
        let _ = ended.send((finished.left, finished.error.map(Error::kind)));
    });
    let server = serve(server).await;
    let growth = kit_testing::memory::Growth::new();
    let mut idle = Vec::new();
    for _ in 0..10 {
        let peer = Peer::connect(server.addr).await;
        let mut streams = Vec::new();
        for number in 0..100 {
            let (answer, mut body) = peer.begin(request(), false).await;
            // Some say a little, and some all but the end.
            let said = [vec![], vec![0], announced(0, 1 << 20, b"half"), framed("whole")][number % 4].clone();
            send(&mut body, said.into(), false).await.expect("room");
            streams.push((answer, body));
        }
        idle.push((peer, streams));
    }
    for _ in 0..1000 {
        timeout(HANGS, begins.recv()).await.expect("no hang");
    }
    // Client, server and sockets of ten connections: some 7 KiB a stream, as measured.
    assert!(growth.most() < 16 << 20, "{} bytes", growth.most());
    let echo = server.echo();
    for number in 0..100 {
        let text = number.to_string();
        assert_eq!(echo.call(Request::new(note(&*text))).await.expect("an answer").message().text, text);
        assert_eq!(timeout(HANGS, seen.recv()).await.expect("no hang"), Some((false, None)));
    }
    drop(idle);
    for _ in 0..1000 {
        let (left, kind) = timeout(HANGS, seen.recv()).await.expect("no hang").expect("an end");
        assert!(left || kind == Some(Kind::Cancelled), "{left} {kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_calls_share_a_connection() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&now), Arc::clone(&most));
    let server = serve(echoing(move |request: Request<Note>| {
        let (now, most) = counts.clone();
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // All must be here at once, but for the first, which makes the connection.
            while request.message().text != "first" && most.load(Ordering::SeqCst) < 100 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(Response::new(request.into_message()))
        }
    }))
    .await;
    let echo = server.echo();
    echo.call(Request::new(note("first"))).await.expect("an answer");
    let mut calls = JoinSet::new();
    for number in 0..100 {
        let echo = echo.clone();
        calls.spawn(async move {
            let text = format!("{number} {}", "x".repeat(100 * number));
            let reply = timeout(HANGS, echo.call(Request::new(note(&*text)))).await.expect("no hang");
            assert_eq!(reply.expect("an answer").message().text, text);
        });
    }
    while let Some(call) = calls.join_next().await {
        call.expect("an answer");
    }
    assert_eq!((most.load(Ordering::SeqCst), server.connections()), (100, 1));
}

#[tokio::test]
async fn a_message_of_many_megabytes_goes_both_ways() {
    let server = echoing(async |request: Request<_>| Ok(Response::new(request.into_message())));
    let server = serve(server.max_decoding_message_size(64 << 20)).await;
    let call = server.client().max_decoding_message_size(64 << 20).endpoint::<Note, Note>(echo());
    let large = note("x".repeat(32 << 20));
    let reply = timeout(HANGS, call.call(Request::new(large.clone()))).await.expect("no hang").expect("an answer");
    assert!(*reply.message() == large);
    // Of what is sent, the side that sends it has a limit too.
    let call = server.client().max_encoding_message_size(100).endpoint::<Note, Note>(echo());
    let error = call.call(Request::new(note("x".repeat(100)))).await.expect_err("too long");
    let text = "a message of 102 bytes is longer than 100 bytes";
    assert_eq!((error.kind(), error.message()), (Kind::ResourceExhausted, text));
    assert_eq!(error.origin(), kit_base::Origin::NotSent);
}

#[tokio::test]
async fn others_are_served_beside_those_who_misbehave() {
    let server = serve(echoing(async |request| Ok(Response::new(request.into_message())))).await;
    let bad = Peer::connect(server.addr).await;
    let mut no_window = h2::client::Builder::new();
    no_window.initial_window_size(0);
    let deaf = Peer::connect_by(&no_window, server.addr).await;
    let mut kept = Vec::new();
    let echo = server.echo();
    for number in 0..50 {
        // Answers of 1 MiB that are never read; garbage; resets in the middle; uploads that stand still.
        let (answer, mut body) = deaf.begin(request(), false).await;
        send(&mut body, framed(&"x".repeat(1 << 20)).into(), true).await.expect("room");
        kept.push((answer, body));
        let answer = bad.call(request(), vec![frame(7, &[0xff; 100])]).await.expect("an answer");
        assert_eq!(answer.code(), Some("13"));
        let (answer, mut body) = bad.begin(request(), false).await;
        send(&mut body, announced(0, 1 << 20, b"half").into(), false).await.expect("room");
        if number % 2 == 0 {
            body.send_reset(h2::Reason::CANCEL);
        } else {
            kept.push((answer, body));
        }
        let text = number.to_string();
        let reply = timeout(HANGS, echo.call(Request::new(note(&*text)))).await.expect("no hang");
        assert_eq!(reply.expect("an answer").message().text, text);
    }
}
