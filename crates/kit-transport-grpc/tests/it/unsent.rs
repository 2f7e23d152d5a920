//! Requests that come back: what surely did not begin is given back as it was, and a server that is killed costs no calls but
//! those on its connection.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use h2::Reason;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use kit_base::{
    ClientStream, Context, Deadline, Endpoint, Error, Kind, Operation, Origin, Request, Response, ServerStream,
    Streaming,
};
use kit_testing::ports;
use kit_testing::process::{Child, Signal};
use kit_transport_grpc::{By, Connected, Connections, EncodeRequest, GrpcClient, Prost};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::connections::ends::chain;
use crate::connections::host::Host;
use crate::streams_support::texts;
use crate::support::{HANGS, Note, echo, echoing, note, serve};

/// A message that can be moved and nothing else.
#[derive(PartialEq, prost::Message)]
struct Unique {
    #[prost(string, tag = "1")]
    text: String,
}

fn unique() -> Unique {
    Unique { text: "seven".into() }
}

/// A client of a service that is not there, for as long as the port is held.
fn nowhere() -> (ports::FreePort, GrpcClient) {
    let port = ports::free_port().unwrap();
    let client = GrpcClient::new(format!("http://{}", port.addr())).unwrap();
    (port, client)
}

const NAME: HeaderName = HeaderName::from_static("x-own");

/// A context with something of everything but a deadline.
fn full() -> Context {
    let value = HeaderValue::from_static;
    let arrived = HeaderMap::from_iter([(HeaderName::from_static("x-request-id"), value("7"))]);
    let context = Context::received(arrived, Extensions::new()).with_extension("of this process");
    context.with_operation(Operation::new("caller", "own")).with_outbound(NAME, value("out"))
}

/// Whether this is the context above.
fn assert_full(context: &Context, deadline: Option<Deadline>) {
    assert_eq!((context.operation().service(), context.operation().method()), ("caller", "own"));
    assert_eq!(context.deadline(), deadline);
    assert_eq!(context.extensions().get(), Some(&"of this process"));
    assert_eq!((context.inbound().len(), &context.inbound()["x-request-id"]), (1, &HeaderValue::from_static("7")));
    assert_eq!((context.outbound().len(), &context.outbound()[NAME]), (1, &HeaderValue::from_static("out")));
}

#[tokio::test]
async fn a_request_that_found_nobody_comes_back_as_it_was_given() {
    let (_port, client) = nowhere();
    let notes = Arc::new(Mutex::new(Vec::new()));
    let (hooked, ended) = (Arc::clone(&notes), Arc::clone(&notes));
    let client = client.before(move |context, metadata| {
        hooked.lock().unwrap().push(format!("{} {}", context.operation().method(), metadata.len()));
        metadata.insert("x-hook", HeaderValue::from_static("1"));
    });
    let client = client.finalizer(move |call| {
        let error = call.error.unwrap();
        ended.lock().unwrap().push(format!("{:?} {}", error.origin(), call.left));
    });
    let call: Connected<_, Prost, Unique, Note> = client.endpoint(echo());
    let mut request = Request::from_parts(full(), unique());
    // It can go the same way any number of times.
    for _ in 0..2 {
        let mut error = call.call(request).await.unwrap_err();
        assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{}", chain(&error));
        request = error.take_unsent().unwrap();
        assert_eq!(request.message(), &unique());
        // The deadline of calls that have none is the client's own.
        assert_full(request.context(), None);
    }
    assert_eq!(*notes.lock().unwrap(), ["Echo 2", "NotSent false"].repeat(2));
    let deadline = Deadline::after(Instant::now(), HANGS);
    let request = Request::from_parts(full().with_deadline(deadline), unique());
    let request: Request<Unique> = call.call(request).await.unwrap_err().take_unsent().unwrap();
    assert_full(request.context(), Some(deadline));
}

#[tokio::test]
async fn a_request_whose_answer_would_stream_comes_back_too() {
    let (_port, client) = nowhere();
    let call: Connected<_, Prost, Unique, Streaming<Note>> = client.endpoint(echo());
    let mut error = call.call(Request::<_, ServerStream>::from_parts(full(), unique())).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{}", chain(&error));
    let request: Request<Unique, ServerStream> = error.take_unsent().unwrap();
    assert_eq!(request.message(), &unique());
    assert_full(request.context(), None);
}

#[tokio::test]
async fn a_request_that_streams_says_that_it_was_not_sent_and_stays_away() {
    let (_port, client) = nowhere();
    let call: Connected<_, Prost, Streaming<Note>, Note> = client.endpoint(echo());
    let items = texts(["a"]);
    let mut error = call.call(Request::<_, ClientStream>::from_parts(full(), items)).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{}", chain(&error));
    assert!(error.take_unsent::<Request<Streaming<Note>, ClientStream>>().is_none());
}

/// Numbers as notes.
struct Numbers;

impl EncodeRequest<u64> for Numbers {
    type Message = Note;

    fn encode_request(&self, number: u64) -> Result<Note, Error> {
        if number == 0 { Err(Error::unavailable("no zeroes today")) } else { Ok(note(number.to_string())) }
    }

    fn give_back(&self, message: Note) -> Option<u64> {
        message.text.parse().ok()
    }
}

#[tokio::test]
async fn a_codec_says_what_a_message_was_made_of() {
    let (_port, client) = nowhere();
    let call: Connected<_, _, u64, Note> = client.endpoint_by(echo(), (Numbers, Prost));
    let mut error = call.call(Request::new(7)).await.unwrap_err();
    assert_eq!(error.take_unsent::<Request<u64>>().map(Request::into_message), Some(7));
    // What cannot be encoded can go to no other instance.
    let mut error = call.call(Request::new(0)).await.unwrap_err();
    assert_eq!((error.message(), error.origin()), ("no zeroes today", Origin::NotSent));
    assert!(error.take_unsent::<Request<u64>>().is_none());
    // Closures cannot say.
    let codec = By::new(|note: Note| Ok(note), |number: u64| Ok(note(number.to_string())));
    let call: Connected<_, _, u64, Note> = client.endpoint_by(echo(), codec);
    let mut error = call.call(Request::new(7)).await.unwrap_err();
    assert_eq!(error.origin(), Origin::NotSent);
    assert!(error.take_unsent::<Request<u64>>().is_none());
}

/// A call in the background: how it failed, and whether its request came back.
fn failing(host: &Host) -> tokio::task::JoinHandle<(Error, bool)> {
    let call = host.echo(Connections::new());
    tokio::spawn(async move {
        let mut error = call.call(Request::new(note("text"))).await.unwrap_err();
        let back = error.take_unsent::<Request<Note>>().map(Request::into_message);
        (error, back == Some(note("text")))
    })
}

#[tokio::test]
async fn a_request_comes_back_whose_stream_was_refused_and_not_one_that_may_have_begun() {
    let host = Host::bind().await;
    let call = failing(&host);
    let mut line = host.accept().await;
    for _ in 0..2 {
        line.call().await.reset(Reason::REFUSED_STREAM);
    }
    let (error, back) = call.await.unwrap();
    assert_eq!((error.kind(), error.origin(), back), (Kind::Unavailable, Origin::NotSent, true), "{}", chain(&error));

    let call = failing(&host);
    let mut line = host.accept().await;
    let taken = line.call().await;
    line.knife().abort();
    drop(taken);
    let (error, back) = call.await.unwrap();
    assert_eq!((error.kind(), error.origin(), back), (Kind::Unavailable, Origin::Remote, false), "{}", chain(&error));
}

#[tokio::test]
async fn a_request_comes_back_over_a_channel_of_tonics_too() {
    let (port, _) = nowhere();
    let url = format!("http://{}", port.addr());
    let channel = Channel::from_shared(url.clone()).unwrap();
    let lazy = channel.clone().connect_lazy();
    let call: Connected<_, Prost, Unique, Note> = GrpcClient::with_service(&url, lazy).unwrap().endpoint(echo());
    let mut error = call.call(Request::new(unique())).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{}", chain(&error));
    assert!(error.take_unsent::<Request<Unique>>().is_some());
}

#[tokio::test]
async fn the_future_of_a_call_keeps_the_message_in_one_place_more() {
    #[derive(PartialEq, prost::Message)]
    struct Large {
        #[prost(message, required, tag = "1")]
        a: Note,
        #[prost(message, required, tag = "2")]
        b: Note,
    }
    let (_port, client) = nowhere();
    let call: Connected<_, Prost, Note, Note> = client.endpoint(echo());
    let small = size_of_val(&call.call(Request::new(note(""))));
    let call: Connected<_, Prost, Large, Note> = client.endpoint(echo());
    let large = size_of_val(&call.call(Request::new(Large { a: note(""), b: note("") })));
    // As it comes, while it is encoded, and where it stays: the compiler has no single place for them.
    assert!(large - small <= 3 * size_of::<Note>(), "{small} {large}");
}

/// Says that a server is wanted, which runs until it is killed.
const SERVE: &str = "KIT_TEST_SERVE";

/// The server that the tests below start and kill.
#[tokio::test]
async fn serves_where_another_test_asks_for_it() {
    if std::env::var_os(SERVE).is_none() {
        return;
    }
    let served = serve(echoing(async |request: Request<_>| Ok(Response::new(request.into_message())))).await;
    println!("listening on {}", served.addr);
    std::future::pending().await
}

fn server() -> (Child, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "unsent::serves_where_another_test_asks_for_it", "--nocapture"]).env(SERVE, "1");
    let child = Child::spawn(command).unwrap();
    let addr = child.wait_for(HANGS, "the address", |line| Some(line.split_once("listening on ")?.1.to_owned()));
    (child, addr.unwrap())
}

/// Kills it as by `kill -9`, and waits until it is gone.
async fn kill(mut server: Child) {
    let killing = move || {
        server.signal(Signal::Kill).unwrap();
        server.wait(HANGS).unwrap();
    };
    tokio::task::spawn_blocking(killing).await.unwrap();
}

/// Calls a server until it is killed, and then some more times: each request comes back.
async fn outlives<E>(call: E, addr: String, child: Child)
where
    E: Endpoint<Request<Note>, Response = Response<Note>, Error = Error>,
{
    call.call(Request::new(note("before"))).await.unwrap();
    let mut watch = TcpStream::connect(addr).await.unwrap();
    kill(child).await;
    // Its own end comes last, and the client has heard of the other.
    let _ = tokio::io::copy(&mut watch, &mut tokio::io::sink()).await;
    for _ in 0..4 {
        let mut error = call.call(Request::new(note("after"))).await.unwrap_err();
        let back = error.take_unsent::<Request<Note>>().map(Request::into_message);
        assert_eq!(back, Some(note("after")), "{}", chain(&error));
    }
}

#[tokio::test]
async fn the_call_after_the_server_was_killed_goes_into_no_dead_connection() {
    for _ in 0..10 {
        let (child, addr) = server();
        let client = GrpcClient::new(format!("http://{addr}")).unwrap();
        outlives(client.endpoint(echo()), addr, child).await;
    }
}

#[tokio::test]
async fn the_same_holds_over_a_channel_of_tonics() {
    for _ in 0..10 {
        let (child, addr) = server();
        let url = format!("http://{addr}");
        let channel = Channel::from_shared(url.clone()).unwrap().connect_lazy();
        outlives(GrpcClient::with_service(url, channel).unwrap().endpoint(echo()), addr, child).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_under_load_costs_each_caller_at_most_the_call_on_its_connection() {
    const CALLERS: usize = 16;
    const EACH: usize = 20;
    let (child, addr) = server();
    let call = GrpcClient::new(format!("http://{addr}")).unwrap().endpoint::<Note, Note>(echo());
    let (answered, mut some) = tokio::sync::mpsc::unbounded_channel();
    let mut calls = JoinSet::new();
    for _ in 0..CALLERS {
        let (call, answered) = (call.clone(), answered.clone());
        calls.spawn(async move {
            let mut failures = Vec::new();
            while failures.len() < EACH {
                match call.call(Request::new(note("x"))).await {
                    Ok(_) => drop(answered.send(())),
                    Err(mut error) => {
                        let back = error.take_unsent::<Request<Note>>().is_some();
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
    for failures in tokio::time::timeout(HANGS, calls.join_all()).await.unwrap() {
        // The first may have been under way.
        assert_eq!(failures[1..], [true; EACH - 1]);
    }
}

#[tokio::test]
async fn a_request_whose_time_is_over_stays_away() {
    let (_port, client) = nowhere();
    let call: Connected<_, Prost, Note, Note> = client.endpoint(echo());
    let context = Context::new().with_deadline(Deadline::after(Instant::now(), Duration::ZERO));
    let mut error = call.call(Request::from_parts(context, note(""))).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::DeadlineExceeded, Origin::NotSent));
    assert!(error.take_unsent::<Request<Note>>().is_none());
}
