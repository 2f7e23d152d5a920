//! Requests that come back: what surely did not begin is given back as it was, and a server that is killed costs no calls but
//! those on its connections.

use std::cell::Cell;
use std::process::Command;
use std::time::{Duration, Instant};

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method};
use kit_base::{Context, Deadline, Endpoint, Error, Kind, Operation, Origin, Request, ServerStream, Streaming};
use kit_testing::backend::{Backend, Reply};
use kit_testing::ports;
use kit_testing::process::{Child, Signal};
use kit_transport_http::{Connected, DecodeResponse, HttpClient, Json, Outgoing, Reply as Answer, Route};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::support::{HANGS, Notes, OnDrop, Sum, chain, items, op, sum, up};

/// A message that can be moved and nothing else.
#[derive(Serialize)]
struct Unique(Cell<u64>);

/// A URL where nobody listens, for as long as the port is held.
fn nowhere() -> (ports::FreePort, String) {
    let port = ports::free_port().unwrap();
    let url = format!("http://{}", port.addr());
    (port, url)
}

const NAME: HeaderName = HeaderName::from_static("x-own");

/// A context with something of everything, and its deadline.
fn full() -> (Context, Deadline) {
    let value = HeaderValue::from_static;
    let deadline = Deadline::after(Instant::now(), HANGS);
    let arrived = HeaderMap::from_iter([(HeaderName::from_static("x-request-id"), value("7"))]);
    let context = Context::received(arrived, Extensions::new()).with_extension("of this process");
    (
        context
            .with_operation(Operation::new("caller", "own"))
            .with_deadline(deadline)
            .with_outbound(NAME, value("out")),
        deadline,
    )
}

/// Whether this is the context above.
fn assert_full(context: &Context, deadline: Deadline) {
    assert_eq!((context.operation().service(), context.operation().method()), ("caller", "own"));
    assert_eq!(context.deadline(), Some(deadline));
    assert_eq!(context.extensions().get(), Some(&"of this process"));
    assert_eq!((context.inbound().len(), &context.inbound()["x-request-id"]), (1, &HeaderValue::from_static("7")));
    assert_eq!((context.outbound().len(), &context.outbound()[NAME]), (1, &HeaderValue::from_static("out")));
}

#[tokio::test]
async fn a_request_that_found_nobody_comes_back_as_it_was_given() {
    let (_port, url) = nowhere();
    let (notes, hooked) = (Notes::default(), Notes::default());
    let (seen, before) = (notes.clone(), hooked.clone());
    let client = HttpClient::new(url).unwrap();
    let client = client.before(move |context, headers| {
        before.add(format!("{} {}", context.operation().method(), headers.len()));
        headers.insert("x-hook", HeaderValue::from_static("1"));
    });
    let client = client.finalizer(move |call| {
        let error = call.error.unwrap();
        seen.add(format!("{} {:?} {}", call.context.operation().method(), error.origin(), call.left));
    });
    let call: Connected<Json, Unique, Value> = client.endpoint(op("sum"));
    let (context, deadline) = full();
    let mut request = Request::from_parts(context, Unique(7.into()));
    // It can go the same way any number of times.
    for _ in 0..2 {
        let mut error = call.call(request).await.unwrap_err();
        assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{}", chain(&error));
        request = error.take_unsent().unwrap();
        assert_eq!(request.message().0.get(), 7);
        assert_full(request.context(), deadline);
    }
    assert_eq!(notes.all(), ["sum NotSent false"; 2]);
    assert_eq!(hooked.all(), ["sum 5"; 2]);
}

#[tokio::test]
async fn a_request_whose_answer_would_stream_comes_back_too() {
    let (_port, url) = nowhere();
    let call: Connected<Json, Unique, Streaming<Value>> = HttpClient::new(url).unwrap().endpoint(op("watch"));
    let (context, deadline) = full();
    let mut error = call.call(Request::<_, ServerStream>::from_parts(context, Unique(7.into()))).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{}", chain(&error));
    let request: Request<Unique, ServerStream> = error.take_unsent().unwrap();
    assert_eq!(request.message().0.get(), 7);
    assert_full(request.context(), deadline);
}

/// How a call of this client ends, and whether its request comes back.
async fn ends(client: HttpClient) -> (Error, bool) {
    let call: Connected<Json, Value, Value> = client.endpoint(op("sum"));
    let mut error = call.call(Request::new(json!({}))).await.unwrap_err();
    let back = error.take_unsent::<Request<Value>>().is_some();
    (error, back)
}

/// A listener whose queue is full, so that packets vanish that ask for a connection.
async fn black_hole() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let mut queue = Vec::new();
    let connect = || TcpStream::connect(listener.local_addr().unwrap());
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(200), connect()).await {
        queue.push(stream.unwrap());
    }
    (listener, queue)
}

#[tokio::test]
async fn a_request_comes_back_however_the_connection_fails_to_come() {
    let (_port, url) = nowhere();
    let (hole, _queue) = black_hole().await;
    let hole = format!("http://{}", hole.local_addr().unwrap());
    let short = reqwest::Client::builder().connect_timeout(Duration::from_millis(200)).build().unwrap();
    // One that closes before HTTP/2 has begun.
    let closing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closing_url = format!("http://{}", closing.local_addr().unwrap());
    let closer = tokio::spawn(async move {
        while let Ok((mut stream, _)) = closing.accept().await {
            use tokio::io::AsyncWriteExt;
            let _ = stream.shutdown().await;
        }
    });
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    for (what, client) in [
        ("refused", HttpClient::new(&url).unwrap()),
        ("no such name", HttpClient::new("http://no-such-host.invalid").unwrap()),
        ("no answer to the knock", HttpClient::with_client(&hole, short).unwrap()),
        ("refused, over HTTP/2", HttpClient::with_client(&url, http2.clone()).unwrap()),
    ] {
        let (error, back) = ends(client).await;
        assert_eq!((error.kind(), error.origin(), back), (Kind::Unavailable, Origin::NotSent, true), "{what}");
    }
    let (error, back) = ends(HttpClient::with_client(&closing_url, http2).unwrap()).await;
    // Whether the client hears of the end before it writes is a matter of luck.
    assert_eq!((error.kind(), error.origin() == Origin::NotSent), (Kind::Unavailable, back), "{}", chain(&error));
    closer.abort();
}

/// A server of HTTP/2 that does this to each stream, and ends with the test.
#[cfg(feature = "http2")]
async fn turning_away(
    turn_away: fn(&mut h2::server::Connection<TcpStream, bytes::Bytes>, h2::server::SendResponse<bytes::Bytes>),
) -> HttpClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, respond))) = connection.accept().await {
                    turn_away(&mut connection, respond);
                }
            });
        }
    });
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    HttpClient::with_client(url, client).unwrap()
}

#[cfg(feature = "http2")]
#[tokio::test]
async fn a_request_comes_back_whose_stream_was_refused_and_not_one_whose_stream_was_reset() {
    let refusing = turning_away(|_, mut respond| respond.send_reset(h2::Reason::REFUSED_STREAM)).await;
    let (error, back) = ends(refusing).await;
    assert_eq!((error.kind(), error.origin(), back), (Kind::Unavailable, Origin::NotSent, true), "{}", chain(&error));
    let resetting = turning_away(|_, mut respond| respond.send_reset(h2::Reason::INTERNAL_ERROR)).await;
    let (error, back) = ends(resetting).await;
    assert_eq!((error.origin(), back), (Origin::Remote, false), "{}", chain(&error));
    // Its goodbye names the stream as seen.
    let leaving = turning_away(|connection, _| connection.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM)).await;
    let (error, back) = ends(leaving).await;
    assert_eq!((error.origin(), back), (Origin::Remote, false), "{}", chain(&error));
}

#[tokio::test]
async fn a_request_that_may_have_begun_stays_away() {
    for reply in [Reply::close(), Reply::reset(), Reply::status(503), Reply::raw("HTTP/1.1 200 O")] {
        let shown = format!("{reply:?}");
        let backend = Backend::start(reply).await.unwrap();
        let (error, back) = ends(HttpClient::new(backend.url()).unwrap()).await;
        assert_eq!((error.kind(), error.origin(), back), (Kind::Unavailable, Origin::Remote, false), "{shown}");
    }
    let backend = Backend::start(Reply::hang()).await.unwrap();
    let (error, back) = ends(HttpClient::new(backend.url()).unwrap().head_timeout(Duration::from_millis(100))).await;
    assert_eq!((error.kind(), back), (Kind::DeadlineExceeded, false));
}

/// A client that follows redirects, as reqwest's own do: the service has done its work when it says where the outcome is.
#[tokio::test]
async fn a_request_whose_answer_leads_to_where_no_client_can_go_stays_away() {
    for location in ["ftp://elsewhere.test/outcome", "mailto:somebody@elsewhere.test"] {
        let backend = Backend::start(Reply::status(303).header("location", location)).await.unwrap();
        let (error, back) = ends(HttpClient::with_client(backend.url(), reqwest::Client::new()).unwrap()).await;
        assert_eq!(
            (error.kind(), error.origin(), back),
            (Kind::Unavailable, Origin::Remote, false),
            "{}",
            chain(&error)
        );
        assert_eq!(backend.requests().len(), 1);
    }
}

/// An encoder that fails, whatever it says of that.
struct NoEncoder;

impl<T> kit_transport_http::EncodeRequest<T> for NoEncoder {
    fn encode_request(&self, _: &Route, _: &Method, _: &T) -> Result<Outgoing, Error> {
        Err(Error::unavailable("no key to sign with"))
    }
}

impl DecodeResponse<Value> for NoEncoder {
    fn decode_response(&self, _: &Answer) -> Result<Value, Error> {
        Err(Error::internal("never called"))
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_encoded_stays_away_as_no_other_instance_helps() {
    let (_port, url) = nowhere();
    let call: Connected<_, Value, Value> = HttpClient::new(url).unwrap().codec(NoEncoder).endpoint(op("sum"));
    let mut error = call.call(Request::new(json!({}))).await.unwrap_err();
    assert_eq!((error.message(), error.origin()), ("no key to sign with", Origin::NotSent));
    assert!(error.take_unsent::<Request<Value>>().is_none());
}

#[tokio::test]
async fn the_message_is_kept_until_the_outcome_is_known_and_no_longer() {
    #[derive(Serialize)]
    struct Kept {
        #[serde(skip)]
        _note: OnDrop,
    }
    let notes = Notes::default();
    let backend = Backend::start([Reply::json("1"), Reply::status(503)]).await.unwrap();
    let call: Connected<Json, Kept, Value> = HttpClient::new(backend.url()).unwrap().endpoint(op("sum"));
    for ended in [true, false] {
        let outcome = call.call(Request::new(Kept { _note: OnDrop(notes.clone(), "dropped") })).await;
        assert_eq!(outcome.is_ok(), ended);
    }
    assert_eq!(notes.all(), ["dropped"; 2]);
    let (_port, url) = nowhere();
    let call: Connected<Json, Kept, Value> = HttpClient::new(url).unwrap().endpoint(op("sum"));
    let error =
        call.call(Request::new(Kept { _note: OnDrop(notes.clone(), "dropped with its error") })).await.unwrap_err();
    assert_eq!(notes.all().len(), 2);
    drop(error);
    assert_eq!(notes.all().len(), 3);
}

#[tokio::test]
async fn the_future_of_a_call_keeps_the_message_in_one_place_more() {
    let client = HttpClient::new("http://127.0.0.1:1").unwrap();
    let call: Connected<Json, Vec<u8>, Value> = client.endpoint(op("sum"));
    let small = size_of_val(&call.call(Request::new(Vec::new())));
    let call: Connected<Json, [Vec<u8>; 32], Value> = client.endpoint(op("sum"));
    let large = size_of_val(&call.call(Request::new(std::array::from_fn(|_| Vec::new()))));
    // One as it comes, and one where it stays: the compiler has no single place for both.
    assert!(large - small <= 2 * 31 * size_of::<Vec<u8>>(), "{small} {large}");
}

/// Says that a server is wanted, which runs until it is killed.
const SERVE: &str = "KIT_TEST_SERVE";

/// The server that the tests below start and kill.
#[tokio::test]
async fn serves_where_another_test_asks_for_it() {
    if std::env::var_os(SERVE).is_none() {
        return;
    }
    let served = up(sum()).await;
    println!("listening on {}", served.addr);
    std::future::pending().await
}

fn server() -> (Child, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "unsent::serves_where_another_test_asks_for_it", "--nocapture"]).env(SERVE, "1");
    let child = Child::spawn(command).unwrap();
    let addr = child.wait_for(HANGS, "the address", |line| Some(line.split_once("listening on ")?.1.to_owned()));
    (child, format!("http://{}", addr.unwrap()))
}

/// Kills it as by `kill -9`, and waits until it is gone.
async fn kill(mut server: Child) {
    let killing = move || {
        server.signal(Signal::Kill).unwrap();
        server.wait(HANGS).unwrap();
    };
    tokio::task::spawn_blocking(killing).await.unwrap();
}

#[tokio::test]
async fn the_call_after_the_server_was_killed_goes_into_no_dead_connection() {
    for http2 in [false, true] {
        for _ in 0..5 {
            let (child, url) = server();
            let builder = reqwest::Client::builder();
            let builder = if http2 { builder.http2_prior_knowledge() } else { builder };
            let client = HttpClient::with_client(&url, builder.build().unwrap()).unwrap();
            let call: Connected<Json, Sum, Value> = client.endpoint(op("sum"));
            // Some connections at rest.
            let calls: JoinSet<_> = (0..4)
                .map(|a| {
                    let call = call.clone();
                    async move { call.call(Request::new(Sum { a, b: 2 })).await.map(drop) }
                })
                .collect();
            assert!(calls.join_all().await.iter().all(Result::is_ok));
            let mut watch = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
            kill(child).await;
            // Its own end comes last, and the client has heard of the others.
            let _ = tokio::io::copy(&mut watch, &mut tokio::io::sink()).await;
            for a in 0..8 {
                let mut error = call.call(Request::new(Sum { a, b: 2 })).await.unwrap_err();
                let back = error.take_unsent::<Request<Sum>>().map(Request::into_message);
                assert_eq!(back, Some(Sum { a, b: 2 }), "{}", chain(&error));
            }
        }
    }
}

/// Over HTTP/1.1 a connection that has been at rest is found dead when the runtime looks at its socket, and a call that comes
/// first is written into it: it may have begun, as far as anybody knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_under_load_costs_at_most_one_call_for_each_connection() {
    const CALLERS: usize = 16;
    const EACH: usize = 20;
    let (child, url) = server();
    let client = HttpClient::new(url).unwrap().pool(CALLERS, HANGS).unwrap();
    let call: Connected<Json, Sum, Value> = client.endpoint(op("sum"));
    let (answered, mut some) = tokio::sync::mpsc::unbounded_channel();
    let mut calls = JoinSet::new();
    for _ in 0..CALLERS {
        let (call, answered) = (call.clone(), answered.clone());
        calls.spawn(async move {
            let mut failures = Vec::new();
            while failures.len() < EACH {
                match call.call(Request::new(Sum { a: 1, b: 2 })).await {
                    Ok(_) => drop(answered.send(())),
                    Err(mut error) => {
                        let back = error.take_unsent::<Request<Sum>>().is_some();
                        assert_eq!(back, error.origin() == Origin::NotSent, "{}", chain(&error));
                        failures.push(back);
                    }
                }
            }
            failures
        });
    }
    for _ in 0..200 {
        tokio::time::timeout(HANGS, some.recv()).await.unwrap();
    }
    kill(child).await;
    let failures = tokio::time::timeout(HANGS, calls.join_all()).await.unwrap();
    let lost = failures.iter().flatten().filter(|back| !**back).count();
    // In use, at rest, and just being made.
    assert!(lost <= 3 * CALLERS, "{lost} of {} calls", CALLERS * EACH);
    assert!(failures.iter().all(|failures| failures.ends_with(&[true; 2])), "{failures:?}");
}

#[tokio::test]
async fn a_request_that_streams_says_that_it_was_not_sent_and_stays_away() {
    let (_port, url) = nowhere();
    let call: Connected<Json, Streaming<Value>, Value> = HttpClient::new(url).unwrap().endpoint(op("sum"));
    let request = crate::support::calling::<kit_base::ClientStream, _>(items([Ok(json!(1))]));
    let mut error = call.call(request).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{}", chain(&error));
    assert!(error.take_unsent::<Request<Streaming<Value>, kit_base::ClientStream>>().is_none());
}
