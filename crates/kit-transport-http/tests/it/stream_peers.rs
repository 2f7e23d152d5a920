//! Streams with peers that no one here wrote: curl, a browser, httpx.

use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use kit_base::{Bidi, Error, Request, Response, ServerStream, Streaming};
use kit_testing::http::{CurlError, curl};
use kit_testing::process::Child;
use kit_testing::temp::temp_dir;
use kit_testing::tools::{skip_unless, skip_unless_or};
use kit_transport_http::{HttpServer, Raw, Sse};

use crate::stream_requests::{double, total};
use crate::streams::ticking;
use crate::support::{By, HANGS, Notes, OnDrop, Value, With, feed, items, op, shaped, up};

/// CI does not install these two: they are large.

#[tokio::test(flavor = "multi_thread")]
async fn curl_reads_each_item_as_it_comes_and_is_missed_when_it_leaves() {
    if !skip_unless("curl") {
        return;
    }
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for (accept, line) in [("*/*", r#"{"v":"#), ("text/event-stream", r#"data: {"v":"#)] {
            let notes = Notes::default();
            let (feed, stream) = feed();
            let stream = Mutex::new(Some(Streaming::new(With(stream, OnDrop(notes.clone(), "dropped")))));
            let served = up(ticking(move || stream.lock().unwrap().take().unwrap())).await;
            let accept = format!("accept: {accept}");
            let url = format!("{}/ticks", served.url());
            let mut curl = Child::spawn(Command::new("curl").args(["-qsN", version, "-H", &accept, &url])).unwrap();
            for v in 1..4 {
                feed.send(Ok(Value { v })).unwrap();
                curl.wait_for_line(&format!("{line}{v}}}"), HANGS).unwrap();
            }
            assert!(notes.all().is_empty());
            curl.stop().unwrap();
            notes.until(1).await;
        }
    }
}

#[tokio::test]
async fn curl_sends_lines_and_reads_lines() {
    if !skip_unless("curl") {
        return;
    }
    let lines = "{\"v\":1}\n{\"v\":2}\n";
    let (adding, doubling) = (up(total()).await, up(double()).await);
    let (adds, doubles) = (format!("{}/total", adding.url()), format!("{}/double", doubling.url()));
    let ndjson = "content-type: application/x-ndjson";
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let sum = curl([version, "-H", ndjson, "--data-binary", lines, &adds]).await.unwrap();
        assert_eq!(sum.body(), r#"{"v":3}"#);
        let doubled = curl([version, "-H", ndjson, "--data-binary", lines, &doubles]).await.unwrap();
        assert_eq!(doubled.body(), "{\"v\":2}\n{\"v\":4}\n");
    }
    let form = curl(["-d", lines, &adds]).await.unwrap();
    assert_eq!(form.status(), 415);
}

#[tokio::test]
async fn a_transfer_that_breaks_off_is_seen_by_curl() {
    if !skip_unless("curl") {
        return;
    }
    let fails = shaped::<ServerStream, _>(async |_: Request<Bytes, ServerStream>| {
        let broken = items([Ok(Bytes::from_static(b"half")), Err(Error::data_loss("the disk is gone"))]);
        Ok::<_, Error>(Response::new(broken))
    });
    let served = up(HttpServer::with_codec(Raw).endpoint(op("m"), fails)).await;
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let error = curl([version, "-d", "x", &format!("{}/m", served.url())]).await.unwrap_err();
        // Closed in the middle, before anything was flushed, or reset.
        assert!(matches!(error, CurlError::Failed { code: Some(18 | 52 | 92), .. }), "{error}");
    }
}

const PAGE: &str = r"<!doctype html><script>
const seen = [];
const ticks = new EventSource('/ticks');
ticks.addEventListener('tick', event => seen.push(event.lastEventId + ':' + JSON.parse(event.data).v));
ticks.addEventListener('problem', event => {
  seen.push(JSON.parse(event.data).kind);
  ticks.close();
  fetch('/seen', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(seen.join(' ')) });
});
</script>";

#[tokio::test]
async fn a_browser_reads_events_and_comes_back_with_the_last_id() {
    if !skip_unless("chromium") {
        return;
    }
    let tick = |v: i64| Ok(Sse::new(Value { v }).with_event("tick").with_id(v.to_string()));
    let ticks = shaped::<ServerStream, _>(move |request: Request<(), ServerStream>| {
        let stream = match request.context().inbound().get("last-event-id").map(HeaderValue::as_bytes) {
            None => items([tick(1).map(|tick| tick.with_retry(Duration::from_millis(20))), tick(2)]),
            // It has come back after the end.
            Some(b"2") => items([tick(3), Err(Error::aborted("enough"))]),
            Some(_) => items([Err(Error::invalid_argument("another id"))]),
        };
        async { Ok::<_, Error>(Response::new(stream)) }
    });
    let page = By(async |_: Request<Bytes>| {
        let html = HeaderValue::from_static("text/html");
        Ok::<_, Error>(Response::new(Bytes::from(PAGE)).with_header(HeaderName::from_static("content-type"), html))
    });
    let notes = Notes::default();
    let noted = notes.clone();
    let seen = By(move |request: Request<String>| {
        noted.add(request.into_message());
        async { Ok::<_, Error>(Response::new(())) }
    });
    let server = HttpServer::new()
        .route("ticks", "GET /ticks")
        .endpoint(op("ticks"), ticks)
        .route("page", "GET /")
        .handle(op("page"), page, Raw, Raw)
        .endpoint(op("seen"), seen);
    let served = up(server).await;
    let profile = temp_dir().unwrap();
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
    command.arg(format!("--user-data-dir={}", profile.path().display())).arg(served.url());
    let _browser = Child::spawn(command).unwrap();
    assert_eq!(notes.until(1).await, ["1:1 2:2 3:3 ABORTED"]);
}

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/venv/bin/python");

const SCRIPT: &str = r"
import sys, httpx

url, version = sys.argv[1], sys.argv[2]
with httpx.Client(http1=version == '1', http2=version == '2', timeout=20) as client:
    def lines():
        for v in range(1, 4):
            yield b'{' + b'\x22v\x22:%d}\n' % v
    headers = {'content-type': 'application/x-ndjson'}
    with client.stream('POST', url + '/double', content=lines(), headers=headers) as answer:
        print(answer.http_version, answer.status_code, answer.headers['content-type'], *answer.iter_lines())
    piece = b'x' * 65536
    with client.stream('POST', url + '/echo', content=(piece for _ in range(100))) as answer:
        print(sum(len(chunk) for chunk in answer.iter_raw()))
";

#[tokio::test(flavor = "multi_thread")]
async fn httpx_streams_in_both_directions() {
    if !skip_unless_or(PYTHON, "run `cargo xtask servers httpx`") {
        return;
    }
    let echo = shaped::<Bidi, _>(async |request: Request<Streaming<Bytes>, Bidi>| {
        Ok::<_, Error>(Response::new(request.into_message()))
    });
    let served = up(double().handle(op("echo"), echo, Raw, Raw)).await;
    for (version, name) in [("1", "HTTP/1.1"), ("2", "HTTP/2")] {
        let mut script = Child::spawn(Command::new(PYTHON).args(["-c", SCRIPT, &served.url(), version])).unwrap();
        let status = script.wait(HANGS).unwrap();
        assert!(status.success(), "{}", script.stderr());
        let want = format!("{name} 200 application/x-ndjson {{\"v\":2}} {{\"v\":4}} {{\"v\":6}}\n6553600\n");
        assert_eq!(script.stdout(), want);
    }
}
