//! How an answer that streams ends, in process: status, deadlines, panics, drops, and what finalizers and gates see of it.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use http_body_util::BodyExt;
use kit_base::{Cause, End, Endpoint, Error, Event, Gate, Guard, Now, Request, Response, ServerStream, Streaming};
use kit_transport_grpc::{By, GrpcServer};
use tower::Layer;

use crate::streams_support::{
    Log, MS, Notes, answer, arriving, feed, frame, items, lists, lists_once, logging, read, texts, with,
};
use crate::support::{Note, echo, note, shaped};

/// A stream of one note, then of what comes.
fn one_then(mut next: impl FnMut() -> Poll<Option<Result<Note, Error>>> + Send + Unpin + 'static) -> Notes {
    let mut first = Some(note("1"));
    Streaming::new(Polled(move || first.take().map_or_else(&mut next, |note| Poll::Ready(Some(Ok(note))))))
}

struct Polled<F>(F);

impl<F: FnMut() -> Poll<Option<Result<Note, Error>>> + Unpin> futures_core::Stream for Polled<F> {
    type Item = Result<Note, Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Note, Error>>> {
        (self.0)()
    }
}

const LATE: &str = "grpc-message: the deadline of the call has passed, grpc-status: 4";

#[tokio::test]
async fn items_are_followed_by_the_status_and_the_trailers_of_the_endpoint() {
    let server = lists(async |_| {
        let mut response = Response::new(texts(["a", "", "c"]));
        response.parts_mut().headers.insert("x-head", HeaderValue::from_static("h"));
        response.parts_mut().trailers.insert("x-tail", HeaderValue::from_static("t"));
        Ok(response)
    });
    let server = server.after(|_, headers, trailers| {
        headers.insert("x-after", HeaderValue::from_static("1"));
        trailers.insert("x-late", HeaderValue::from_static("2"));
    });
    let answer = answer(server, None).await;
    assert_eq!(
        (&answer.headers()["x-head"], &answer.headers()["x-after"]),
        (&"h".parse().unwrap(), &"1".parse().unwrap())
    );
    assert!(!answer.headers().contains_key("grpc-status"));
    let (all, trailers) = read(answer.into_body()).await;
    assert_eq!(all, ["a", "", "c"]);
    assert_eq!(trailers, "grpc-status: 0, x-late: 2, x-tail: t");
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_item_is_answered_by_its_trailers_alone() {
    for failing in [items([Err(Error::not_found("no notes"))]), one_error_soon()] {
        let log = Log::default();
        let answer = answer(logging(lists_once(failing), &log), None).await;
        assert_eq!(answer.headers()["grpc-status"], "5");
        assert!(http_body::Body::is_end_stream(answer.body()));
        assert_eq!(log.all(), ["NOT_FOUND stayed 0 0"]);
    }
}

/// A stream that fails a moment later.
fn one_error_soon() -> Notes {
    let (feed, stream) = feed();
    tokio::spawn(async move {
        tokio::time::sleep(20 * MS).await;
        let _ = feed.send(Err(Error::not_found("no notes")));
    });
    stream
}

#[tokio::test(start_paused = true)]
async fn the_head_does_not_wait_long_for_the_first_item() {
    let (feed, stream) = feed();
    let started = tokio::time::Instant::now();
    let answer = answer(lists_once(stream), None).await;
    assert_eq!(started.elapsed(), 100 * MS);
    feed.send(Ok(note("late"))).unwrap();
    drop(feed);
    assert_eq!(read(answer.into_body()).await, (vec!["late".to_owned()], "grpc-status: 0".to_owned()));
}

#[tokio::test]
async fn an_error_in_the_middle_is_the_status_in_the_trailers_and_seen_by_the_hooks() {
    let log = Log::default();
    let seen = log.clone();
    let failing = items([Ok(note("1")), Err(Error::internal("no database").with_source("db1")), Ok(note("never"))]);
    let server = logging(lists_once(failing), &log).error_handler(move |context, error| {
        let source = std::error::Error::source(error).map(ToString::to_string);
        seen.add(format!("{} {error} {source:?}", context.operation()));
    });
    let (all, trailers) = read(answer(server, None).await.into_body()).await;
    assert_eq!(all, ["1"]);
    assert_eq!(trailers, "grpc-message: internal error, grpc-status: 13");
    let bytes = frame(&note("1")).len();
    let want = ["test.Notes/Echo INTERNAL: no database Some(\"db1\")".to_owned(), format!("INTERNAL stayed {bytes} 0")];
    assert_eq!(log.all(), want);
}

#[tokio::test(start_paused = true)]
async fn finalizers_run_once_at_the_end_of_the_stream() {
    let log = Log::default();
    let (feed, stream) = feed();
    feed.send(Ok(note("1"))).unwrap();
    let answer = answer(logging(lists_once(stream), &log), None).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    feed.send(Ok(note("22"))).unwrap();
    drop(feed);
    assert!(log.all().is_empty());
    assert_eq!(read(answer.into_body()).await.0, ["1", "22"]);
    let bytes = frame(&note("1")).len() + frame(&note("22")).len();
    assert_eq!(log.all(), [format!("ok stayed {bytes} 3")]);
}

#[tokio::test]
async fn finalizers_see_that_the_caller_left_at_any_point_of_the_stream() {
    for count in 0..4 {
        let log = Log::default();
        let three = with(texts(["1", "2", "3"]), log.on_drop("dropped"));
        let mut body = answer(logging(lists_once(three), &log), None).await.into_body();
        for _ in 0..count {
            body.frame().await.unwrap().unwrap();
        }
        drop(body);
        let bytes = count * frame(&note("1")).len();
        assert_eq!(log.all(), ["dropped".to_owned(), format!("ok left {bytes} 0")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_the_deadline_whether_it_waits_or_never_does() {
    let silent: fn() -> Poll<_> = || Poll::Pending;
    let log = Log::default();
    let stream = with(one_then(silent), log.on_drop("dropped"));
    let started = tokio::time::Instant::now();
    let answered = answer(logging(lists_once(stream), &log), Some("5S")).await;
    let (all, trailers) = read(answered.into_body()).await;
    assert_eq!((all.len(), trailers.as_str(), started.elapsed()), (1, LATE, Duration::from_secs(5)));
    assert_eq!(log.all(), ["dropped".to_owned(), format!("DEADLINE_EXCEEDED stayed {} 5", frame(&note("1")).len())]);

    // One that never waits.
    let mut left = 1000;
    let stream = one_then(move || {
        left -= 1;
        Poll::Ready((left > 0).then(|| Ok(note("more"))))
    });
    let mut body = answer(lists_once(stream), Some("5S")).await.into_body();
    assert!(body.frame().await.unwrap().unwrap().is_data());
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(read(body).await, (vec![], LATE.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_before_the_first_item_is_the_whole_answer() {
    let (_feed, stream) = feed();
    let answer = answer(lists_once(stream), Some("50m")).await;
    assert_eq!(answer.headers()["grpc-status"], "4");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_takes_the_stream_from_a_caller_who_does_not_read() {
    let log = Log::default();
    let stream = with(one_then(|| Poll::Pending), log.on_drop("dropped"));
    let body = answer(logging(lists_once(stream), &log), Some("5S")).await.into_body();
    tokio::time::sleep(Duration::from_millis(4900)).await;
    assert!(log.all().is_empty());
    tokio::time::sleep(Duration::from_millis(200)).await;
    // The call is over, and finalizers say so, though nobody asks for its end.
    assert_eq!(log.all(), ["dropped", "DEADLINE_EXCEEDED stayed 0 5"]);
    // What the head has waited for still comes.
    assert_eq!(read(body).await, (vec!["1".to_owned()], LATE.to_owned()));
    assert_eq!(log.all().len(), 2);
}

#[tokio::test]
async fn a_panic_in_a_stream_is_internal_and_told() {
    let log = Log::default();
    let told = log.clone();
    let dropped = log.on_drop("dropped");
    let stream = with(one_then(|| panic!("secret")), dropped);
    let server = lists_once(stream).observer(move |event: &Event<'_>| {
        told.add(format!("{} {} {}", event.source, event.what, event.key));
    });
    let (all, trailers) = read(answer(logging(server, &log), None).await.into_body()).await;
    assert_eq!(all, ["1"]);
    assert!(trailers.contains("grpc-status: 13") && !trailers.contains("secret"), "{trailers}");
    let bytes = frame(&note("1")).len();
    let want =
        ["dropped".to_owned(), "grpc_server panicked test.Notes/Echo".to_owned(), format!("INTERNAL stayed {bytes} 0")];
    assert_eq!(log.all(), want);
}

#[tokio::test]
async fn a_panic_in_the_drop_of_a_stream_harms_nobody() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("on drop");
        }
    }
    let log = Log::default();
    let body = answer(logging(lists_once(with(one_then(|| Poll::Pending), Panics)), &log), None).await.into_body();
    drop(body);
    assert_eq!(log.all(), ["ok left 0 0"]);
}

#[tokio::test]
async fn a_codec_may_put_the_error_that_ends_a_stream_into_a_last_message() {
    let codec = || {
        By::new(
            |note: Note| Ok(note),
            |outcome: Result<Note, Error>| match outcome {
                Err(error) if error.message() == "real" => Err(error),
                outcome => Ok(outcome.unwrap_or_else(|error| note(format!("failed: {}", error.message())))),
            },
        )
    };
    for (error, want, status) in [
        ("soft", &["1", "failed: soft"][..], "grpc-status: 0"),
        ("real", &["1"], "grpc-message: real, grpc-status: 10"),
    ] {
        let endpoint = shaped::<ServerStream, _>(move |_: Request<Note, ServerStream>| async move {
            Ok::<_, Error>(Response::new(items([Ok(note("1")), Err(Error::aborted(error)), Ok(note("never"))])))
        });
        let server = GrpcServer::new().handle(echo(), endpoint, codec());
        let (all, trailers) = read(answer(server, None).await.into_body()).await;
        assert_eq!(
            (&all[..], trailers.as_str()),
            (&want.iter().map(ToString::to_string).collect::<Vec<_>>()[..], status)
        );
    }
    // And that of an endpoint that gives no stream at all.
    let endpoint = shaped::<ServerStream, _>(async |_: Request<Note, ServerStream>| {
        Err::<Response<Notes>, _>(Error::aborted("soft"))
    });
    let server = GrpcServer::new().handle(echo(), endpoint, codec());
    let (all, trailers) = read(answer(server, None).await.into_body()).await;
    assert_eq!((all, trailers.as_str()), (vec!["failed: soft".to_owned()], "grpc-status: 0"));
}

#[tokio::test]
async fn each_message_that_is_sent_has_a_limit_and_the_stream_has_none() {
    let many = items((0..100).map(|_| Ok(note("0123456789"))).chain([Ok(note("0123456789+"))]));
    let server = lists_once(many).max_encoding_message_size(12);
    let (all, trailers) = read(answer(server, None).await.into_body()).await;
    assert_eq!(all.len(), 100);
    assert!(trailers.contains("grpc-status: 8"), "{trailers}");
}

#[tokio::test]
async fn an_after_hook_that_panics_is_internal_and_drops_the_stream() {
    let log = Log::default();
    let stream = with(one_then(|| Poll::Pending), log.on_drop("dropped"));
    let answer = answer(lists_once(stream).after(|_, _, _| panic!("hook")), None).await;
    assert_eq!(answer.headers()["grpc-status"], "13");
    assert_eq!(log.all(), ["dropped"]);
}

/// Counts what runs, and logs how it ends.
#[derive(Clone, Default)]
pub(crate) struct Watching(pub(crate) Arc<AtomicUsize>, pub(crate) Log);

impl<Req, Res, Err> Gate<Req, Res, Err> for Watching {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        self.0.fetch_add(1, Relaxed);
        Ok(())
    }

    fn finish(&self, (): (), end: &End<'_>) {
        self.0.fetch_sub(1, Relaxed);
        let cause = match end.cause {
            Cause::Answered => "answered",
            Cause::Left => "left",
            Cause::Panicked => "panicked",
        };
        self.1.add(format!("{cause} {:?}", end.judgement.verdict));
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_around_a_streaming_endpoint_is_finished_once_at_the_end() {
    let run = async |stream: Notes, timeout, frames: usize| {
        let gate = Watching::default();
        let stream = Mutex::new(Some(stream));
        let endpoint = shaped::<ServerStream, _>(move |_: Request<Note, ServerStream>| {
            let stream = stream.lock().unwrap().take().unwrap();
            async { Ok::<_, Error>(Response::new(stream)) }
        });
        let server = GrpcServer::new().endpoint(echo(), Guard::new(gate.clone()).layer(endpoint));
        let Ok(answer) = server.routes().unwrap().call(arriving(timeout)).await;
        assert_eq!((gate.0.load(Relaxed), gate.1.all().len()), (1, 0));
        let mut body = answer.into_body();
        for _ in 0..frames {
            body.frame().await.unwrap().unwrap();
        }
        drop(body);
        assert_eq!(gate.0.load(Relaxed), 0);
        gate.1.all().join(", ")
    };
    assert_eq!(run(texts(["1", "2"]), None, 3).await, "answered Success");
    assert_eq!(run(items([Ok(note("1")), Err(Error::unavailable("x"))]), None, 2).await, "answered Transient");
    assert_eq!(run(texts(["1", "2"]), None, 1).await, "left Caller");
    assert_eq!(run(texts(["1", "2"]), None, 0).await, "left Caller");
    assert_eq!(run(one_then(|| Poll::Pending), Some("1S"), 2).await, "left Caller");
    assert_eq!(run(one_then(|| panic!("x")), None, 2).await, "panicked Fault");
}

#[tokio::test]
async fn metadata_that_is_not_the_users_is_not_sent_with_a_stream() {
    let server = lists(async |_| {
        let mut response =
            Response::new(texts(["a"])).with_header(HeaderName::from_static("content-length"), "3".parse().unwrap());
        response.parts_mut().trailers.insert("grpc-status", HeaderValue::from_static("7"));
        Ok(response)
    });
    let answer = answer(server, None).await;
    assert!(!answer.headers().contains_key("content-length"));
    assert_eq!(read(answer.into_body()).await.1, "grpc-status: 0");
}

/// The deadline, the reader and whoever drops the answer race on other threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stream_that_races_with_its_deadline_is_told_of_once() {
    const COUNT: usize = 500;
    let log = Log::default();
    let (ended, dropped) = (log.clone(), log.clone());
    let routes = lists(move |_| {
        let stream = with(one_then(|| Poll::Pending), dropped.on_drop("dropped"));
        async { Ok(Response::new(stream)) }
    })
    .finalizer(move |finished| {
        let late = finished.error.is_some_and(|error| error.kind() == kit_base::Kind::DeadlineExceeded);
        assert_ne!(late, finished.left);
        ended.add("ended");
    })
    .routes()
    .expect("routes");
    let mut calls = tokio::task::JoinSet::new();
    for index in 0..COUNT {
        let routes = routes.clone();
        calls.spawn(async move {
            let Ok(answer) = routes.call(arriving(Some("20m"))).await;
            let body = answer.into_body();
            match index % 3 {
                0 => assert_eq!(read(body).await.1, LATE),
                1 => tokio::time::sleep(Duration::from_micros(19_000 + 4 * index as u64)).await,
                _ => {
                    tokio::time::sleep(Duration::from_micros(19_000 + 4 * index as u64)).await;
                    assert_eq!(read(body).await.1, LATE);
                }
            }
        });
    }
    crate::streams_support::in_time(async {
        while let Some(call) = calls.join_next().await {
            call.expect("no panic")
        }
    })
    .await;
    let all = log.until(2 * COUNT).await;
    assert_eq!((all.len(), all.iter().filter(|line| *line == "ended").count()), (2 * COUNT, COUNT));
}
