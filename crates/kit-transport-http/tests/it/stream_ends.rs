//! How an answer that streams ends, in process: deadlines, panics, drops, and what finalizers and gates see of it.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use http_body_util::BodyExt;
use kit_base::{
    Cause, Deadline, End, Endpoint, Error, Gate, Guard, Now, Request, Response, ServerStream, Streaming, Verdict,
};
use kit_transport_http::HttpServer;
use tower::Layer;

use crate::streams::ticking;
use crate::support::{Notes, OnDrop, With, answer, chain, feed, get, items, op, post, problem, shaped};

/// A stream whose items a closure makes; asked how the nth goes on.
struct Nth<F>(usize, F);

impl<T, F: FnMut(usize) -> Poll<Option<Result<T, Error>>> + Unpin> Stream for Nth<F> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self(count, next) = &mut *self;
        *count += 1;
        next(*count)
    }
}

fn nth<T: 'static>(next: impl FnMut(usize) -> Poll<Option<Result<T, Error>>> + Send + Unpin + 'static) -> Streaming<T> {
    Streaming::new(Nth(0, next))
}

/// Notes how finalizers see each request.
fn noting(server: HttpServer, notes: &Notes) -> HttpServer {
    let notes = notes.clone();
    server.finalizer(move |finished| {
        let status = finished.status.map(|status| status.as_u16());
        let error = finished.error.map(|error| error.kind().to_string());
        let (bytes, left, seconds) = (finished.bytes, finished.left, finished.duration.as_secs());
        let typed = finished.headers.is_some_and(|headers| headers.contains_key("content-type"));
        assert_eq!(typed, status.is_some());
        notes.add(format!("{status:?} {bytes} {error:?} {left} {seconds}"));
    })
}

fn in_five_seconds() -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let mut request = get("/ticks");
    request.headers_mut().insert("grpc-timeout", "5S".parse().unwrap());
    request
}

#[tokio::test(start_paused = true)]
async fn finalizers_run_once_at_the_end_of_the_stream() {
    let notes = Notes::default();
    let (feed, stream) = feed::<u8>();
    let stream = Mutex::new(Some(stream));
    let routes = noting(ticking(move || stream.lock().unwrap().take().unwrap()), &notes).routes().unwrap();
    feed.send(Ok(1)).unwrap();
    let Ok(answer) = routes.call(get("/ticks")).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    feed.send(Ok(22)).unwrap();
    drop(feed);
    assert!(notes.all().is_empty());
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "1\n22\n");
    assert_eq!(notes.all(), ["Some(200) 5 None false 3"]);
}

#[tokio::test]
async fn finalizers_see_the_error_that_ended_the_stream() {
    let notes = Notes::default();
    let server = noting(ticking(|| items([Ok(1), Err(Error::aborted("x"))])), &notes);
    let bytes = answer(server, get("/ticks")).await.body().len();
    assert_eq!(notes.all(), [format!("Some(200) {bytes} Some(\"ABORTED\") false 0")]);
}

#[tokio::test]
async fn finalizers_see_that_the_caller_left_at_any_point_of_the_stream() {
    for read in 0..3 {
        let notes = Notes::default();
        let dropped = notes.clone();
        let server = ticking(move || {
            let three = items([Ok(1), Ok(2), Ok(3)]);
            Streaming::new(With(three, OnDrop(dropped.clone(), "dropped")))
        });
        let routes = noting(server, &notes).routes().unwrap();
        let Ok(answer) = routes.call(get("/ticks")).await;
        let mut body = answer.into_body();
        for _ in 0..read {
            body.frame().await.unwrap().unwrap();
        }
        drop(body);
        assert_eq!(notes.all(), ["dropped".to_owned(), format!("Some(200) {} None true 0", 2 * read)]);
    }
}

#[tokio::test]
async fn error_handlers_see_the_error_in_a_stream_with_its_source() {
    let notes = Notes::default();
    let seen = notes.clone();
    let server = ticking(|| items([Ok(1), Err(Error::internal("no database").with_source("db1"))]))
        .error_handler(move |context, error| seen.add(format!("{} {}", context.operation(), chain(error))));
    answer(server, get("/ticks")).await;
    assert_eq!(notes.all(), ["test/ticks INTERNAL: no database: db1"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_the_deadline_with_an_error_in_it() {
    let notes = Notes::default();
    let dropped = notes.clone();
    let server = ticking(move || {
        let once = nth(|count| if count == 1 { Poll::Ready(Some(Ok(1))) } else { Poll::Pending });
        Streaming::new(With(once, OnDrop(dropped.clone(), "dropped")))
    });
    let started = tokio::time::Instant::now();
    let answer = answer(noting(server, &notes), in_five_seconds()).await;
    assert_eq!(started.elapsed(), Duration::from_secs(5));
    assert_eq!(answer.status(), 200);
    let text = String::from_utf8_lossy(answer.body());
    assert!(text.starts_with("1\n{\"$error\":{") && text.contains("\"DEADLINE_EXCEEDED\""), "{text}");
    assert_eq!(
        notes.all(),
        ["dropped".to_owned(), format!("Some(200) {} Some(\"DEADLINE_EXCEEDED\") false 5", text.len())]
    );
}

#[tokio::test(start_paused = true)]
async fn a_deadline_before_the_first_item_is_an_answer_of_its_own() {
    let (_feed, stream) = feed::<u8>();
    let stream = Mutex::new(Some(stream));
    let server = ticking(move || stream.lock().unwrap().take().unwrap());
    assert_eq!(problem(&answer(server, in_five_seconds()).await, 504)["kind"], "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn a_stream_that_never_waits_ends_at_the_deadline_too() {
    let server = ticking(|| nth(|_| Poll::Ready(Some(Ok(1)))));
    let mut request = get("/ticks");
    request.extensions_mut().insert(Deadline::after(std::time::Instant::now(), Duration::from_millis(100)));
    let answer = answer(server, request).await;
    assert!(String::from_utf8_lossy(answer.body()).contains("DEADLINE_EXCEEDED"));
}

#[tokio::test]
async fn a_panic_in_a_stream_is_an_internal_error_in_it_and_an_event() {
    let notes = Notes::default();
    let (events, handled) = (notes.clone(), notes.clone());
    let server = ticking(|| nth(|count| if count == 1 { Poll::Ready(Some(Ok(1))) } else { panic!("oh dear") }))
        .observer(move |event: &kit_base::Event<'_>| events.add(format!("{} {}", event.what, event.key)))
        .error_handler(move |_, error| handled.add(error.message()));
    let answer = answer(noting(server, &notes), get("/ticks")).await;
    assert_eq!(answer.status(), 200);
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    assert!(text.starts_with("1\n{\"$error\":{") && text.contains("\"PANIC\"") && !text.contains("oh dear"), "{text}");
    let finished = format!("Some(200) {} Some(\"INTERNAL\") false 0", text.len());
    assert_eq!(notes.all(), ["panicked test/ticks", "panicked: oh dear", &finished]);
}

#[tokio::test]
async fn a_panic_before_the_first_item_is_500() {
    let first = ticking(|| nth::<u8>(|_| panic!("oh dear")));
    problem(&answer(first, get("/ticks")).await, 500);
    let at_once = shaped::<ServerStream, _>(
        |_: Request<(), ServerStream>| -> std::future::Ready<Result<Response<Streaming<u8>>, Error>> {
            panic!("oh dear")
        },
    );
    problem(&answer(HttpServer::new().endpoint(op("m"), at_once), post("/m", "")).await, 500);
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("oh dear");
        }
    }
}

#[tokio::test]
async fn panics_in_drops_and_hooks_harm_nobody() {
    let notes = Notes::default();
    let server = || {
        ticking(|| Streaming::new(With(items([Ok(1), Err(Error::aborted("x"))]), PanicsOnDrop)))
            .error_handler(|_, _| panic!("handler"))
            .finalizer(|_| panic!("finalizer"))
    };
    let whole = answer(noting(server(), &notes), get("/ticks")).await;
    assert!(String::from_utf8_lossy(whole.body()).contains("ABORTED"));
    let Ok(left) = noting(server(), &notes).routes().unwrap().call(get("/ticks")).await;
    drop(left);
    assert_eq!(notes.all()[1], "Some(200) 0 None true 0");
}

/// Counts the calls that run, and notes how they end.
#[derive(Clone, Default)]
struct Counting {
    running: Arc<AtomicUsize>,
    notes: Notes,
}

impl<Req, Res, Err> Gate<Req, Res, Err> for Counting {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        self.running.fetch_add(1, Relaxed);
        Ok(())
    }

    fn finish(&self, (): (), end: &End<'_>) {
        self.running.fetch_sub(1, Relaxed);
        let cause = match end.cause {
            Cause::Answered => "answered",
            Cause::Left => "left",
            Cause::Panicked => "panicked",
        };
        let verdict: Verdict = end.judgement.verdict;
        self.notes.add(format!("{cause} {verdict:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_permit_rides_in_the_stream_and_is_finished_with_its_verdict() {
    type Make = fn() -> Streaming<u8>;
    let forever: Make = || nth(|count| if count == 1 { Poll::Ready(Some(Ok(1))) } else { Poll::Pending });
    let cases: [(Make, bool, &str); 5] = [
        (|| items([Ok(1), Ok(2)]), true, "answered Success"),
        (|| items([Ok(1), Err(Error::unavailable("x"))]), true, "answered Transient"),
        (|| nth(|count| if count == 1 { Poll::Ready(Some(Ok(1))) } else { panic!("x") }), true, "panicked Fault"),
        (forever, false, "left Caller"),
        // At the deadline nobody waits any more.
        (forever, true, "left Caller"),
    ];
    for (make, read, want) in cases {
        let gate = Counting::default();
        let endpoint = shaped::<ServerStream, _>(move |_: Request<(), ServerStream>| {
            let stream = make();
            async move { Ok::<_, Error>(Response::new(stream)) }
        });
        let guarded = Guard::new(gate.clone()).layer(endpoint);
        let server = HttpServer::new().route("ticks", "GET /ticks").endpoint(op("ticks"), guarded);
        let Ok(answer) = server.routes().unwrap().call(in_five_seconds()).await;
        let mut body = answer.into_body();
        body.frame().await.unwrap().unwrap();
        assert_eq!(gate.running.load(Relaxed), 1, "{want}");
        assert!(gate.notes.all().is_empty());
        if read {
            body.collect().await.unwrap();
        } else {
            drop(body);
        }
        assert_eq!(gate.running.load(Relaxed), 0);
        assert_eq!(gate.notes.all(), [want]);
    }
}
