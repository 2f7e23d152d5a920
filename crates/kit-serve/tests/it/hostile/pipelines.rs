//! HTTP/1.1 requests that do not wait for answers, and clients that end their side early.

use tokio::io::AsyncWriteExt;
use tower::service_fn;

use crate::support::{GET, Raw, bind, echo, start, text};

fn numbered(count: usize) -> String {
    (0..count)
        .map(|number| {
            let body = number.to_string();
            format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        })
        .collect()
}

#[tokio::test]
async fn requests_in_one_write_are_all_answered_in_order() {
    let server = start!(bind().await, service_fn(echo));
    for count in [10, 1_000] {
        let mut raw = Raw::connect(server.addr).await;
        raw.send(numbered(count)).await;
        for number in 0..count {
            assert!(raw.response().await.ends_with(&format!("\r\n\r\n{number}")));
        }
    }
    assert_eq!(server.stats.requests_total(), 1_010);
}

#[tokio::test]
async fn a_client_that_only_writes_requests_is_held_back() {
    // It reads nothing, so what is answered and not read fills the sockets, and then no more requests are taken.
    let server =
        start!(bind().await, service_fn(|_| async { Ok::<_, std::convert::Infallible>(text(vec![b'x'; 64 * 1024])) }));
    let mut raw = Raw::connect(server.addr).await;
    let requests = GET.repeat(10_000);
    let endless = async {
        loop {
            raw.0.write_all(requests.as_bytes()).await.unwrap();
        }
    };
    let held_back = async {
        let mut before = 0;
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            let now = server.stats.requests_total();
            if now > 0 && now == before {
                return now;
            }
            before = now;
        }
    };
    let answered = tokio::select! {
        () = endless => unreachable!("it never ends"),
        answered = held_back => answered,
    };
    assert!(answered < 1_000, "{answered} answers of 64 KiB that nobody reads");
    let mut other = Raw::connect(server.addr).await;
    other.send(GET).await;
    assert!(other.response().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn what_follows_a_request_that_closes_is_not_served() {
    let server = start!(bind().await, service_fn(echo));
    let mut raw = Raw::connect(server.addr).await;
    raw.send(["POST / HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: 1\r\n\r\na", GET, GET].concat())
        .await;
    let answers = raw.rest().await;
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    assert!(answers.ends_with('a'));
    assert_eq!(server.stats.requests_total(), 1);
}

#[tokio::test]
async fn what_follows_a_malformed_request_is_not_served() {
    let server = start!(bind().await, service_fn(echo));
    let mut raw = Raw::connect(server.addr).await;
    raw.send([GET, "GET / HTTP/1.1\r\nhost : t\r\n\r\n", GET].concat()).await;
    let answers = raw.rest().await;
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 1, "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 400 ").count(), 1, "{answers}");
    assert_eq!(server.stats.requests_total(), 1);
}

/// An answer that comes well after the client's end was seen.
async fn slow_echo(
    request: http::Request<kit_serve::RequestBody>,
) -> Result<http::Response<crate::support::Body>, std::convert::Infallible> {
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    echo(request).await
}

/// What a client reads that ends its side at once after its requests.
async fn half_closed(server: kit_serve::Server, requests: &str) -> String {
    let server = start!(server, service_fn(slow_echo));
    let mut raw = Raw::connect(server.addr).await;
    raw.send(requests).await;
    raw.0.shutdown().await.unwrap();
    raw.rest().await
}

#[tokio::test]
async fn a_client_that_has_ended_its_side_is_answered_if_the_server_is_told_to() {
    for requests in [GET.to_owned(), numbered(1), numbered(5)] {
        let count = requests.matches("HTTP/1.1").count();
        let answers = half_closed(bind().await.half_close(true), &requests).await;
        assert_eq!(answers.matches("HTTP/1.1 200 ").count(), count, "{requests:?}: {answers:?}");
        // Else it is taken for one that has left, as soon as the server looks for another request.
        let answers = half_closed(bind().await, &requests).await;
        assert_eq!(answers.matches("HTTP/1.1 200 ").count(), count - 1, "{requests:?}: {answers:?}");
    }
}
