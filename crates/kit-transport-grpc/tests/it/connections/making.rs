//! How connections are made, or not: addresses, limits of time, and what a user is told.

use std::time::{Duration, Instant};

use kit_base::{Context, Deadline, Endpoint, Kind, Origin, Request, Response};
use kit_transport_grpc::{Connections, GrpcClient};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Handle;

use super::ends::{calling, chain, soon, text_of};
use super::host::Host;
use crate::support::{HANGS, Note, echo, echoing, note, serve};

/// A port where packets vanish that ask for a connection, for as long as this lives: the queue of its listener is full.
async fn black_hole() -> (Host, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let host = Host::on(socket.listen(1).unwrap());
    let mut queue = Vec::new();
    let enough = Duration::from_millis(200);
    while let Ok(stream) = tokio::time::timeout(enough, TcpStream::connect(host.addr())).await {
        queue.push(stream.unwrap());
    }
    (host, queue)
}

#[tokio::test]
async fn all_calls_that_wait_for_a_black_hole_end_together_and_name_it() {
    let (host, _queue) = black_hole().await;
    let limit = Duration::from_millis(300);
    let echo = host.echo(Connections::new().connect_timeout(limit));
    let started = Instant::now();
    let calls: Vec<_> = (0..50).map(|_| calling(&echo, "")).collect();
    for call in calls {
        let error = soon(call).await.unwrap_err();
        assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent));
        let told = chain(&error);
        assert!(told.contains(&host.addr().to_string()) && told.contains("within 300ms"), "{told}");
    }
    let took = started.elapsed();
    // One after the other would be 15 s.
    assert!(took >= limit && took < Duration::from_secs(5), "{took:?}");
}

/// As on a busy machine: the attempt and its limit are then looked at together.
#[tokio::test]
async fn an_attempt_that_is_looked_at_late_says_that_its_time_has_passed() {
    let (host, _queue) = black_hole().await;
    let echo = host.echo(Connections::new().connect_timeout(Duration::from_millis(100)));
    let call = calling(&echo, "");
    tokio::time::sleep(Duration::from_millis(20)).await;
    std::thread::sleep(Duration::from_millis(300));
    let error = soon(call).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent));
    assert!(chain(&error).contains("within 100ms"), "{}", chain(&error));
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_no_connection() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new().connect_timeout(Duration::from_millis(200)));
    let call = calling(&echo, "");
    let silent = host.accept_raw().await;
    let error = soon(call).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent));
    assert!(chain(&error).contains("within 200ms"), "{}", chain(&error));
    drop(silent);

    let call = calling(&echo, "");
    drop(host.accept_raw().await);
    let error = soon(call).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{}", chain(&error));

    // One of another kind, when it is time for the next attempt.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let call = calling(&echo, "");
    let mut other = host.accept_raw().await;
    other.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    let error = soon(call).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent));
    assert!(chain(&error).contains("does not speak HTTP/2 without TLS: "), "{}", chain(&error));
    assert!(chain(&error).contains("frame with invalid size"), "{}", chain(&error));
}

#[tokio::test]
async fn an_attempt_to_connect_goes_on_when_the_call_that_began_it_has_left() {
    let (host, queue) = black_hole().await;
    let echo = host.echo(Connections::new());
    let deadline = Deadline::after(Instant::now(), Duration::from_millis(100));
    let late = echo.call(Request::from_parts(Context::new().with_deadline(deadline), note(""))).await;
    assert_eq!(late.unwrap_err().kind(), Kind::DeadlineExceeded);
    for _ in &queue {
        host.accept_raw().await;
    }
    // The system asks again, after 1 s or so.
    let mut line = host.accept().await;
    let call = calling(&echo, "");
    line.call().await.answer("made");
    assert_eq!(soon(call).await.unwrap(), "made");
}

#[tokio::test]
async fn an_error_names_the_address_and_the_cause() {
    let host = Host::bind().await;
    let (addr, echo) = (host.addr(), host.echo(Connections::new()));
    drop(host);
    let error = soon(calling(&echo, "")).await.unwrap_err();
    let told = chain(&error);
    assert!(told.contains(&format!("no connection can be made to {addr}")), "{told}");
    assert!(told.to_lowercase().contains("connection refused"), "{told}");

    let client = GrpcClient::new("http://no-such-host.invalid:80").unwrap();
    let error = soon(calling(&client.endpoint(crate::support::echo()), "")).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent));
    let told = chain(&error);
    assert!(told.contains("no-such-host.invalid:80") && told.contains("dns error"), "{told}");
}

#[tokio::test]
async fn a_name_is_resolved() {
    let server = serve(echoing(async |request: Request<_>| Ok(Response::new(request.into_message())))).await;
    // Which may be ::1 first, where nobody listens.
    let client = GrpcClient::new(format!("http://localhost:{}", server.addr.port())).unwrap();
    let reply = client.endpoint::<_, Note>(echo()).call(Request::new(note("found"))).await.unwrap();
    assert_eq!(text_of(reply), "found");
}

#[tokio::test]
async fn dropping_the_client_ends_its_connections_and_tasks() {
    let host = Host::bind().await;
    let before = Handle::current().metrics().num_alive_tasks();
    let echo = host.echo(Connections::new());
    let call = calling(&echo, "");
    let mut line = host.accept().await;
    line.call().await.answer("");
    soon(call).await.unwrap();
    drop(echo);
    line.ended().await;
    tasks_are(before).await;
}

#[tokio::test]
async fn dropping_the_client_ends_the_call_of_a_future_that_is_gone_and_not_one_that_is_not() {
    let host = Host::bind().await;
    let echo = host.echo(Connections::new());
    let (gone, kept) = (calling(&echo, "gone"), calling(&echo, "kept"));
    drop(echo);
    let mut line = host.accept().await;
    let (mut one, mut two) = (line.call().await, line.call().await);
    if one.text().await == "kept" {
        std::mem::swap(&mut one, &mut two);
    }
    gone.abort();
    assert_eq!(one.left().await, h2::Reason::CANCEL);
    two.answer("kept");
    assert_eq!(soon(kept).await.unwrap(), "kept");
    line.ended().await;
}

#[tokio::test]
async fn dropping_the_client_gives_up_an_attempt_to_connect() {
    let (host, _queue) = black_hole().await;
    let before = Handle::current().metrics().num_alive_tasks();
    let echo = host.echo(Connections::new());
    let call = calling(&echo, "");
    tasks_are(before + 2).await;
    call.abort();
    drop(echo);
    tasks_are(before).await;
}

pub(super) async fn tasks_are(count: usize) {
    let same = async {
        while Handle::current().metrics().num_alive_tasks() != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANGS, same).await.expect("no task is left");
}

#[tokio::test]
async fn a_url_that_does_not_fit_is_refused_when_the_client_is_built() {
    let told =
        |url: &str, connections: Connections| GrpcClient::with_connections(url, connections).unwrap_err().to_string();
    let error = GrpcClient::new("https://example.com").unwrap_err().to_string();
    assert!(error.contains("https://example.com") && error.contains("Connections::tls"), "{error}");
    assert_eq!(told("https://example.com", Connections::new()), error);

    let connections = Connections::new();
    GrpcClient::with_connections("http://one.test:1", connections.clone()).unwrap();
    GrpcClient::with_connections("http://one.test:1/", connections.clone()).unwrap();
    let error = told("http://two.test:1", connections.clone());
    assert!(error.contains("http://one.test:1") && error.contains("http://two.test:1"), "{error}");

    // Where that is not known, by the first call.
    let client = GrpcClient::over("http://two.test:1", connections).unwrap();
    let refused = client.endpoint::<Note, Note>(echo()).call(Request::new(note(""))).await.unwrap_err();
    assert_eq!((refused.kind(), refused.origin()), (Kind::FailedPrecondition, Origin::NotSent), "{refused:?}");
    assert!(refused.message().contains("http://one.test:1"), "{refused}");
}
