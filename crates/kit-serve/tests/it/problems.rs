//! Errors and panics of the service, and addresses that cannot be bound.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use kit_serve::{RequestBody, Server};
use tower::service_fn;

use crate::support::{Body, GET, Raw, bind, get, http2, start, text, until};

/// A hook that keeps what it is told, and the list.
fn keep(server: Server) -> (Server, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&told);
    let server = server.on_problem(move |problem| {
        let source = problem.source().map(|source| format!(": {source}")).unwrap_or_default();
        kept.lock().unwrap().push(format!("{problem}{source}"));
    });
    (server, told)
}

/// Panics or fails as the path asks.
async fn fragile(request: Request<RequestBody>) -> Result<Response<Body>, Box<dyn Error + Send + Sync>> {
    match request.uri().path() {
        "/panic" => panic!("as asked"),
        "/error" => Err("as asked".into()),
        _ => Ok(text("fine")),
    }
}

#[tokio::test]
async fn a_panic_is_answered_500_and_the_connection_lives_on() {
    let (server, told) = keep(bind().await);
    let server = start!(server, service_fn(fragile));
    let mut raw = Raw::connect(server.addr).await;
    raw.send("GET /panic HTTP/1.1\r\nhost: t\r\n\r\n").await;
    assert!(raw.response().await.starts_with("HTTP/1.1 500 "));
    raw.send(GET).await;
    assert!(raw.response().await.ends_with("fine"));
    assert_eq!((server.stats.panics(), server.stats.connections_total()), (1, 1));
    assert_eq!(*told.lock().unwrap(), ["the service panicked: as asked"]);
}

#[tokio::test]
async fn a_panic_in_the_call_itself_is_answered_500_too() {
    let server = start!(
        bind().await,
        service_fn(|request: Request<RequestBody>| {
            assert_ne!(request.uri().path(), "/panic", "no {}", "future");
            async { Ok::<_, Infallible>(text("fine")) }
        })
    );
    let mut raw = Raw::connect(server.addr).await;
    raw.send("GET /panic HTTP/1.1\r\nhost: t\r\n\r\n").await;
    assert!(raw.response().await.starts_with("HTTP/1.1 500 "));
    raw.send(GET).await;
    assert!(raw.response().await.ends_with("fine"));
    assert_eq!(server.stats.panics(), 1);
}

#[tokio::test]
async fn over_http_2_a_panic_or_an_error_leaves_the_other_streams_alone() {
    let (server, told) = keep(bind().await);
    let server = start!(server, service_fn(fragile));
    let mut client = http2(server.addr).await;
    for (path, status) in [("/panic", 500), ("/", 200), ("/error", 500), ("/", 200)] {
        let mut request = get(server.addr);
        *request.uri_mut() = format!("http://{}{path}", server.addr).parse().unwrap();
        assert_eq!(client.send_request(request).await.unwrap().status(), status);
    }
    assert_eq!((server.stats.panics(), server.stats.service_errors()), (1, 1));
    assert_eq!(server.stats.connections_total(), 1);
    assert_eq!(*told.lock().unwrap(), ["the service panicked: as asked", "the service returned an error: as asked"]);
}

/// A body that begins well.
struct Broken {
    frames: usize,
    panics: bool,
}

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.frames += 1;
        if self.frames == 1 {
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"begun")))));
        }
        assert!(!self.panics, "in the body");
        Poll::Ready(Some(Err("no more".into())))
    }
}

#[tokio::test]
async fn a_body_that_breaks_is_seen_as_broken_by_the_client_and_told() {
    for (panics, told_as) in
        [(true, "the service panicked: in the body"), (false, "the body of a response failed: no more")]
    {
        let (server, told) = keep(bind().await);
        let server = start!(
            server,
            service_fn(move |_: Request<RequestBody>| async move {
                Ok::<_, Infallible>(Response::new(Broken { frames: 0, panics }))
            })
        );
        let mut raw = Raw::connect(server.addr).await;
        raw.send(GET).await;
        let answer = raw.rest().await;
        assert!(!answer.ends_with("0\r\n\r\n"), "looks complete: {answer:?}");

        let mut client = http2(server.addr).await;
        // The reset of the stream may overtake its head.
        if let Ok(response) = client.send_request(get(server.addr)).await {
            assert!(response.into_body().collect().await.is_err());
        }
        assert_eq!(*told.lock().unwrap(), [told_as; 2]);
        until(|| server.stats.requests_open() == 0).await;
    }
}

#[tokio::test]
async fn an_address_in_use_is_named_in_the_error() {
    let first = bind().await;
    let addr = first.local_addr();
    let error = Server::bind(addr).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {addr}"));
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.source().is_some());
}

/// Runs the test of this name once more, in a process that may have only a few files open.
#[cfg(unix)]
async fn with_few_files(test: &str) {
    let output = tokio::process::Command::new("sh")
        .args(["-c", "ulimit -n 48 && exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env("KIT_SERVE_FEW_FILES", "1")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn accepting_goes_on_after_the_process_ran_out_of_files() {
    if std::env::var_os("KIT_SERVE_FEW_FILES").is_none() {
        return with_few_files("problems::accepting_goes_on_after_the_process_ran_out_of_files").await;
    }
    let (server, told) = keep(bind().await);
    let server = start!(server, service_fn(fragile));
    let spare = std::fs::File::open("/dev/null").unwrap();
    let mut clients = Vec::new();
    while let Ok(stream) = tokio::net::TcpStream::connect(server.addr).await {
        clients.push(stream);
    }
    // If the server got the last file, there is no connection waiting that it cannot accept; so make one.
    drop(spare);
    clients.extend(tokio::net::TcpStream::connect(server.addr).await);
    until(|| server.stats.accept_errors() > 0).await;
    assert!(told.lock().unwrap()[0].starts_with("no connection could be accepted: "));
    drop(clients);
    until(|| server.stats.connections_open() == 0).await;
    let mut raw = Raw::connect(server.addr).await;
    raw.send(GET).await;
    assert!(raw.response().await.ends_with("fine"));
}
