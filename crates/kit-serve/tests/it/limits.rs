//! Sizes and counts: head, headers, body, connections.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::sync::Semaphore;
use tower::service_fn;

use crate::frames::{END_HEADERS, END_STREAM, Frames, HEADERS, Sent, field, frame};
use crate::support::{GET, Raw, bind, echo, get, hello, http2, start, text};

#[tokio::test]
async fn a_head_over_the_limit_is_answered_431_and_closed() {
    let server = start!(bind().await, service_fn(hello));
    let mut raw = Raw::connect(server.addr).await;
    raw.send(format!("GET / HTTP/1.1\r\nhost: t\r\nx: {}\r\n\r\n", "x".repeat(70 * 1024))).await;
    assert!(raw.rest().await.starts_with("HTTP/1.1 431 "));
    assert_eq!(server.stats.requests_total(), 0);
}

#[tokio::test]
async fn a_head_that_never_ends_is_answered_431_while_it_is_still_sent() {
    let server = start!(bind().await.head_limit(8 * 1024), service_fn(hello));
    let mut raw = Raw::connect(server.addr).await;
    raw.send("GET / HTTP/1.1\r\nhost: t\r\nx: ").await;
    // Far more than the socket buffers hold: the answer arrives only because the rest is read and thrown away.
    raw.send(vec![b'x'; 16 * 1024 * 1024]).await;
    assert!(raw.rest().await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn too_many_headers_are_answered_431_over_both_protocols() {
    for (server, allowed) in [(bind().await, 100), (bind().await.max_headers(20), 20)] {
        let server = start!(server, service_fn(hello));
        for (count, status) in [(allowed, 200), (allowed + 1, 431)] {
            let mut raw = Raw::connect(server.addr).await;
            let headers: String = (1..count).map(|n| format!("x-{n}: y\r\n")).collect();
            raw.send(format!("GET / HTTP/1.1\r\nhost: t\r\n{headers}\r\n")).await;
            assert!(raw.response().await.starts_with(&format!("HTTP/1.1 {status} ")));

            let mut client = http2(server.addr).await;
            let mut request = get(server.addr);
            for number in 0..count {
                let name: http::HeaderName = format!("x-{number}").parse().unwrap();
                request.headers_mut().insert(name, http::HeaderValue::from_static("y"));
            }
            assert_eq!(client.send_request(request).await.unwrap().status(), status);
        }
    }
}

#[tokio::test]
async fn a_header_list_over_the_limit_is_answered_431_over_http_2() {
    let server = start!(bind().await.head_limit(8 * 1024), service_fn(hello));
    let mut client = http2(server.addr).await;
    let mut request = get(server.addr);
    // Below what the client itself refuses to send only as long as it has not seen the server's settings.
    let value = http::HeaderValue::from_str(&"x".repeat(9 * 1024)).unwrap();
    request.headers_mut().insert("x", value);
    match client.send_request(request).await {
        Ok(response) => assert_eq!(response.status(), 431),
        Err(error) => assert!(error.to_string().contains("http2 error"), "{error}"),
    }
    assert_eq!(client.send_request(get(server.addr)).await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_announced_body_over_the_limit_is_answered_413_unread_and_unseen() {
    let server = start!(
        bind().await.body_limit(10),
        service_fn(|request| async {
            assert!(!format!("{:?}", http_body::Body::size_hint(Request::body(&request))).contains("11"));
            echo(request).await
        })
    );
    let mut raw = Raw::connect(server.addr).await;
    raw.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 10\r\n\r\n0123456789").await;
    assert!(raw.response().await.ends_with("0123456789"));
    raw.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 11\r\n\r\n").await;
    let answer = raw.rest().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert_eq!(server.stats.panics(), 0);
}

#[tokio::test]
async fn a_client_that_sends_its_large_body_anyway_still_reads_the_413() {
    let server = start!(bind().await.body_limit(10), service_fn(echo));
    let mut raw = Raw::connect(server.addr).await;
    let length = 32 * 1024 * 1024;
    raw.send(format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {length}\r\n\r\n")).await;
    raw.send(vec![b'x'; length]).await;
    assert!(raw.rest().await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn over_http_2_a_413_ends_only_its_stream() {
    let server = start!(bind().await.body_limit(10), service_fn(echo));
    let mut client = http2(server.addr).await;
    let large = get(server.addr).map(|_| Full::new(Bytes::from_static(b"01234567890")));
    let response = client.send_request(large).await.unwrap();
    assert_eq!(response.status(), 413);
    assert!(response.headers().get("connection").is_none());
    assert_eq!(client.send_request(get(server.addr)).await.unwrap().status(), 200);
    assert_eq!(server.stats.connections_total(), 1);
}

#[tokio::test]
async fn an_unannounced_body_over_the_limit_ends_with_an_error_for_the_service() {
    let server = start!(bind().await.body_limit(10), service_fn(echo));
    let mut raw = Raw::connect(server.addr).await;
    raw.send("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n").await;
    raw.send("6\r\n012345\r\n6\r\n012345\r\n").await;
    let answer = raw.response().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.ends_with("length limit exceeded"), "{answer}");
}

#[tokio::test]
async fn without_a_limit_a_large_body_is_streamed() {
    use http_body_util::BodyExt;
    let server = start!(
        bind().await,
        service_fn(|request: Request<kit_serve::RequestBody>| async {
            let mut body = request.into_body();
            let mut length = 0;
            while let Some(frame) = body.frame().await {
                length += frame?.data_ref().map_or(0, Bytes::len);
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(text(length.to_string()))
        })
    );
    let mut raw = Raw::connect(server.addr).await;
    let length = 32 * 1024 * 1024;
    raw.send(format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {length}\r\n\r\n")).await;
    raw.send(vec![b'x'; length]).await;
    assert!(raw.response().await.ends_with(&length.to_string()));
}

#[tokio::test]
async fn over_the_limit_connections_wait_until_one_ends() {
    let gate = Arc::new(Semaphore::new(0));
    let inner = Arc::clone(&gate);
    let server = start!(
        bind().await.connections(NonZeroUsize::MIN),
        service_fn(move |request| {
            let gate = Arc::clone(&inner);
            async move {
                gate.acquire().await.unwrap().forget();
                hello(request).await
            }
        })
    );
    let mut first = Raw::connect(server.addr).await;
    first.send(GET).await;
    let mut second = Raw::connect(server.addr).await;
    second.send(GET).await;
    gate.add_permits(2);
    assert!(first.response().await.ends_with("hello"));
    assert_eq!(server.stats.connections_total(), 1);
    drop(first);
    assert!(second.response().await.ends_with("hello"));
    assert_eq!(server.stats.connections_total(), 2);
}

#[tokio::test]
async fn over_http_2_the_cookies_of_a_browser_count_as_one_header() {
    let server = start!(bind().await, service_fn(hello));
    let mut frames = Frames::connect(server.addr).await;
    let mut fields = b"\x82\x86\x84\x01\x01t".to_vec();
    for n in 0..150 {
        fields.extend(field("cookie", format!("a{n}=b")));
    }
    frames.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, fields)).await;
    let sent = frames.until(|sent| matches!(sent, Sent::Head { .. } | Sent::End)).await;
    assert_eq!(sent, Sent::Head { stream: 1, status: 200 });
}
