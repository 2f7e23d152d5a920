//! The scripted backend, as clients see it.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use kit_testing::backend::{Backend, Reply, Script};
use kit_testing::http::{Peer, raw, raw_response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn a_list_is_answered_in_order_and_its_last_reply_is_repeated() {
    let backend = Backend::start([
        Reply::status(503).header("retry-after", "1").header("x", "a").header("x", "b"),
        Reply::json(r#"{"v":3}"#),
    ])
    .await
    .unwrap();
    let first = raw_response(backend.addr(), GET).await.unwrap();
    assert_eq!((first.status().as_u16(), &first.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!(first.headers().get_all("x").iter().count(), 2);
    for _ in 0..2 {
        let next = raw_response(backend.addr(), GET).await.unwrap();
        assert_eq!((next.status().as_u16(), next.body().as_ref()), (200, br#"{"v":3}"#.as_slice()));
    }
    assert_eq!(backend.connections(), 3);
}

#[tokio::test]
async fn an_empty_list_says_so() {
    let backend = Backend::start(vec![]).await.unwrap();
    let response = raw_response(backend.addr(), GET).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.body().as_ref()),
        (500, b"the script of this backend is empty".as_slice())
    );
}

#[tokio::test]
async fn a_function_sees_the_request() {
    let script = Script::by(|request| {
        let answer = format!("{} {} {}", request.method(), request.uri(), request.body().len());
        Reply::ok().body(answer)
    });
    let backend = Backend::start(script).await.unwrap();
    let request = b"PUT /a/b?c=d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz";
    assert_eq!(raw_response(backend.addr(), request).await.unwrap().body(), "PUT /a/b?c=d 3");
    let recorded = &backend.received(1).await[0];
    assert_eq!((recorded.uri().path(), recorded.uri().query()), ("/a/b", Some("c=d")));
    assert_eq!((&recorded.headers()["host"], recorded.body()), (&"a".parse().unwrap(), &"xyz".into()));
}

#[tokio::test]
async fn chunked_bodies_are_put_together() {
    let backend = Backend::start(Reply::ok()).await.unwrap();
    let request = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\
        3\r\nabc\r\n0A;ext=1\r\n0123456789\r\n0\r\ntrailer: x\r\n\r\n";
    raw_response(backend.addr(), request).await.unwrap();
    assert_eq!(backend.requests()[0].body(), "abc0123456789");
}

#[tokio::test]
async fn a_connection_serves_many_requests_also_when_they_come_at_once() {
    let backend = Backend::start([Reply::ok().body("1"), Reply::status(204), Reply::ok().body("3")]).await.unwrap();
    let mut peer = Peer::connect(backend.addr()).await.unwrap();
    peer.send([GET, GET, GET].concat()).await.unwrap();
    assert_eq!(peer.response().await.unwrap().body(), "1");
    assert_eq!(peer.response().await.unwrap().status(), 204);
    assert_eq!(peer.response().await.unwrap().body(), "3");
    assert_eq!((backend.connections(), backend.requests().len()), (1, 3));
}

#[tokio::test]
async fn a_connection_ends_when_either_side_says_so() {
    let closing = Reply::ok().header("connection", "close");
    for (reply, request) in [
        (closing, GET),
        (Reply::ok(), b"GET / HTTP/1.1\r\nconnection: Close\r\n\r\n".as_slice()),
        (Reply::ok(), b"GET / HTTP/1.0\r\n\r\n"),
    ] {
        let backend = Backend::start(reply).await.unwrap();
        let mut peer = Peer::connect(backend.addr()).await.unwrap();
        peer.send(request).await.unwrap();
        assert_eq!(peer.response().await.unwrap().status(), 200);
        peer.closed().await.unwrap();
        assert_eq!(backend.abandoned(), 0);
    }
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let backend = Backend::start(Reply::ok().body("hello")).await.unwrap();
    let answer = raw(backend.addr(), "HEAD / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
}

#[tokio::test]
async fn a_client_that_asks_whether_to_send_is_told_to() {
    let backend = Backend::start(Reply::ok()).await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(backend.addr()).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await.unwrap();
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut read = [0; 25];
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, interim);
    stream.write_all(b"ab").await.unwrap();
    assert_eq!(backend.received(1).await[0].body(), "ab");
}

#[tokio::test(start_paused = true)]
async fn a_delay_passes_on_the_clock_of_tokio() {
    let backend = Backend::start(Reply::ok().after(Duration::from_secs(5))).await.unwrap();
    let start = Instant::now();
    raw_response(backend.addr(), GET).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test]
async fn a_hanging_backend_sees_its_client_leave() {
    let backend = Backend::start(Reply::hang()).await.unwrap();
    let mut peer = Peer::connect(backend.addr()).await.unwrap();
    peer.send(GET).await.unwrap();
    backend.received(1).await;
    assert_eq!(backend.abandoned(), 0);
    drop(peer);
    backend.until_abandoned(1).await;
}

#[tokio::test]
async fn a_slow_backend_sees_its_client_leave() {
    let backend = Backend::start(Reply::ok().after(Duration::from_secs(3600))).await.unwrap();
    let mut peer = Peer::connect(backend.addr()).await.unwrap();
    peer.send(GET).await.unwrap();
    backend.received(1).await;
    drop(peer);
    backend.until_abandoned(1).await;
}

#[tokio::test]
async fn a_reset_is_an_error_and_a_close_is_an_end() {
    let backend = Backend::start([Reply::reset(), Reply::close()]).await.unwrap();
    let reset = raw_response(backend.addr(), GET).await.unwrap_err();
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    let closed = raw_response(backend.addr(), GET).await.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_truncated_body_ends_early() {
    let backend = Backend::start(Reply::ok().body("hello").truncate(2)).await.unwrap();
    let answer = raw(backend.addr(), GET).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe");
    let error = raw_response(backend.addr(), GET).await.unwrap_err();
    assert_eq!(error.to_string(), "the connection ended before a body of 5 bytes, after 2 was complete");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_body_never_ends() {
    let backend = Backend::start(Reply::ok().body("hello").stall(2)).await.unwrap();
    let error = raw(backend.addr(), GET).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    backend.until_abandoned(1).await;
}

#[tokio::test]
async fn bytes_that_are_no_http_are_sent_as_they_are() {
    let backend = Backend::start(Reply::raw("SSH-2.0-nobody\r\n")).await.unwrap();
    assert_eq!(raw(backend.addr(), GET).await.unwrap(), b"SSH-2.0-nobody\r\n");
}

#[tokio::test]
async fn a_client_that_does_not_speak_http_is_hung_up_on() {
    let backend = Backend::start(Reply::ok()).await.unwrap();
    for garbage in ["\x16\x03\x01\r\n\r\n", "GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n"] {
        assert_eq!(raw(backend.addr(), garbage).await.unwrap(), b"");
    }
    assert_eq!((backend.requests().len(), backend.connections()), (0, 2));
}

#[tokio::test]
async fn a_stop_ends_port_and_connections_and_another_can_take_the_place() {
    let backend = Backend::start(Reply::hang()).await.unwrap();
    let addr = backend.addr();
    let mut peer = Peer::connect(addr).await.unwrap();
    peer.send(GET).await.unwrap();
    backend.received(1).await;
    backend.stop().await;
    assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);

    peer.closed().await.unwrap();

    let backend = Backend::start_at(addr, Reply::status(204)).await.unwrap();
    assert_eq!((backend.addr(), backend.url()), (addr, format!("http://{addr}")));
    assert_eq!(raw_response(addr, GET).await.unwrap().status(), 204);
}

#[tokio::test]
async fn a_drop_ends_connections_too() {
    let backend = Backend::start(Reply::hang()).await.unwrap();
    let mut peer = Peer::connect(backend.addr()).await.unwrap();
    peer.send(GET).await.unwrap();
    backend.received(1).await;
    drop(backend);
    peer.closed().await.unwrap();
}

#[test]
#[should_panic(expected = "100 is not the status of an answer")]
fn an_interim_status_is_no_answer() {
    let _ = Reply::status(100);
}

#[test]
#[should_panic(expected = "`a b: c` is not a valid header")]
fn an_invalid_header_is_named() {
    let _ = Reply::ok().header("a b", "c");
}
