//! Raw peers and curl.

use std::io::ErrorKind;

use kit_testing::backend::{Backend, Reply};
use kit_testing::http::{CurlError, Peer, curl, raw, raw_response};
use kit_testing::ports::free_port;
use kit_testing::tools::skip_unless;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server for one connection: reads a little, sends these bytes, closes.
async fn serve(answer: &'static [u8]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
        stream.write_all(answer).await.unwrap();
    });
    addr
}

#[tokio::test]
async fn a_response_ends_by_length_by_chunks_or_by_close() {
    for (answer, body) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab", "ab"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n", "ab"),
        ("HTTP/1.0 200 OK\r\n\r\nab", "ab"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab", "ab"),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
    ] {
        let response = raw_response(serve(answer.as_bytes()).await, "GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(response.body(), body, "{answer:?}");
        let bytes = raw(serve(answer.as_bytes()).await, "GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(bytes, answer.as_bytes());
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error_that_shows_it() {
    for (answer, kind) in [
        ("", ErrorKind::UnexpectedEof),
        ("HTTP/1.1 200 OK\r\n", ErrorKind::UnexpectedEof),
        ("nonsense\r\n\r\n", ErrorKind::InvalidData),
        ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", ErrorKind::InvalidData),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", ErrorKind::InvalidData),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", ErrorKind::InvalidData),
    ] {
        let error = raw_response(serve(answer.as_bytes()).await, "GET / HTTP/1.1\r\n\r\n").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn an_early_answer_is_seen_although_not_all_is_sent() {
    // The server never reads more than 1 KiB, and keeps the connection open while the client still sends.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 1024]).await.unwrap();
        stream.write_all(b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    });
    let mut request = b"POST / HTTP/1.1\r\ncontent-length: 50000000\r\n\r\n".to_vec();
    request.resize(50_000_000, b'x');
    assert_eq!(raw_response(addr, request).await.unwrap().status(), 413);
    server.abort();
}

#[tokio::test]
async fn nobody_there_is_an_error() {
    let port = free_port().unwrap();
    assert_eq!(raw(port.addr(), "x").await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_peer_can_send_half_a_request_and_leave() {
    let backend = Backend::start(Reply::ok()).await.unwrap();
    let mut peer = Peer::connect(backend.addr()).await.unwrap();
    peer.send("POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nabc").await.unwrap();
    peer.finish().await.unwrap();
    peer.closed().await.unwrap();
    assert!(backend.requests().is_empty());
}

#[tokio::test]
async fn a_peer_reads_an_answer_to_head() {
    let backend = Backend::start(Reply::ok().body("hello")).await.unwrap();
    let mut peer = Peer::connect(backend.addr()).await.unwrap();
    for _ in 0..2 {
        peer.send("HEAD / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(peer.head_response().await.unwrap().headers()["content-length"], "5");
    }
}

#[tokio::test]
async fn curl_shows_status_headers_and_body() {
    if !skip_unless("curl") {
        return;
    }
    let body = "HTTP/1.1 999 not a head\r\n\r\nbody";
    let backend = Backend::start(Reply::status(404).header("x-a", "b").body(body)).await.unwrap();
    let response = curl(["-X", "DELETE", &backend.url()]).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["x-a"]), (404, &"b".parse().unwrap()));
    assert_eq!(response.body(), body);
    assert_eq!(backend.requests()[0].method(), "DELETE");
}

#[tokio::test]
async fn curl_follows_and_continues_to_the_last_response() {
    if !skip_unless("curl") {
        return;
    }
    let backend = Backend::start([Reply::status(302).header("location", "/b"), Reply::ok().body("b")]).await.unwrap();
    let url = backend.url();
    let response = curl(["--location", "-H", "expect: 100-continue", "--data", "abc", &url]).await.unwrap();
    assert_eq!((response.status().as_u16(), response.body().as_ref()), (200, b"b".as_slice()));
    assert_eq!(backend.requests()[0].body(), "abc");
}

#[tokio::test]
async fn curl_fails_with_its_own_code() {
    if !skip_unless("curl") {
        return;
    }
    let port = free_port().unwrap();
    let error = curl([format!("http://{}/", port.addr())]).await.unwrap_err();
    assert!(matches!(&error, CurlError::Failed { code: Some(7), .. }), "{error}");
    assert!(error.to_string().starts_with("curl failed with code 7: curl: (7)"), "{error}");
}
