//! What goes on from a request to the calls made while it is served.

use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue};
use kit_base::{Context, Deadline, Endpoint, Error, Kind, PassOn, Request, Response};
use kit_testing::backend::{Backend, Reply};
use kit_testing::http::raw_response;
use kit_transport_http::{Connected, HttpClient, HttpServer, Json};

use crate::support::{By, Notes, OnDrop, Served, op, up};

/// A service whose handler passes its own context to the next one.
async fn hop(next: Connected<Json, (), String>) -> Served {
    let handler = By(move |request: Request<()>| {
        let next = next.clone();
        async move {
            let (context, ()) = request.into_parts();
            next.call(Request::from_parts(context, ())).await.map(|answer| Response::new(answer.into_message()))
        }
    });
    up(HttpServer::new().endpoint(op("hop"), handler)).await
}

fn pass_on(url: impl AsRef<str>) -> Connected<Json, (), String> {
    HttpClient::new(url).unwrap().pass_on(PassOn::new(["x-tenant"]).unwrap()).endpoint(op("hop"))
}

#[tokio::test]
async fn a_handlers_context_leaks_no_credentials_and_passes_on_trace_baggage_and_named_keys() {
    let backend = Backend::start(Reply::json(r#""done""#)).await.unwrap();
    let served = hop(pass_on(backend.url())).await;
    let request = "POST /hop HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\
        authorization: Bearer secret\r\ncookie: session=secret\r\nproxy-authorization: Basic secret\r\n\
        x-api-key: secret\r\nx-other: private\r\nx-tenant: acme\r\nbaggage: a=1\r\nbaggage: b=2\r\n\
        traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: x=1\r\n\
        grpc-timeout: 10S\r\nconnection: close\r\naccept-encoding: gzip\r\n\r\n";
    assert_eq!(raw_response(served.addr, request).await.unwrap().body(), r#""done""#);
    let requests = backend.requests();
    let headers = requests[0].headers();
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let want = [
        "accept",
        // Of reqwest with its feature gzip; what the caller accepts is not passed on.
        "accept-encoding",
        "baggage",
        "content-length",
        "content-type",
        "grpc-timeout",
        "host",
        "traceparent",
        "tracestate",
        "x-tenant",
    ];
    assert_eq!(names, want);
    assert!(!format!("{headers:?}").contains("secret"));
    assert_eq!(headers["traceparent"], "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_eq!(headers.get_all("baggage").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(headers["x-tenant"], "acme");
}

#[tokio::test]
async fn a_deadline_shrinks_over_three_hops() {
    let backend = Backend::start(Reply::json(r#""done""#)).await.unwrap();
    let third = hop(pass_on(backend.url())).await;
    let second = hop(pass_on(third.url())).await;
    let first = hop(pass_on(second.url())).await;
    let client = pass_on(first.url());
    let deadline = Deadline::after(Instant::now(), Duration::from_secs(5));
    let context = Context::new()
        .with_deadline(deadline)
        .with_outbound(HeaderName::from_static("x-tenant"), HeaderValue::from_static("acme"));
    assert_eq!(client.call(Request::from_parts(context, ())).await.unwrap().message(), "done");
    let requests = backend.requests();
    let sent = requests[0].headers()["grpc-timeout"].to_str().unwrap();
    let left: Duration = sent.parse::<kit_base::Timeout>().unwrap().0;
    assert!(left < Duration::from_secs(5) && left > Duration::from_secs(4), "{sent}");
    assert_eq!(requests[0].headers()["x-tenant"], "acme");
}

#[tokio::test]
async fn a_deadline_ends_every_hop_and_drops_the_last_handler() {
    let notes = Notes::default();
    let dropped = notes.clone();
    let slow = By(move |_: Request<()>| {
        let guard = OnDrop(dropped.clone(), "dropped");
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok::<_, Error>(Response::new(String::new()))
        }
    });
    let last = up(HttpServer::new().endpoint(op("hop"), slow)).await;
    let second = hop(pass_on(last.url())).await;
    let first = hop(pass_on(second.url())).await;
    let started = Instant::now();
    let deadline = Deadline::after(started, Duration::from_millis(300));
    let request = Request::from_parts(Context::new().with_deadline(deadline), ());
    let error = pass_on(first.url()).call(request).await.unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    assert_eq!(notes.until(1).await, ["dropped"]);
    let waited = started.elapsed();
    assert!((295..crate::support::HANGS.as_millis()).contains(&waited.as_millis()), "{waited:?}");
}
