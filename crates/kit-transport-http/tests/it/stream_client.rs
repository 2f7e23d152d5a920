//! Calls that stream, over sockets: what comes and goes as it comes, how it ends, and what a client that leaves drops.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use kit_base::{
    Bidi, Bind, ClientStream, Connect, Context, Deadline, Endpoint, Error, Kind, Origin, Request, Response,
    ServerStream, Streaming,
};
use kit_testing::backend::{Backend, Reply};
use kit_transport_http::{HttpClient, HttpServer, Json, Raw, Sse};

use crate::stream_requests::{double, total};
use crate::streams::ticking;
use crate::support::{
    Feed, HANGS, Notes, OnDrop, Served, Value, With, calling, chain, drain, feed, items, op, shaped, up,
};

type Ticks = Streaming<Value>;

/// A client of `GET /ticks` on this server.
fn client(served: &Served) -> HttpClient {
    served.client().route("ticks", "GET /ticks")
}

/// The same over HTTP/2.
fn client_h2(served: &Served) -> HttpClient {
    let h2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    HttpClient::with_client(served.url(), h2).unwrap().route("ticks", "GET /ticks")
}

async fn open(client: &HttpClient) -> Result<Ticks, Error> {
    let ticks = client.endpoint::<(), Ticks>(op("ticks"));
    ticks.call(calling::<ServerStream, _>(())).await.map(Response::into_message)
}

/// A server whose stream is fed from outside, and notes its end.
async fn fed(notes: &Notes) -> (Feed<Value>, Served) {
    let (feed, stream) = feed();
    let stream = Mutex::new(Some(Streaming::new(With(stream, OnDrop(notes.clone(), "dropped")))));
    (feed, up(ticking(move || stream.lock().unwrap().take().unwrap())).await)
}

/// Notes what the finalizers of a client see.
fn noting(client: HttpClient, notes: &Notes) -> HttpClient {
    let notes = notes.clone();
    client.finalizer(move |call| {
        let status = call.status.map(|status| status.as_u16());
        notes.add(format!("{status:?} {:?} {}", call.error.map(|error| error.kind().to_string()), call.left));
    })
}

#[tokio::test]
async fn items_are_read_as_they_come_over_both_versions() {
    for make in [client, client_h2] {
        let notes = Notes::default();
        let (feed, served) = fed(&notes).await;
        feed.send(Ok(Value { v: 0 })).unwrap();
        let mut ticks = open(&noting(make(&served), &notes)).await.unwrap();
        for v in 0..3 {
            assert_eq!(ticks.message().await.unwrap(), Some(Value { v }));
            feed.send(Ok(Value { v: v + 1 })).unwrap();
        }
        drop(feed);
        assert_eq!(drain(ticks).await.0, [Value { v: 3 }]);
        let mut notes = notes.until(2).await;
        notes.sort();
        assert_eq!(notes, ["Some(200) None false", "dropped"]);
    }
}

#[tokio::test]
async fn the_error_that_ends_a_stream_comes_back_as_what_it_was() {
    let make = || {
        let error = Error::resource_exhausted("too \"many\"\n").with_reason("TIRED");
        items([Ok(Value { v: 1 }), Err(error.with_retry_after(Duration::from_millis(1500)))])
    };
    let served = up(ticking(make)).await;
    let events = client(&served).before(|_, headers| {
        headers.insert("accept", "text/event-stream".parse().unwrap());
    });
    for client in [client(&served), events] {
        let notes = Notes::default();
        let (got, error) = drain(open(&noting(client, &notes)).await.unwrap()).await;
        let error = error.unwrap();
        assert_eq!(got, [Value { v: 1 }]);
        assert_eq!((error.kind(), error.message()), (Kind::ResourceExhausted, "too \"many\"\n"));
        assert_eq!((error.reason(), error.retry_after()), (Some("TIRED"), Some(Duration::from_millis(1500))));
        assert_eq!(error.origin(), Origin::Remote);
        assert_eq!(notes.all(), ["Some(200) Some(\"RESOURCE_EXHAUSTED\") false"]);
    }
}

#[tokio::test]
async fn an_error_before_the_first_item_is_that_of_the_call() {
    let served = up(ticking(|| items::<Value, _>([Err(Error::not_found("no ticks").with_reason("NO"))]))).await;
    let notes = Notes::default();
    let error = open(&noting(client(&served), &notes)).await.unwrap_err();
    assert_eq!((error.kind(), error.message(), error.reason()), (Kind::NotFound, "no ticks", Some("NO")));
    assert_eq!(notes.all(), ["Some(404) Some(\"NOT_FOUND\") false"]);
}

#[tokio::test]
async fn events_are_read_with_their_names_whatever_their_form() {
    let text = "\u{feff}: hello\r\nevent: tick\rid:a\ndata: {\"v\":\ndata:1}\nretry: 20\r\n\r\n\
        event: nothing\n\nid\nunknown: x\ndata: {\"v\":2}\n\ndata: {\"v\":3}";
    let backend = foreign("text/event-stream", Reply::ok().body(text)).await;
    let ticks = HttpClient::new(backend.url()).unwrap().endpoint::<(), Streaming<Sse<Value>>>(op("ticks"));
    let (got, error) = drain(ticks.call(calling::<ServerStream, _>(())).await.unwrap().into_message()).await;
    assert!(error.is_none(), "{error:?}");
    let first = Sse::new(Value { v: 1 }).with_event("tick").with_id("a").with_retry(Duration::from_millis(20));
    // What the end cuts off is no event.
    assert_eq!(got, [first, Sse::new(Value { v: 2 }).with_id("")]);
    assert_eq!(backend.requests()[0].headers()["accept"], "text/event-stream, application/x-ndjson;q=0.5");
}

/// A server that answers with a body of this type.
async fn foreign(content_type: &str, reply: Reply) -> Backend {
    let reply = if content_type.is_empty() { reply } else { reply.header("content-type", content_type) };
    Backend::start(reply).await.unwrap()
}

async fn read(backend: &Backend, change: impl FnOnce(HttpClient) -> HttpClient) -> (Vec<Value>, Option<Error>) {
    let client = change(HttpClient::new(backend.url()).unwrap());
    match open(&client).await {
        Ok(ticks) => drain(ticks).await,
        Err(error) => (Vec::new(), Some(error)),
    }
}

#[tokio::test]
async fn lines_of_foreign_servers_are_read_under_the_usual_types() {
    for content_type in ["", "application/x-ndjson", "application/jsonl", "application/json; charset=utf-8"] {
        let body = "\n{\"v\":1}\r\n \n{\"v\":2}";
        let backend = foreign(content_type, Reply::ok().body(body)).await;
        let (got, error) = read(&backend, |client| client).await;
        assert_eq!(got, [Value { v: 1 }, Value { v: 2 }], "{content_type}: {error:?}");
        assert!(error.is_none());
        let sent = &backend.requests()[0];
        assert_eq!(sent.headers()["accept"], "application/x-ndjson, text/event-stream;q=0.5");
    }
    for content_type in ["text/html", "application/octet-stream"] {
        let (_, error) = read(&foreign(content_type, Reply::ok().body("{\"v\":1}")).await, |client| client).await;
        let error = error.unwrap();
        assert_eq!(error.kind(), Kind::Internal);
        assert!(error.message().contains(content_type), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_item_is_an_internal_error_that_says_where() {
    for (content_type, body, says) in [
        ("application/x-ndjson", "{\"v\":1}\n{\"w\":2}\n{\"v\":3}", "line 2, column 7: missing field"),
        ("text/event-stream", "data: {\"v\":1}\n\ndata: x\n\n", "line 4"),
        ("text/event-stream", "data: {\"v\":1}\n\nevent: problem\ndata: x\n\n", "line 5"),
        ("application/x-ndjson", "{\"v\":1}\n{\"$error\":}\n", "line 2"),
    ] {
        let (got, error) = read(&foreign(content_type, Reply::ok().body(body)).await, |client| client).await;
        let error = error.unwrap();
        assert_eq!((got.len(), error.kind()), (1, Kind::Internal));
        assert!(error.message().contains(says), "{error}");
    }
    // An error that says nothing is one.
    for body in ["{\"$error\":null}", "{\"$error\":{\"status\":7000,\"retry_after_ms\":18446744073709551615}}"] {
        let (_, error) = read(&foreign("application/x-ndjson", Reply::ok().body(body)).await, |client| client).await;
        assert_eq!(error.unwrap().kind(), Kind::Unknown);
    }
}

#[tokio::test]
async fn an_item_of_an_answer_has_a_limit_and_the_answer_has_none() {
    let many = "{\"v\":1}\n".repeat(1000);
    let (got, error) = read(&foreign("", Reply::ok().body(many)).await, |client| client.response_limit(7)).await;
    assert_eq!((got.len(), error.is_none()), (1000, true));
    for (content_type, body) in [
        ("", "{\"v\":1}\n{\"v\":22}\n"),
        ("text/event-stream", "data:{\"v\":1}\n\ndata:{\"v\"\ndata::\ndata:  2222}\n\n"),
        ("text/event-stream", "data:{\"v\":1}\n\n:a comment is a line too\n\n"),
    ] {
        let backend = foreign(content_type, Reply::ok().body(body)).await;
        let limit = if content_type.is_empty() { 7 } else { 12 };
        let (got, error) = read(&backend, |client| client.response_limit(limit)).await;
        let error = error.unwrap();
        assert_eq!((got.len(), error.kind(), error.reason()), (1, Kind::Internal, Some("ANSWER_TOO_LARGE")), "{body}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_unavailable() {
    let body = "{\"v\":1}\n{\"v\":2}\n";
    for reply in [Reply::ok().body(body).truncate(10), Reply::ok().body(body).truncate(8)] {
        let (got, error) = read(&foreign("application/x-ndjson", reply).await, |client| client).await;
        let error = error.unwrap();
        assert_eq!((got.len(), error.kind(), error.origin()), (1, Kind::Unavailable, Origin::Remote));
    }
    let notes = Notes::default();
    let (feed, served) = fed(&notes).await;
    feed.send(Ok(Value { v: 1 })).unwrap();
    let ticks = open(&client(&served)).await.unwrap();
    drop(served);
    assert_eq!(drain(ticks).await.1.unwrap().kind(), Kind::Unavailable);
}

#[tokio::test]
async fn limits_of_time_hold_for_head_items_and_the_whole() {
    let short = Duration::from_millis(200);
    let stalled = Reply::ok().body("{\"v\":1}\n{\"v\":2}\n").stall(8);
    let backend = foreign("application/x-ndjson", stalled).await;
    let (got, error) = read(&backend, |client| client.body_timeout(short)).await;
    assert_eq!((got.len(), error.unwrap().kind()), (1, Kind::DeadlineExceeded));

    let (_, error) = read(&Backend::start(Reply::hang()).await.unwrap(), |client| client.head_timeout(short)).await;
    assert_eq!(error.unwrap().kind(), Kind::DeadlineExceeded);

    let notes = Notes::default();
    let ticks = noting(HttpClient::new(backend.url()).unwrap(), &notes).endpoint::<(), Ticks>(op("ticks"));
    let context = Context::new().with_deadline(Deadline::after(std::time::Instant::now(), short));
    let request = Request::<_, ServerStream>::from_parts(context, ());
    let (got, error) = drain(ticks.call(request).await.unwrap().into_message()).await;
    assert_eq!((got.len(), error.unwrap().kind()), (1, Kind::DeadlineExceeded));
    assert_eq!(notes.all(), ["Some(200) Some(\"DEADLINE_EXCEEDED\") false"]);
}

#[tokio::test]
async fn signs_of_life_keep_a_client_from_giving_up() {
    let notes = Notes::default();
    let (feed, stream) = feed::<Value>();
    let stream = Mutex::new(Some(stream));
    let server = ticking(move || stream.lock().unwrap().take().unwrap()).keep_alive(Duration::from_millis(50));
    let served = up(server).await;
    let ticks = noting(client(&served), &notes).body_timeout(Duration::from_secs(1));
    let ticks = ticks.endpoint::<(), Streaming<Sse<Value>>>(op("ticks"));
    let mut ticks = ticks.call(calling::<ServerStream, _>(())).await.unwrap().into_message();
    let nothing = tokio::time::timeout(Duration::from_millis(1500), ticks.message()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    feed.send(Ok(Value { v: 1 })).unwrap();
    assert_eq!(ticks.message().await.unwrap().unwrap().data, Value { v: 1 });
}

#[tokio::test]
async fn a_client_that_leaves_drops_the_stream_of_the_service_at_once() {
    for make in [client, client_h2] {
        let notes = Notes::default();
        let (feed, served) = fed(&notes).await;
        feed.send(Ok(Value { v: 1 })).unwrap();
        let seen = Notes::default();
        let mut ticks = open(&noting(make(&served), &seen)).await.unwrap();
        ticks.message().await.unwrap();
        drop(ticks);
        assert_eq!(seen.all(), ["Some(200) None true"]);
        assert_eq!(notes.until(1).await, ["dropped"]);
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_drops_the_call_of_the_service() {
    for make in [client, client_h2] {
        let notes = Notes::default();
        let (_feed, served) = fed(&notes).await;
        let client = make(&served);
        assert!(tokio::time::timeout(Duration::from_millis(300), open(&client)).await.is_err());
        assert_eq!(notes.until(1).await, ["dropped"]);
    }
}

#[tokio::test]
async fn a_request_is_sent_as_it_comes() {
    for h2 in [false, true] {
        let notes = Notes::default();
        let seen = notes.clone();
        let endpoint = shaped::<ClientStream, _>(move |request: Request<Ticks, ClientStream>| {
            let seen = seen.clone();
            async move {
                let mut items = request.into_message();
                while let Some(Value { v }) = items.message().await? {
                    seen.add(v.to_string());
                }
                Ok::<_, Error>(Response::new("done".to_owned()))
            }
        });
        let served = up(HttpServer::new().endpoint(op("put"), endpoint)).await;
        let client = if h2 { client_h2(&served) } else { client(&served) };
        let put = client.endpoint::<Ticks, String>(op("put"));
        let (feed, stream) = feed();
        let feeding = async {
            for v in 1..4 {
                feed.send(Ok(Value { v })).unwrap();
                notes.until(v as usize).await;
            }
            drop(feed);
        };
        let (answer, ()) = tokio::join!(put.call(calling::<ClientStream, _>(stream)), feeding);
        assert_eq!(answer.unwrap().message(), "done");
    }
}

#[tokio::test]
async fn the_time_for_the_head_begins_anew_with_each_item_that_is_sent() {
    let limit = Duration::from_millis(1500);
    let served = up(total()).await;
    let total = served.client().head_timeout(limit).endpoint::<Ticks, Value>(op("total"));
    let (sender, stream) = feed();
    let feeding = async move {
        for v in 0..8 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            sender.send(Ok(Value { v })).unwrap();
        }
    };
    let started = std::time::Instant::now();
    let (answer, ()) = tokio::join!(total.call(calling::<ClientStream, _>(stream)), feeding);
    assert_eq!(answer.unwrap().message(), &Value { v: 28 });
    assert!(started.elapsed() > limit);
    // Where nothing is sent any more, it ends.
    let (_sender, stream) = feed();
    let error = total.call(calling::<ClientStream, _>(stream)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
}

#[tokio::test]
async fn both_sides_talk_in_turn() {
    let served = up(double()).await;
    for client in [client(&served), client_h2(&served)] {
        let (feed, stream) = feed();
        let answer = client.endpoint::<Ticks, Ticks>(op("double")).call(calling::<Bidi, _>(stream)).await.unwrap();
        let mut doubled = answer.into_message();
        for v in 1..4 {
            feed.send(Ok(Value { v })).unwrap();
            let item = tokio::time::timeout(HANGS, doubled.message()).await.unwrap().unwrap();
            assert_eq!(item, Some(Value { v: 2 * v }));
        }
        drop(feed);
        assert!(doubled.message().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_ends_its_request_too() {
    let served = up(double()).await;
    for client in [client(&served), client_h2(&served)] {
        let notes = Notes::default();
        let (feed, stream) = feed();
        let stream = Streaming::new(With(stream, OnDrop(notes.clone(), "request dropped")));
        let answer = client.endpoint::<Ticks, Ticks>(op("double")).call(calling::<Bidi, _>(stream)).await.unwrap();
        let mut doubled = answer.into_message();
        feed.send(Ok(Value { v: 1 })).unwrap();
        doubled.message().await.unwrap();
        assert!(notes.all().is_empty());
        drop(doubled);
        assert_eq!(notes.until(1).await, ["request dropped"]);
    }
}

#[tokio::test]
async fn an_answer_that_comes_early_ends_the_request() {
    let refuse = shaped::<ClientStream, _>(async |_: Request<Ticks, ClientStream>| {
        Err::<Response<Value>, _>(Error::permission_denied("not you"))
    });
    let served = up(HttpServer::new().endpoint(op("put"), refuse)).await;
    for client in [client(&served), client_h2(&served)] {
        let notes = Notes::default();
        let (feed, stream) = feed();
        feed.send(Ok(Value { v: 1 })).unwrap();
        let stream = Streaming::new(With(stream, OnDrop(notes.clone(), "request dropped")));
        let put = client.endpoint::<Ticks, Value>(op("put"));
        let error = put.call(calling::<ClientStream, _>(stream)).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::PermissionDenied, "not you"));
        assert_eq!(notes.until(1).await, ["request dropped"]);
    }
}

#[tokio::test]
async fn a_request_whose_stream_fails_or_panics_fails_with_that() {
    struct Panics;
    impl futures_core::Stream for Panics {
        type Item = Result<Value, Error>;

        fn poll_next(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            panic!("oh dear")
        }
    }
    let notes = Notes::default();
    let seen = notes.clone();
    let server = total().error_handler(move |_, error| seen.add(error.message()));
    let served = up(server).await;
    for client in [client(&served), client_h2(&served)] {
        let put = client.endpoint::<Ticks, Value>(op("total"));
        let failing = items([Ok(Value { v: 1 }), Err(Error::data_loss("the disk is gone"))]);
        let error = put.call(calling::<ClientStream, _>(failing)).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::DataLoss, "the disk is gone"));

        let error = put.call(calling::<ClientStream, _>(Streaming::new(Panics))).await.unwrap_err();
        assert_eq!((error.kind(), error.reason()), (Kind::Internal, Some("PANIC")));

        // Nothing is left in a bad state.
        let whole = put.call(calling::<ClientStream, _>(items([Ok(Value { v: 7 })]))).await.unwrap();
        assert_eq!(whole.message().v, 7);
    }
    // The service has not taken a part for the whole.
    assert!(notes.all().iter().all(|note| note == "the body broke off"), "{:?}", notes.all());
}

#[tokio::test]
async fn a_stream_has_no_place_for_the_parameters_of_a_route() {
    let client = HttpClient::new("http://127.0.0.1:9").unwrap().route("put", "PUT /files/{name}");
    let error =
        client.endpoint::<Ticks, Value>(op("put")).call(calling::<ClientStream, _>(items([]))).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Internal, Origin::NotSent), "{}", chain(&error));
}

#[tokio::test]
async fn every_shape_is_bound_and_connected_by_its_trait() {
    fn bind<S, Req, Res, E>(mut server: HttpServer, method: &'static str, endpoint: E) -> HttpServer
    where
        S: kit_base::Shape,
        HttpServer: Bind<S, Req, Res>,
        E: Endpoint<Request<Req, S>, Response = Response<Res>, Error: Into<Error>> + 'static,
    {
        server.bind(op(method), endpoint);
        server
    }
    let down = shaped::<ServerStream, _>(async |request: Request<Value, ServerStream>| {
        Ok::<_, Error>(Response::new(items([Ok(request.into_message())])))
    });
    let server = bind(total(), "down", down);
    let server = bind(
        server,
        "both",
        shaped::<Bidi, _>(async |request: Request<Ticks, Bidi>| Ok::<_, Error>(Response::new(request.into_message()))),
    );
    let client = up(server).await;
    let (served, client) = (&client, client.client());
    let _ = served;

    let down = Connect::<ServerStream, Value, Ticks>::connect(&client, op("down"));
    let answer = down.call(calling(Value { v: 5 })).await.unwrap();
    assert_eq!(drain(answer.into_message()).await.0, [Value { v: 5 }]);
    let up = Connect::<ClientStream, Ticks, Value>::connect(&client, op("total"));
    let answer = up.call(calling(items([Ok(Value { v: 1 }), Ok(Value { v: 2 })]))).await.unwrap();
    assert_eq!(answer.message().v, 3);
    let both = Connect::<Bidi, Ticks, Ticks>::connect(&client, op("both"));
    let answer = both.call(calling(items([Ok(Value { v: 1 })]))).await.unwrap();
    assert_eq!(drain(answer.into_message()).await.0, [Value { v: 1 }]);
}

#[tokio::test]
async fn a_gateway_serves_the_stream_of_its_own_client() {
    let behind = up(ticking(|| items([Ok(Value { v: 1 }), Err(Error::aborted("x"))]))).await;
    let ticks = client(&behind).endpoint::<(), Ticks>(op("ticks"));
    let before = up(HttpServer::new().route("ticks", "GET /ticks").endpoint(op("ticks"), ticks)).await;
    let (got, error) = drain(open(&client(&before)).await.unwrap()).await;
    assert_eq!((got.len(), error.unwrap().kind()), (1, Kind::Aborted));
}

/// The memory of this process that is in use, in MiB.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096 / (1024 * 1024)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_large_goes_up_and_down_in_little_memory() {
    const PIECES: usize = 1500;
    let piece = Bytes::from(vec![7; 64 * 1024]);
    let echo = shaped::<Bidi, _>(async |request: Request<Streaming<Bytes>, Bidi>| {
        Ok::<_, Error>(Response::new(request.into_message()))
    });
    let served = up(HttpServer::with_codec(Raw).endpoint(op("echo"), echo)).await;
    for client in [client(&served), client_h2(&served)] {
        let before = resident();
        let echo = client.codec(Raw).endpoint::<Streaming<Bytes>, Streaming<Bytes>>(op("echo"));
        let sent = items(std::iter::repeat_n(piece.clone(), PIECES).map(Ok));
        let mut back = echo.call(calling::<Bidi, _>(sent)).await.unwrap().into_message();
        let (mut bytes, mut most) = (0, before);
        while let Some(piece) = back.message().await.unwrap() {
            bytes += piece.len();
            most = most.max(resident());
        }
        assert_eq!(bytes, PIECES * piece.len());
        assert!(most - before < 32, "{before} MiB before, {most} MiB at most");
    }
}

#[tokio::test]
async fn a_reader_that_waits_holds_the_service_up() {
    let sent = Notes::default();
    let count = sent.clone();
    let endpoint = shaped::<ServerStream, _>(move |_: Request<Bytes, ServerStream>| {
        let count = count.clone();
        let piece = Bytes::from(vec![7; 64 * 1024]);
        let pieces = std::iter::repeat_n(piece, 1000).map(move |piece| {
            count.add("piece");
            Ok(piece)
        });
        async { Ok::<_, Error>(Response::new(items(pieces))) }
    });
    let served = up(HttpServer::with_codec(Raw).endpoint(op("ticks"), endpoint)).await;
    for (client, done) in [(client(&served), 0), (client_h2(&served), 1000)] {
        let ticks = client.route("ticks", "POST /ticks").codec(Raw).endpoint::<Bytes, Streaming<Bytes>>(op("ticks"));
        let mut pieces = ticks.call(calling::<ServerStream, _>(Bytes::new())).await.unwrap().into_message();
        pieces.message().await.unwrap();
        // Until nothing moves any more.
        let mut before = 0;
        while before != sent.all().len() {
            before = sent.all().len();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!(before - done < 300, "{} of 1000 pieces were made for nobody", before - done);
        while pieces.message().await.unwrap().is_some() {}
        assert_eq!(sent.all().len(), done + 1000);
    }
}

#[tokio::test]
async fn headers_of_an_answer_that_streams_are_there_at_once() {
    let stream = shaped::<ServerStream, _>(async |_: Request<(), ServerStream>| {
        let name = HeaderName::from_static("x-total");
        Ok::<_, Error>(Response::new(items([Ok(Value { v: 1 })])).with_header(name, 3.into()))
    });
    let served = up(HttpServer::new().endpoint(op("m"), stream)).await;
    let notes = Notes::default();
    let seen = notes.clone();
    let client = served.client().after(move |_, status, _| seen.add(status.to_string()));
    let m = client.codec((Json::new(), Json::new())).endpoint::<(), Ticks>(op("m"));
    let answer = m.call(calling::<ServerStream, _>(())).await.unwrap();
    assert_eq!(answer.parts().unwrap().headers["x-total"], "3");
    assert_eq!(notes.all(), ["200 OK"]);
}

#[tokio::test]
async fn the_deadline_drops_the_stream_of_a_service_whose_reader_has_stopped_reading() {
    let notes = Notes::default();
    let dropped = notes.clone();
    let endless = shaped::<ServerStream, _>(move |_: Request<Bytes, ServerStream>| {
        let pieces = items(std::iter::repeat(Bytes::from(vec![7; 64 * 1024])).map(Ok));
        let stream = Streaming::new(With(pieces, OnDrop(dropped.clone(), "dropped")));
        async { Ok::<_, Error>(Response::new(stream)) }
    });
    let served = up(HttpServer::with_codec(Raw).endpoint(op("m"), endless)).await;
    let mut reader = kit_testing::http::Peer::connect(served.addr).await.unwrap();
    let started = std::time::Instant::now();
    reader.send("POST /m HTTP/1.1\r\nhost: a\r\ngrpc-timeout: 700m\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    assert_eq!(notes.until(1).await, ["dropped"]);
    assert!(started.elapsed() >= Duration::from_millis(700));
}
