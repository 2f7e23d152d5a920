//! HTTP/1.1 and HTTP/2 on one port, by raw bytes, by hyper and by curl.

use http_body_util::BodyExt;
use tower::service_fn;

use crate::support::{GET, Raw, bind, echo, get, hello, http2, start};

#[tokio::test]
async fn http_1_and_http_2_are_served_on_one_port() {
    let server = start!(bind().await, service_fn(hello));
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    assert!(raw.response().await.ends_with("\r\n\r\nhello"));

    let mut client = http2(server.addr).await;
    let response = client.send_request(get(server.addr)).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");

    assert_eq!(server.stats.connections_total(), 2);
    assert_eq!(server.stats.requests_total(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_gets_its_answer_over_both_protocols() {
    let server = start!(bind().await, service_fn(echo));
    for (flag, version) in [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")] {
        let output = tokio::process::Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                flag,
                "--data",
                "from curl",
                "--write-out",
                " %{http_version} %{http_code}",
            ])
            .arg(format!("http://{}/", server.addr))
            .output()
            .await;
        let output = match output {
            Ok(output) => output,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "curl is missing: {error}");
                println!("skipped: curl is missing (apt-get install curl)");
                return;
            }
        };
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("from curl {version} 200"), "{output:?}");
    }
}

#[tokio::test]
async fn a_thousand_requests_are_answered_on_one_connection() {
    let server = start!(bind().await, service_fn(echo));
    let mut raw = Raw::connect(server.addr).await;
    for number in 0..1000 {
        let body = number.to_string();
        raw.send(format!("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
        assert!(raw.response().await.ends_with(&format!("\r\n\r\n{number}")));
    }
    assert_eq!(server.stats.connections_total(), 1);
    assert_eq!(server.stats.requests_total(), 1000);
    assert_eq!(server.stats.requests_open(), 0);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = start!(bind().await, service_fn(echo));
    let mut raw = Raw::connect(server.addr).await;
    let requests: String =
        (0..9).map(|n| format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\n\r\n{n}")).collect();
    raw.send(requests).await;
    for number in 0..9 {
        assert!(raw.response().await.ends_with(&format!("\r\n\r\n{number}")));
    }
}

#[tokio::test]
async fn a_client_that_asks_to_close_is_closed_after_its_answer() {
    let server = start!(bind().await, service_fn(hello));
    let mut raw = Raw::connect(server.addr).await;
    raw.send("GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await;
    assert!(raw.rest().await.ends_with("hello"));
}

#[tokio::test]
async fn malformed_heads_are_answered_400_and_closed() {
    let server = start!(bind().await, service_fn(hello));
    for head in [
        "GET\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nbad header : x\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "\0\0\0\0\0\0\0\0\r\n\r\n",
    ] {
        let mut raw = Raw::connect(server.addr).await;
        raw.send(head).await;
        let answer = raw.rest().await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head:?} was answered {answer:?}");
    }
    assert_eq!(server.stats.requests_total(), 0);
}
