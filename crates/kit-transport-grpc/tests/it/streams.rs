//! Calls that stream, from our client to our server, over sockets.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use kit_base::{
    Bidi, Bind, ClientStream, Connect, Context, Deadline, Endpoint, Error, Guard, Kind, Origin, Request, Response,
    ServerStream, Streaming,
};
use kit_transport_grpc::{By, GrpcClient, GrpcServer, status_of};
use tower::Layer;

use crate::streams_server::Watching;
use crate::streams_support::{
    Log, MS, Notes, drain, feed, in_time, items, list, list_in, lists, lists_once, logging, takes, talks, texts, with,
};
use crate::support::{Note, echo, note, serve, shaped};

/// Answers each message as it comes.
async fn turn_by_turn(request: Request<Notes, Bidi>) -> Result<Response<Notes>, Error> {
    Ok(Response::new(request.into_message()))
}

/// Joins what comes.
async fn join(request: Request<Notes, ClientStream>) -> Result<Response<Note>, Error> {
    let mut items = request.into_message();
    let mut all = Vec::new();
    while let Some(item) = items.message().await? {
        all.push(item.text);
    }
    Ok(Response::new(note(all.join("+"))))
}

#[tokio::test]
async fn items_are_read_as_they_come() {
    let (feed, stream) = feed();
    let server = serve(lists_once(stream)).await;
    feed.send(Ok(note("0"))).unwrap();
    let mut items = list(&server.lists(), "").await.unwrap();
    for n in 0..3 {
        assert_eq!(in_time(items.message()).await.unwrap().unwrap().text, n.to_string());
        feed.send(Ok(note((n + 1).to_string()))).unwrap();
    }
    drop(feed);
    let (rest, error) = drain(items).await;
    assert_eq!((rest, error.is_none()), (vec!["3".to_owned()], true));
}

#[tokio::test]
async fn a_stream_of_requests_is_answered_by_one_message() {
    let server = serve(takes(join)).await;
    for (stream, want) in [(texts(["a", "b", "c"]), "a+b+c"), (texts([]), ""), (texts([""]), "")] {
        let reply = in_time(server.takes().call(Request::from_parts(Context::new(), stream))).await.unwrap();
        assert_eq!(reply.message().text, want);
    }
}

#[tokio::test]
async fn both_sides_talk_turn_by_turn() {
    let server = serve(talks(turn_by_turn)).await;
    // The head comes before anything was said.
    let (feed, said) = feed();
    let mut heard =
        in_time(server.talks().call(Request::from_parts(Context::new(), said))).await.unwrap().into_message();
    for text in ["one", "two", "three"] {
        feed.send(Ok(note(text))).unwrap();
        assert_eq!(in_time(heard.message()).await.unwrap(), Some(note(text)));
    }
    drop(feed);
    assert!(in_time(heard.message()).await.unwrap().is_none());
    // And for good.
    assert!(in_time(heard.message()).await.unwrap().is_none());
}

#[tokio::test]
async fn the_error_that_ends_a_stream_comes_back_as_what_it_was() {
    let server = serve(lists(async |_| {
        let error = Error::resource_exhausted("50% of\nÄpfel").with_reason("NO_APPLES").with_source("secret");
        Ok(Response::new(items([Ok(note("1")), Err(error.with_retry_after(1500 * MS))])))
    }))
    .await;
    let log = Log::default();
    let seen = log.clone();
    let client =
        server.client().finalizer(move |call| seen.add(format!("{:?} {}", call.error.map(Error::kind), call.left)));
    let (all, error) = drain(list(&client.endpoint(echo()), "").await.unwrap()).await;
    let error = error.unwrap();
    assert_eq!(all, ["1"]);
    assert_eq!((error.kind(), error.message()), (Kind::ResourceExhausted, "50% of\nÄpfel"));
    assert_eq!((error.reason(), error.retry_after()), (Some("NO_APPLES"), Some(1500 * MS)));
    assert_eq!(error.origin(), Origin::Remote);
    assert_eq!(status_of(&error).unwrap().code(), tonic::Code::ResourceExhausted);
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    assert_eq!(log.all(), ["Some(ResourceExhausted) false"]);
}

#[tokio::test]
async fn an_error_before_the_first_item_is_that_of_the_call() {
    let server = serve(lists_once(items([Err(Error::not_found("no notes").with_reason("NONE"))]))).await;
    let error = list(&server.lists(), "").await.expect_err("none");
    assert_eq!((error.kind(), error.message(), error.reason()), (Kind::NotFound, "no notes", Some("NONE")));
}

/// Where a call wants its headers and trailers.
#[derive(Clone, Default)]
struct Wanted(Arc<Mutex<Option<(HeaderMap, HeaderMap)>>>);

#[tokio::test]
async fn metadata_goes_both_ways_and_the_after_hook_sees_the_trailers_of_its_call() {
    let server = serve(talks(|request: Request<Notes, Bidi>| async move {
        let key = request.context().inbound()["x-key"].clone();
        let mut response =
            Response::new(request.into_message()).with_header(HeaderName::from_static("x-head"), key.clone());
        response.parts_mut().trailers.insert("x-tail", key);
        Ok(response)
    }))
    .await;
    let client = server.client().after(|context, headers, trailers| {
        let Wanted(wanted) = context.extensions().get().unwrap();
        *wanted.lock().unwrap() = Some((headers.clone(), trailers.clone()));
    });
    let wanted = Wanted::default();
    let context = Context::new()
        .with_outbound(HeaderName::from_static("x-key"), HeaderValue::from_static("v"))
        .with_extension(wanted.clone());
    let call = client.endpoint::<Notes, Notes>(echo());
    let reply = in_time(call.call(Request::<_, Bidi>::from_parts(context, texts(["a"])))).await.unwrap();
    let headers = &reply.parts().unwrap().headers;
    assert_eq!((headers["x-head"].as_bytes(), headers.contains_key("content-type")), (&b"v"[..], false));
    assert!(wanted.0.lock().unwrap().is_none());
    assert_eq!(drain(reply.into_message()).await.0, ["a"]);
    let (headers, trailers) = wanted.0.lock().unwrap().take().unwrap();
    assert_eq!((headers["x-head"].as_bytes(), trailers["x-tail"].as_bytes()), (&b"v"[..], &b"v"[..]));
}

#[cfg(feature = "gzip")]
#[tokio::test]
async fn messages_are_compressed_both_ways() {
    let seen = Arc::new(Mutex::new(HeaderMap::new()));
    let inbound = Arc::clone(&seen);
    let server = talks(turn_by_turn).gzip().before(move |context| {
        inbound.lock().unwrap().clone_from(context.inbound());
    });
    let server = serve(server).await;
    let answered = Arc::clone(&seen);
    let client = server.client().gzip().after(move |_, headers, _| {
        let coding = headers["grpc-encoding"].clone();
        answered.lock().unwrap().insert("answered", coding);
    });
    let call = client.endpoint::<Notes, Notes>(echo());
    let long = "0123456789".repeat(10_000);
    let said = items([Ok(note(&long)), Ok(note("")), Ok(note(&long))]);
    let heard = in_time(call.call(Request::<_, Bidi>::from_parts(Context::new(), said))).await.unwrap();
    assert_eq!(drain(heard.into_message()).await.0, [long.clone(), String::new(), long]);
    let seen = seen.lock().unwrap();
    assert_eq!((&seen["grpc-encoding"], &seen["answered"]), (&"gzip".parse().unwrap(), &"gzip".parse().unwrap()));
}

#[tokio::test]
async fn each_message_has_a_limit_and_a_stream_has_none() {
    let many = || items((0..200).map(|_| Ok(note("0123456789"))).chain([Ok(note("0123456789+"))]));
    // What the server takes.
    let server = serve(takes(join).max_decoding_message_size(12)).await;
    let error = in_time(server.takes().call(Request::from_parts(Context::new(), many()))).await.expect_err("too long");
    assert_eq!((error.kind(), error.reason()), (Kind::ResourceExhausted, Some("MESSAGE_TOO_LARGE")), "{error}");
    // What the client sends.
    let client = server.client().max_encoding_message_size(12).endpoint::<Notes, Note>(echo());
    let error = in_time(client.call(Request::<_, ClientStream>::from_parts(Context::new(), many()))).await;
    assert_eq!(error.expect_err("too long").kind(), Kind::ResourceExhausted);
    // What the client takes.
    let server = serve(lists(move |_| async move { Ok(Response::new(many())) })).await;
    let client = server.client().max_decoding_message_size(12).endpoint::<Note, Notes>(echo());
    let (all, error) = drain(list(&client, "").await.unwrap()).await;
    assert_eq!((all.len(), error.unwrap().kind()), (200, Kind::ResourceExhausted));
}

#[tokio::test]
async fn a_caller_who_leaves_ends_the_stream_at_once() {
    let log = Log::default();
    let (feed, stream) = feed();
    let server = serve(logging(lists_once(with(stream, log.on_drop("dropped"))), &log)).await;
    feed.send(Ok(note("1"))).unwrap();
    let mut items = list(&server.lists(), "").await.unwrap();
    in_time(items.message()).await.unwrap();
    assert!(log.all().is_empty());
    drop(items);
    let lines = log.until(2).await;
    assert!(lines[0] == "dropped" && lines[1].starts_with("ok left"), "{lines:?}");
    assert!(feed.is_closed());
}

#[tokio::test]
async fn a_caller_who_leaves_before_the_head_ends_the_call() {
    let log = Log::default();
    let ends = log.clone();
    let server = takes(move |request: Request<Notes, ClientStream>| {
        let ends = ends.on_drop("endpoint");
        async move {
            let _ends = ends;
            let mut items = request.into_message();
            while items.message().await?.is_some() {}
            Err(Error::aborted("the end"))
        }
    });
    let server = serve(logging(server, &log)).await;
    let (feed, said) = feed();
    let said = with(said, log.on_drop("request"));
    feed.send(Ok(note("1"))).unwrap();
    let endpoint = server.takes();
    let call = endpoint.call(Request::from_parts(Context::new(), said));
    assert!(tokio::time::timeout(200 * MS, call).await.is_err());
    let lines = log.until(3).await;
    // Whichever side is first: the endpoint reads of the reset, or is dropped.
    assert!(lines.contains(&"request".to_owned()) && lines.contains(&"endpoint".to_owned()), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("CANCELLED") || line.starts_with("ok left")), "{lines:?}");
}

/// A server that logs what it reads, and how that ends.
fn reading(log: &Log) -> GrpcServer {
    let log = log.clone();
    takes(move |request: Request<Notes, ClientStream>| {
        let log = log.clone();
        async move {
            let mut items = request.into_message();
            // Whatever becomes of the call.
            let reads = tokio::spawn(async move {
                loop {
                    match items.message().await {
                        Ok(Some(item)) => log.add(item.text),
                        Ok(None) => break log.add("end"),
                        Err(error) => break log.add(error.kind().to_string()),
                    }
                }
            });
            reads.await.map_err(|_| Error::aborted("panicked"))?;
            Ok(Response::new(note("read")))
        }
    })
}

#[tokio::test]
async fn an_error_in_the_stream_of_a_request_resets_it_and_is_that_of_the_call() {
    let log = Log::default();
    let server = serve(reading(&log)).await;
    let (feed, said) = feed();
    feed.send(Ok(note("1"))).unwrap();
    let call = tokio::spawn({
        let endpoint = server.takes();
        async move { endpoint.call(Request::from_parts(Context::new(), said)).await }
    });
    log.until(1).await;
    feed.send(Err(Error::data_loss("the disk is gone").with_reason("DISK"))).unwrap();
    let error = in_time(call).await.unwrap().expect_err("no answer");
    assert_eq!((error.kind(), error.reason()), (Kind::DataLoss, Some("DISK")));
    assert_eq!(log.until(2).await, ["1", "CANCELLED"]);
}

#[tokio::test]
async fn a_panic_in_the_stream_of_a_request_is_that_of_the_call_and_spares_the_connection() {
    let log = Log::default();
    let server = serve(reading(&log)).await;
    let panics = items([0, 1].map(Ok::<u8, Error>).into_iter().map(|n| match n {
        Ok(0) => Ok(note("1")),
        _ => panic!("no more"),
    }));
    let endpoint = server.takes();
    let error = in_time(endpoint.call(Request::from_parts(Context::new(), panics))).await.expect_err("no answer");
    assert_eq!((error.kind(), error.reason()), (Kind::Internal, Some("PANIC")));
    assert!(!log.until(1).await.contains(&"end".to_owned()));
    let reply = in_time(endpoint.call(Request::from_parts(Context::new(), texts(["2"])))).await.unwrap();
    assert_eq!(reply.message().text, "read");
}

#[tokio::test]
async fn an_error_in_the_stream_of_a_request_is_the_next_item_of_the_answer() {
    let log = Log::default();
    let seen = log.clone();
    let server = serve(talks(move |request: Request<Notes, Bidi>| {
        let seen = seen.clone();
        async move { Ok(Response::new(with(request.into_message(), seen.on_drop("server")))) }
    }))
    .await;
    let (feed, said) = feed();
    feed.send(Ok(note("1"))).unwrap();
    let mut heard =
        in_time(server.talks().call(Request::from_parts(Context::new(), said))).await.unwrap().into_message();
    assert_eq!(in_time(heard.message()).await.unwrap(), Some(note("1")));
    feed.send(Err(Error::data_loss("the disk is gone"))).unwrap();
    assert_eq!(in_time(heard.message()).await.expect_err("no item").kind(), Kind::DataLoss);
    assert!(in_time(heard.message()).await.unwrap().is_none());
    assert_eq!(log.until(1).await, ["server"]);
}

#[tokio::test]
async fn an_early_answer_ends_the_stream_of_the_request() {
    let refusing = || takes(async |_| Err(Error::permission_denied("not you")));
    let accepting = takes(async |request: Request<Notes, ClientStream>| {
        let mut items = request.into_message();
        Ok(Response::new(items.message().await?.unwrap_or_default()))
    });
    let refused = (refusing(), Err(Kind::PermissionDenied));
    for (server, want) in [refused, (accepting, Ok("1".to_owned()))] {
        let log = Log::default();
        let server = serve(server).await;
        let (feed, said) = feed();
        feed.send(Ok(note("1"))).unwrap();
        let said = with(said, log.on_drop("dropped"));
        let outcome = in_time(server.takes().call(Request::from_parts(Context::new(), said))).await;
        assert_eq!(outcome.map(|reply| reply.into_message().text).map_err(|error| error.kind()), want);
        assert_eq!(log.until(1).await, ["dropped"]);
    }
}

#[tokio::test]
async fn an_answer_that_is_dropped_ends_the_stream_of_the_request_too() {
    let log = Log::default();
    let server = serve(logging(talks(turn_by_turn), &log)).await;
    let (feed, said) = feed();
    feed.send(Ok(note("1"))).unwrap();
    let said = with(said, log.on_drop("request"));
    let mut heard =
        in_time(server.talks().call(Request::from_parts(Context::new(), said))).await.unwrap().into_message();
    in_time(heard.message()).await.unwrap();
    drop(heard);
    let lines = log.until(2).await;
    assert!(lines.contains(&"request".to_owned()), "{lines:?}");
    // Whichever side is first: the endpoint reads of the reset, or is dropped.
    assert!(lines.iter().any(|line| line.starts_with("ok left") || line.starts_with("CANCELLED")), "{lines:?}");
}

/// Endless notes of 10 kB, and how many were made.
fn endless() -> (Notes, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&made);
    let payload = vec![b'x'; 10_000];
    let notes = std::iter::repeat_with(move || {
        counts.fetch_add(1, Relaxed);
        Ok(Note { text: String::new(), payload: payload.clone() })
    });
    (items(notes), made)
}

/// Waits until no more are made for a while.
async fn settled(made: &AtomicUsize) -> usize {
    let mut last = 0;
    loop {
        tokio::time::sleep(300 * MS).await;
        let now = made.load(Relaxed);
        if now == last && now > 0 {
            return now;
        }
        assert!(now < 5000, "{now} were made");
        last = now;
    }
}

#[tokio::test]
async fn a_slow_reader_holds_the_writer_up() {
    let (stream, made) = endless();
    let server = serve(lists_once(stream)).await;
    let mut items = list(&server.lists(), "").await.unwrap();
    let before = settled(&made).await;
    for _ in 0..1000 {
        in_time(items.message()).await.unwrap().unwrap();
    }
    assert!(settled(&made).await > before);
}

#[tokio::test]
async fn a_slow_server_holds_the_client_up() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let server = serve(takes(move |request: Request<Notes, ClientStream>| {
        let mut gone = gone.clone();
        async move {
            gone.wait_for(|go| *go).await.map_err(|_| Error::aborted("no"))?;
            let mut items = request.into_message();
            for _ in 0..1000 {
                items.message().await?;
            }
            Ok(Response::new(note("enough")))
        }
    }))
    .await;
    let (stream, made) = endless();
    let call = tokio::spawn({
        let endpoint = server.takes();
        async move { endpoint.call(Request::from_parts(Context::new(), stream)).await }
    });
    settled(&made).await;
    go.send(true).unwrap();
    assert_eq!(in_time(call).await.unwrap().unwrap().message().text, "enough");
    assert!(made.load(Relaxed) >= 1000);
}

#[tokio::test]
async fn the_deadline_takes_the_stream_from_a_caller_whose_window_is_closed() {
    let log = Log::default();
    let (stream, made) = endless();
    let server = serve(lists_once(with(stream, log.on_drop("dropped")))).await;
    let started = Instant::now();
    let context = Context::new().with_deadline(Deadline::after(started, 900 * MS));
    let items = list_in(&server.lists(), context, "").await.unwrap();
    settled(&made).await;
    assert!(log.all().is_empty());
    log.until(1).await;
    assert!(started.elapsed() >= 890 * MS);
    // What is on the way is read, or not; then it is too late.
    let (_, error) = drain(items).await;
    assert_eq!(error.unwrap().kind(), Kind::DeadlineExceeded);
}

#[tokio::test]
async fn a_deadline_passes_in_a_stream_on_both_sides() {
    let log = Log::default();
    let (feed, stream) = feed();
    let server = serve(logging(lists_once(stream), &log)).await;
    feed.send(Ok(note("1"))).unwrap();
    let started = Instant::now();
    let context = Context::new().with_deadline(Deadline::after(started, 300 * MS));
    let items = list_in(&server.lists(), context, "").await.unwrap();
    let (all, error) = drain(items).await;
    assert_eq!((all.len(), error.unwrap().kind()), (1, Kind::DeadlineExceeded));
    assert!(started.elapsed() >= 290 * MS && started.elapsed() < Duration::from_secs(10));
    let line = &log.until(1).await[0];
    assert!(line.starts_with("DEADLINE_EXCEEDED stayed") || line.starts_with("ok left"), "{line}");
}

#[tokio::test]
async fn a_gate_around_a_connected_stream_is_finished_once_at_its_end() {
    let server = serve(lists(|request: Request<Note, ServerStream>| async move {
        Ok(Response::new(match request.message().text.as_str() {
            "fails" => items([Ok(note("1")), Err(Error::unavailable("gone"))]),
            _ => texts(["1", "2"]),
        }))
    }))
    .await;
    let gate = Watching::default();
    let guarded = Guard::new(gate.clone()).layer(server.lists());
    for (text, count, want) in [("", 3, "answered Success"), ("fails", 2, "answered Transient"), ("", 1, "left Caller")]
    {
        let mut items = list(&guarded, text).await.unwrap();
        assert_eq!(gate.0.load(Relaxed), 1);
        for _ in 0..count {
            let _ = in_time(items.message()).await;
        }
        drop(items);
        assert_eq!((gate.0.load(Relaxed), gate.1.all().last().unwrap().as_str()), (0, want));
    }
    assert_eq!(gate.1.all().len(), 3);
}

#[tokio::test]
async fn transports_bind_and_connect_each_shape() {
    fn bound<T>(mut transport: T) -> T
    where
        T: Bind<ServerStream, Note, Notes> + Bind<ClientStream, Notes, Note> + Bind<Bidi, Notes, Notes>,
    {
        let op = |method| kit_base::Operation::new("test.Notes", method);
        let list = async |_: Request<Note, ServerStream>| Ok::<_, Error>(Response::new(texts(["l"])));
        Bind::<ServerStream, _, _>::bind(&mut transport, op("List"), shaped(list));
        Bind::<ClientStream, _, _>::bind(&mut transport, op("Take"), shaped(join));
        Bind::<Bidi, _, _>::bind(&mut transport, op("Talk"), shaped(turn_by_turn));
        transport
    }
    async fn called<T>(transport: &T) -> (Vec<String>, String, Vec<String>)
    where
        T: Connect<ServerStream, Note, Notes> + Connect<ClientStream, Notes, Note> + Connect<Bidi, Notes, Notes>,
    {
        let op = |method| kit_base::Operation::new("test.Notes", method);
        let listed = Connect::<ServerStream, Note, Notes>::connect(transport, op("List"));
        let listed = listed.call(Request::from_parts(Context::new(), note(""))).await.unwrap().into_message();
        let taken = Connect::<ClientStream, Notes, Note>::connect(transport, op("Take"));
        let taken = taken.call(Request::from_parts(Context::new(), texts(["a", "b"]))).await.unwrap().into_message();
        let talked = Connect::<Bidi, Notes, Notes>::connect(transport, op("Talk"));
        let talked = talked.call(Request::from_parts(Context::new(), texts(["t"]))).await.unwrap().into_message();
        (drain(listed).await.0, taken.text, drain(talked).await.0)
    }
    let server = serve(bound(GrpcServer::new())).await;
    assert_eq!(in_time(called(&server.client())).await, (vec!["l".to_owned()], "a+b".to_owned(), vec!["t".to_owned()]));
}

#[tokio::test]
async fn closures_are_codecs_of_streams_too() {
    let doubling = shaped::<Bidi, _>(async |request: Request<Streaming<u64>, Bidi>| {
        Ok::<_, Error>(Response::new(request.into_message()))
    });
    let codec = By::new(
        |n: Note| n.text.parse::<u64>().map_err(|_| Error::invalid_argument(format!("{:?} is no number", n.text))),
        |outcome: Result<u64, Error>| outcome.map(|n| note((2 * n).to_string())),
    );
    let server = serve(GrpcServer::new().handle(echo(), doubling, codec)).await;
    let codec = By::new(|n: Note| Ok(n.text), |text: &'static str| Ok::<_, Error>(note(text)));
    let call =
        GrpcClient::new(server.url()).unwrap().endpoint_by::<_, Streaming<&str>, Streaming<String>>(echo(), codec);
    let said = Streaming::new(Said(["1", "20", "x", "3"].into_iter()));
    let mut heard =
        in_time(call.call(Request::<_, Bidi>::from_parts(Context::new(), said))).await.unwrap().into_message();
    for want in ["2", "40"] {
        assert_eq!(in_time(heard.message()).await.unwrap().as_deref(), Some(want));
    }
    let error = in_time(heard.message()).await.expect_err("no number");
    assert_eq!((error.kind(), error.message()), (Kind::InvalidArgument, "\"x\" is no number"));
}

struct Said(std::array::IntoIter<&'static str, 4>);

impl futures_core::Stream for Said {
    type Item = Result<&'static str, Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.next().map(Ok))
    }
}
