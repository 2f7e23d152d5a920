//! What a server answers to what should not have been sent, over real sockets.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Limited;
use kit_testing::http::{Peer, curl, raw, raw_response};
use kit_testing::tools::skip_unless;
use kit_transport_http::HttpServer;

use crate::stream_requests::total;
use crate::support::{By, Frames, Silent, answer, ask, malformed, op, post, problem, sum, up};

const JSON: &str = "content-type: application/json";

#[tokio::test]
async fn curl_posts_json_and_gets_json() {
    if !skip_unless("curl") {
        return;
    }
    let served = up(sum()).await;
    let answer = curl(["-H", JSON, "-d", r#"{"a":1,"b":2}"#, &format!("{}/sum", served.url())]).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.body(), r#"{"v":3}"#);
}

#[tokio::test]
async fn curls_own_content_type_is_415_and_says_what_is_wanted() {
    if !skip_unless("curl") {
        return;
    }
    let served = up(sum()).await;
    let answer = curl(["-d", r#"{"a":1,"b":2}"#, &format!("{}/sum", served.url())]).await.unwrap();
    let problem = problem(&answer, 415);
    assert_eq!(problem["title"], "Unsupported Media Type");
    assert_eq!(problem["kind"], "INVALID_ARGUMENT");
    assert_eq!(problem["reason"], "UNSUPPORTED_MEDIA_TYPE");
    let want = r#"content type "application/x-www-form-urlencoded" is not supported, want application/json"#;
    assert_eq!(problem["detail"], want);
}

#[tokio::test]
async fn a_content_type_is_taken_with_parameters_in_any_case_with_a_suffix_or_not_at_all() {
    let routes = sum().routes().unwrap();
    for value in ["application/json; charset=utf-8", "Application/JSON", "application/ld+json", " application/json "] {
        let mut request = post("/sum", r#"{"a":1,"b":2}"#);
        request.headers_mut().insert("content-type", value.parse().unwrap());
        assert_eq!(ask(&routes, request).await.body(), r#"{"v":3}"#, "{value}");
    }
    let mut request = post("/sum", r#"{"a":1,"b":2}"#);
    request.headers_mut().remove("content-type");
    assert_eq!(ask(&routes, request).await.body(), r#"{"v":3}"#);

    let mut request = post("/sum", r#"{"a":1,"b":2}"#);
    request.headers_mut().insert("content-type", http::HeaderValue::from_bytes(b"\xff\xfe").unwrap());
    problem(&ask(&routes, request).await, 415);
}

#[tokio::test]
async fn malformed_bodies_are_400_and_say_why() {
    // HTTP-S1: Go kit answers 500.
    let served = up(sum()).await;
    let bodies: [(&[u8], &str); 8] = [
        (b"", "the body is empty"),
        (b"nope", "expected ident at line 1 column 2"),
        (br#"{"a":"1","b":2}"#, "invalid type: string \"1\", expected i64"),
        (br#"{"a":1,"b":2} trailing"#, "trailing characters"),
        (b"{\"a\":1,\"b\":2,\"\xff\":3}", "invalid unicode code point"),
        (br#"{"a":1}"#, "missing field `b`"),
        (b"[1,2]", "invalid type: sequence, expected struct Sum"),
        (b"null", "invalid type: null, expected struct Sum"),
    ];
    for (body, says) in bodies {
        let head = format!("POST /sum HTTP/1.1\r\nhost: a\r\n{JSON}\r\ncontent-length: {}\r\n\r\n", body.len());
        let answer = raw_response(served.addr, [head.as_bytes(), body].concat()).await.unwrap();
        malformed(&answer, says);
    }
}

#[tokio::test]
async fn a_hundred_thousand_open_brackets_are_400() {
    let server = || sum().endpoint(op("any"), By(async |_: kit_base::Request<serde_json::Value>| echo()));
    let served = up(server()).await;
    for open in ["[", r#"{"a":"#] {
        let body = open.repeat(100_000);
        for path in ["/any", "/sum"] {
            malformed(&answer(server(), post(path, body.clone())).await, "");
        }
        let head = format!("POST /any HTTP/1.1\r\nhost: a\r\n{JSON}\r\ncontent-length: {}\r\n\r\n", body.len());
        malformed(&raw_response(served.addr, head + &body).await.unwrap(), "recursion limit exceeded");
    }
}

fn echo() -> Result<kit_base::Response<()>, kit_base::Error> {
    Ok(kit_base::Response::new(()))
}

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_verb_405_with_allow() {
    if !skip_unless("curl") {
        return;
    }
    let served = up(sum().route("sum", "POST,PUT /sum")).await;
    let answer = curl([format!("{}/nope", served.url())]).await.unwrap();
    let details = problem(&answer, 404);
    assert_eq!(details["kind"], "NOT_FOUND");
    assert_eq!(details["reason"], "NO_ROUTE");
    assert_eq!(details["detail"], r#"no route for "/nope""#);

    let answer = curl([format!("{}/sum", served.url())]).await.unwrap();
    let details = problem(&answer, 405);
    assert_eq!(answer.headers()["allow"], "POST, PUT");
    assert_eq!(details["kind"], "INVALID_ARGUMENT");
    assert_eq!(details["reason"], "METHOD_NOT_ALLOWED");
    assert_eq!(details["detail"], "GET is not allowed here, want one of: POST, PUT");
}

#[tokio::test]
async fn targets_without_a_path_are_404() {
    let served = up(sum()).await;
    for target in ["*", "/", "//", "/sum/", "/%", "/%FF"] {
        let request = format!("OPTIONS {target} HTTP/1.1\r\nhost: a\r\n\r\n");
        problem(&raw_response(served.addr, request).await.unwrap(), 404);
    }
}

#[tokio::test]
async fn a_body_of_100_mb_that_is_announced_is_413_before_it_is_sent() {
    let served = up(sum()).await;
    let head = format!("POST /sum HTTP/1.1\r\nhost: a\r\n{JSON}\r\ncontent-length: 100000000\r\n\r\n");
    let mut peer = Peer::connect(served.addr).await.unwrap();
    peer.send(head).await.unwrap();
    let answer = peer.response().await.unwrap();
    let problem = problem(&answer, 413);
    assert_eq!(problem["reason"], "BODY_TOO_LARGE");
    assert_eq!(problem["detail"], "the body is longer than 2097152 bytes");
}

#[tokio::test]
async fn curl_with_100_mb_is_told_413() {
    if !skip_unless("curl") {
        return;
    }
    let folder = kit_testing::temp::temp_dir().unwrap();
    let file = folder.path().join("body");
    std::fs::File::create(&file).unwrap().set_len(100_000_000).unwrap();
    let served = up(sum()).await;
    let body = format!("@{}", file.display());
    let url = format!("{}/sum", served.url());
    let answer = curl(["-H", JSON, "--data-binary", &body, &url]).await.unwrap();
    problem(&answer, 413);
    let answer = curl(["-H", JSON, "-H", "transfer-encoding: chunked", "--data-binary", &body, &url]).await.unwrap();
    problem(&answer, 413);
}

#[tokio::test]
async fn a_body_of_100_mb_in_chunks_is_413_and_read_no_further_than_the_limit() {
    let polled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&polled);
    let frames = (0..100).map(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Infallible>(Bytes::from(vec![b' '; 1_000_000]))
    });
    let request = post("/sum", "").map(|_| Frames(frames));
    problem(&ask(&sum().routes().unwrap(), request).await, 413);
    assert_eq!(polled.load(Ordering::Relaxed), 3, "frames of 1 MB are read up to the limit of 2 MiB");

    let served = up(sum()).await;
    let head = format!("POST /sum HTTP/1.1\r\nhost: a\r\n{JSON}\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = format!("f4240\r\n{}\r\n", " ".repeat(1_000_000));
    let answer = raw_response(served.addr, head + &chunk.repeat(100)).await.unwrap();
    problem(&answer, 413);
}

#[tokio::test]
async fn a_body_just_within_the_limit_is_read_whatever_its_pieces() {
    let body = format!(r#"{{"a":1,"b":2}}{}"#, " ".repeat(51));
    let server = || sum().body_limit(64);
    assert_eq!(body.len(), 64);
    assert_eq!(answer(server(), post("/sum", body.clone())).await.body(), r#"{"v":3}"#);
    problem(&answer(server(), post("/sum", body.clone() + " ")).await, 413);

    let served = up(server()).await;
    let head = format!("POST /sum HTTP/1.1\r\nhost: a\r\n{JSON}\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunks = |body: &str| body.bytes().map(|byte| format!("1\r\n{}\r\n", byte as char)).collect::<String>();
    let answer = raw_response(served.addr, format!("{head}{}0\r\n\r\n", chunks(&body))).await.unwrap();
    assert_eq!(answer.body(), r#"{"v":3}"#);
    let answer = raw_response(served.addr, format!("{head}{}0\r\n\r\n", chunks(&(body + " ")))).await.unwrap();
    problem(&answer, 413);
}

#[tokio::test]
async fn the_limit_of_whoever_serves_is_413_too() {
    let request = post("/sum", r#"{"a":1,"b":2}"#).map(|body| Limited::new(body, 5));
    let details = problem(&ask(&sum().routes().unwrap(), request).await, 413);
    assert_eq!(details["reason"], "BODY_TOO_LARGE");
}

/// As whoever serves ends a body that comes too slowly: the kind of its cause is what tells it.
#[derive(Debug)]
struct TooSlow(std::io::Error);

impl std::fmt::Display for TooSlow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the body came too slowly")
    }
}

impl std::error::Error for TooSlow {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Half a body, which then ends so.
pub(crate) fn too_slow(half: &'static str) -> impl http_body::Body<Data = Bytes, Error = impl Into<Cause>> + Send {
    let slow = TooSlow(std::io::ErrorKind::TimedOut.into());
    Frames([Ok(Bytes::from_static(half.as_bytes())), Err(slow)].into_iter())
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

#[tokio::test]
async fn a_body_that_comes_too_slowly_for_whoever_serves_is_408() {
    let request = http::Request::post("/sum").body(too_slow("{\"a\":1")).unwrap();
    assert_eq!(problem(&ask(&sum().routes().unwrap(), request).await, 408)["reason"], "BODY_TIMEOUT");
    for limit in [None, Some(100)] {
        let server = limit.into_iter().fold(total(), HttpServer::stream_limit);
        let request = http::Request::post("/total").body(too_slow("{\"v\":1}\n")).unwrap();
        assert_eq!(problem(&ask(&server.routes().unwrap(), request).await, 408)["reason"], "BODY_TIMEOUT");
    }
    // Another failure of the connection is no lateness.
    let broken = Frames([Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))].into_iter());
    problem(&ask(&sum().routes().unwrap(), http::Request::post("/sum").body(broken).unwrap()).await, 400);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_400_and_its_error_goes_to_the_handlers_of_errors() {
    let notes = crate::support::Notes::default();
    let seen = notes.clone();
    let routes = sum().error_handler(move |_, error| seen.add(crate::support::chain(error))).routes().unwrap();
    let frames = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("cable cut"))];
    let request = post("/sum", "").map(|_| Frames(frames.into_iter()));
    let details = problem(&ask(&routes, request).await, 400);
    assert_eq!(details["detail"], "the body broke off");
    assert_eq!(notes.all(), ["INVALID_ARGUMENT: the body broke off: cable cut"]);
}

#[tokio::test]
async fn a_client_that_hangs_up_in_the_middle_of_a_body_hurts_nobody() {
    let served = up(sum()).await;
    let head = format!("POST /sum HTTP/1.1\r\nhost: a\r\n{JSON}\r\ncontent-length: 13\r\n\r\n{{\"a\"");
    let mut peer = Peer::connect(served.addr).await.unwrap();
    peer.send(&head).await.unwrap();
    drop(peer);

    // With only its sending side closed, it can still be told.
    let mut peer = Peer::connect(served.addr).await.unwrap();
    peer.send(&head).await.unwrap();
    peer.finish().await.unwrap();
    peer.closed().await.unwrap();

    let whole = format!("POST /sum HTTP/1.1\r\nhost: a\r\n{JSON}\r\ncontent-length: 13\r\n\r\n{{\"a\":1,\"b\":2}}");
    assert_eq!(raw_response(served.addr, whole).await.unwrap().body(), r#"{"v":3}"#);
}

#[tokio::test]
async fn a_body_that_stops_half_way_is_408_within_the_body_timeout() {
    let served = up(sum().body_timeout(Duration::from_millis(50))).await;
    let head = format!("POST /sum HTTP/1.1\r\nhost: a\r\n{JSON}\r\ncontent-length: 13\r\n\r\n{{\"a\"");
    let started = std::time::Instant::now();
    let mut peer = Peer::connect(served.addr).await.unwrap();
    peer.send(head).await.unwrap();
    let details = problem(&peer.response().await.unwrap(), 408);
    assert!(started.elapsed() < crate::support::HANGS, "{:?}", started.elapsed());
    assert_eq!(details["detail"], "the body did not come within 50ms");
    peer.closed().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_body_is_given_30_seconds() {
    let started = tokio::time::Instant::now();
    let request = post("/sum", "").map(|_| Silent);
    problem(&ask(&sum().routes().unwrap(), request).await, 408);
    let waited = started.elapsed();
    assert!((30_000..30_010).contains(&waited.as_millis()), "{waited:?}");
}

#[tokio::test]
async fn an_encoding_that_fails_is_500_and_neutral() {
    // HTTP-S3. The keys of a JSON object are strings, which these are not.
    let bad = By(async |_: kit_base::Request<()>| {
        Ok::<_, kit_base::Error>(kit_base::Response::new(std::collections::BTreeMap::from([((1, 2), 3)])))
    });
    let notes = crate::support::Notes::default();
    let seen = notes.clone();
    let server = kit_transport_http::HttpServer::new()
        .endpoint(op("bad"), bad)
        .error_handler(move |_, error| seen.add(crate::support::chain(error)));
    let details = problem(&answer(server, post("/bad", "")).await, 500);
    assert_eq!(details["detail"], "internal error");
    assert_eq!(notes.all(), ["INTERNAL: the answer cannot be encoded: key must be a string"]);
}

#[tokio::test]
async fn what_is_no_http_ends_only_its_own_connection() {
    let served = up(sum()).await;
    let _ = raw(served.addr, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await.unwrap();
    let whole = "POST /sum HTTP/1.1\r\nhost: a\r\ncontent-length: 13\r\n\r\n{\"a\":1,\"b\":2}";
    assert_eq!(raw_response(served.addr, whole).await.unwrap().body(), r#"{"v":3}"#);
}

#[tokio::test]
async fn many_parameters_do_not_cost_more_than_they_should() {
    // Compared one by one, these would take seconds.
    let names: String = (0..9_000).map(|n| format!("&{n:X}=")).collect();
    let server = sum().route("sum", "GET,PUT /sum");
    let body: String = (0..100_000).map(|n| format!(r#""x{n:x}":0,"#)).collect();
    let mut request = post(&format!("/sum?a=1{names}"), format!(r#"{{{body}"b":2}}"#));
    *request.method_mut() = http::Method::GET;
    let started = std::time::Instant::now();
    assert_eq!(answer(server, request).await.body(), r#"{"v":3}"#);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_endpoint_of_its_own_error_type_answers_by_its_kind() {
    #[derive(Debug)]
    struct TooWise;

    impl From<TooWise> for kit_base::Error {
        fn from(_: TooWise) -> Self {
            Self::failed_precondition("too wise").with_reason("TOO_WISE")
        }
    }

    let server = kit_transport_http::HttpServer::new()
        .endpoint(op("fail"), By(async |_: kit_base::Request<()>| Err::<kit_base::Response<()>, _>(TooWise)));
    let details = problem(&answer(server, post("/fail", "")).await, 400);
    assert_eq!(details["kind"], "FAILED_PRECONDITION");
    assert_eq!(details["reason"], "TOO_WISE");
}

#[tokio::test]
async fn no_body_is_enough_for_a_message_of_nothing() {
    let nothing = By(async |_: kit_base::Request<()>| echo());
    let maybe = By(async |request: kit_base::Request<Option<crate::support::Sum>>| {
        Ok::<_, kit_base::Error>(kit_base::Response::new(request.into_message().is_none()))
    });
    let server = kit_transport_http::HttpServer::new().endpoint(op("ping"), nothing).endpoint(op("maybe"), maybe);
    let routes = server.routes().unwrap();
    assert_eq!(ask(&routes, post("/ping", "")).await.body(), "null");
    assert_eq!(ask(&routes, post("/maybe", "")).await.body(), "true");
    assert_eq!(ask(&routes, post("/maybe", r#"{"a":1,"b":2}"#)).await.body(), "false");
}
