//! Over HTTP the outcome is known at the end of the body: each permit rides in it, and is finished exactly once.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use kit_base::{Endpoint, Error, Guard, HeldBody, Hold, Kind, Request, StreamEnd};
use tower_layer::Layer;

use crate::support::{Act, Func, Log, Probe, now, panics, poll_once};

/// What a scripted body does at a poll.
enum Step {
    Data(&'static str),
    Trailers(&'static [(&'static str, &'static str)]),
    Pending,
    Fail,
    Panic,
}

/// A body by script; told to, it knows that it has ended, as bodies of known length do.
struct Script {
    steps: VecDeque<Step>,
    knows_its_end: bool,
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(match self.steps.pop_front() {
            None => None,
            Some(Step::Data(text)) => Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))),
            Some(Step::Trailers(list)) => Some(Ok(Frame::trailers(
                list.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect(),
            ))),
            Some(Step::Pending) => return Poll::Pending,
            Some(Step::Fail) => Some(Err("broken off")),
            Some(Step::Panic) => panic!("in the body"),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.knows_its_end && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(7)
    }
}

fn script(steps: impl IntoIterator<Item = Step>) -> Script {
    Script { steps: steps.into_iter().collect(), knows_its_end: false }
}

/// The guarded answer with this status, headers and body.
fn answer<B>(
    log: &Log,
    status: u16,
    headers: &[(&str, &str)],
    body: B,
) -> Response<impl Body<Data = Bytes, Error = B::Error> + use<B>>
where
    B: Body<Data = Bytes> + Send + 'static,
{
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    let slot = std::sync::Mutex::new(Some(response.body(body).unwrap()));
    let endpoint =
        Func(move |_: http::Request<()>| std::future::ready(Ok::<_, Error>(slot.lock().unwrap().take().unwrap())));
    let guarded = Guard::new((Probe::new("a", log), Probe::new("b", log))).layer(endpoint);
    now(guarded.call(http::Request::new(()))).unwrap()
}

type Polled<B> = Poll<Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>>;

fn next<B: Body + Unpin>(body: &mut B) -> Polled<B> {
    poll_once(Box::pin(std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx))).as_mut())
}

const HEAD: [&str; 4] = ["a admits", "b admits", "b answers success", "a answers success"];

#[test]
fn a_body_that_ends_with_nothing_finishes_at_its_end() {
    let log = Log::default();
    let answer = answer(&log, 200, &[], script([Step::Data("x"), Step::Pending, Step::Data("y")]));
    log.expect(HEAD);
    let mut body = Box::pin(answer.into_body());
    assert!(next(&mut body).is_ready());
    assert!(next(&mut body).is_pending());
    assert!(next(&mut body).is_ready());
    log.expect([]);
    assert!(matches!(next(&mut body), Poll::Ready(None)));
    log.expect(["b: success, Answered", "a: success, Answered"]);
    drop(body);
    log.expect([]);
}

#[test]
fn a_body_that_knows_its_end_finishes_with_its_last_frame() {
    let log = Log::default();
    let known = Script { knows_its_end: true, ..script([Step::Data("x"), Step::Data("y")]) };
    let mut body = Box::pin(answer(&log, 200, &[], known).into_body());
    log.expect(HEAD);
    assert!(next(&mut body).is_ready());
    log.expect([]);
    assert!(next(&mut body).is_ready());
    log.expect(["b: success, Answered", "a: success, Answered"]);
    assert!(body.is_end_stream());
    assert!(matches!(next(&mut body), Poll::Ready(None)));
    drop(body);
    log.expect([]);
}

#[test]
fn an_answer_without_a_body_is_over_with_its_head() {
    let log = Log::default();
    let answer = answer(&log, 404, &[], Empty::<Bytes>::new());
    log.expect([
        "a admits",
        "b admits",
        "b answers caller",
        "a answers caller",
        "b: caller, Answered",
        "a: caller, Answered",
    ]);
    drop(answer);
    log.expect([]);
}

#[test]
fn trailers_finish_and_are_shown_to_the_gates() {
    let log = Log::default();
    let steps = [Step::Data("x"), Step::Trailers(&[("grpc-status", "14"), ("grpc-message", "x")])];
    let body = answer(&log, 200, &[("content-type", "application/grpc")], script(steps)).into_body();
    log.expect(HEAD);
    let trailers = now(body.collect()).unwrap().trailers().cloned().unwrap();
    assert_eq!(trailers["grpc-status"], "14");
    log.expect(["b: transient, Answered, 2 trailers", "a: transient, Answered, 2 trailers"]);
}

#[test]
fn good_trailers_are_a_success() {
    let log = Log::default();
    let steps = [Step::Data("x"), Step::Trailers(&[("grpc-status", "0")])];
    now(answer(&log, 200, &[("content-type", "application/grpc")], script(steps)).into_body().collect()).unwrap();
    log.expect([
        HEAD[0],
        HEAD[1],
        HEAD[2],
        HEAD[3],
        "b: success, Answered, 1 trailers",
        "a: success, Answered, 1 trailers",
    ]);
}

#[test]
fn a_body_that_fails_is_a_transient_failure() {
    let log = Log::default();
    let body = answer(&log, 200, &[], script([Step::Data("x"), Step::Fail])).into_body();
    log.expect(HEAD);
    assert_eq!(now(body.collect()).map(drop), Err("broken off"));
    log.expect(["b: transient, Answered", "a: transient, Answered"]);
}

#[test]
fn a_body_that_is_dropped_before_its_end_means_that_the_reader_left() {
    for polls in 0..3 {
        let log = Log::default();
        let steps = [Step::Data("x"), Step::Pending, Step::Data("y")];
        let mut body = Box::pin(answer(&log, 200, &[], script(steps)).into_body());
        log.expect(HEAD);
        for _ in 0..polls {
            let _ = next(&mut body);
        }
        drop(body);
        match polls {
            // Nobody wanted more than the head: a HEAD request, a caller that looks at the status alone.
            0 => log.expect(["b: success, Answered", "a: success, Answered"]),
            _ => log.expect(["b: caller, Left", "a: caller, Left"]),
        }
    }
}

#[test]
fn a_body_is_over_with_the_last_byte_of_the_length_that_was_announced() {
    let log = Log::default();
    let steps = [Step::Data("x"), Step::Data("y"), Step::Pending];
    let mut body = Box::pin(answer(&log, 200, &[("content-length", "2")], script(steps)).into_body());
    log.expect(HEAD);
    assert!(next(&mut body).is_ready());
    log.expect([]);
    assert!(next(&mut body).is_ready());
    // hyper's HTTP/1 asks for no more.
    log.expect(["b: success, Answered", "a: success, Answered"]);
    drop(body);
    log.expect([]);
}

#[test]
fn a_body_of_grpc_that_ends_without_a_status_is_a_fault() {
    let grpc = [("content-type", "application/grpc")];
    let log = Log::default();
    let body = answer(&log, 200, &grpc, script([Step::Data("x")])).into_body();
    log.expect(HEAD);
    now(body.collect()).map(drop).unwrap();
    log.expect(["b: fault, Answered", "a: fault, Answered"]);
    // The status is what a reader waits for: who does not has left.
    drop(answer(&log, 200, &grpc, script([Step::Data("x")])));
    log.expect([
        "a admits",
        "b admits",
        "b answers success",
        "a answers success",
        "b: caller, Left",
        "a: caller, Left",
    ]);
}

#[test]
fn a_failure_that_the_head_has_told_stands_when_nobody_reads_on() {
    let log = Log::default();
    drop(answer(&log, 503, &[], script([Step::Data("x")])));
    log.expect([
        "a admits",
        "b admits",
        "b answers transient",
        "a answers transient",
        "b: transient, Answered",
        "a: transient, Answered",
    ]);
}

#[test]
fn a_panic_of_the_body_is_a_fault_even_if_the_body_is_dropped_later() {
    let log = Log::default();
    let mut body = Box::pin(answer(&log, 200, &[], script([Step::Data("x"), Step::Panic])).into_body());
    log.expect(HEAD);
    assert!(next(&mut body).is_ready());
    assert!(panics(|| next(&mut body).is_ready()));
    drop(body);
    log.expect(["b: fault, Panicked", "a: fault, Panicked"]);
}

#[test]
fn a_refusal_over_http_is_an_error_and_has_no_body() {
    let log = Log::default();
    let gates = (Probe::new("a", &log), Probe::doing("b", &log, Act::Refuse));
    let endpoint =
        Func(|_: http::Request<()>| std::future::ready(Ok::<_, Error>(Response::new(Full::<Bytes>::default()))));
    let error = now(Guard::new(gates).layer(endpoint).call(http::Request::new(()))).map(drop).unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted);
    log.expect(["a admits", "b refuses", "a answers overloaded", "a: overloaded, Answered"]);
}

#[test]
fn a_held_body_passes_frames_size_and_end_through() {
    let log = Log::default();
    let body = answer(&log, 200, &[], script([Step::Data("x"), Step::Data("yz")])).into_body();
    assert_eq!(body.size_hint().exact(), Some(7));
    assert!(!body.is_end_stream());
    assert_eq!(now(body.collect()).unwrap().to_bytes(), "xyz");
}

#[test]
fn nested_guards_both_ride_in_the_body() {
    let log = Log::default();
    let endpoint =
        Func(|_: http::Request<()>| std::future::ready(Ok::<_, Error>(Response::new(Full::<Bytes>::from("x")))));
    let inner = Guard::new(Probe::new("inner", &log)).layer(endpoint);
    let answer = now(Guard::new(Probe::new("outer", &log)).layer(inner).call(http::Request::new(()))).unwrap();
    log.expect(["outer admits", "inner admits", "inner answers success", "outer answers success"]);
    now(answer.into_body().collect()).unwrap();
    log.expect(["inner: success, Answered", "outer: success, Answered"]);
}

#[test]
fn a_body_and_its_permits_outlive_the_endpoint() {
    let log = Log::default();
    let endpoint =
        Func(|_: http::Request<()>| std::future::ready(Ok::<_, Error>(Response::new(Full::<Bytes>::from("x")))));
    let guarded = Guard::new(Probe::new("a", &log)).layer(endpoint);
    let answer = now(guarded.call(http::Request::new(()))).unwrap();
    drop(guarded);
    log.expect(["a admits", "a answers success"]);
    drop(answer);
    log.expect(["a: success, Answered"]);
}

/// Something of one's own that is kept until an answer is over.
struct Note(Log, bool);

impl Hold for Note {
    fn on_drop(&mut self, _: kit_base::Cause) {}

    fn end(mut self, end: &StreamEnd<'_>) {
        self.1 = true;
        self.0.add(match end {
            StreamEnd::Complete(trailers) => format!("complete, trailers {}", trailers.is_some()),
            StreamEnd::Failed(judgement) => format!("failed {:?}", judgement.kind),
        });
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if !self.1 {
            self.0.add("left");
        }
    }
}

#[test]
fn a_hold_of_ones_own_rides_in_a_body() {
    let log = Log::default();
    let held = |steps| HeldBody::new(script(steps), Some(Note(log.clone(), false)), None);
    now(held([Step::Data("x"), Step::Data("y")]).collect()).unwrap();
    log.expect(["complete, trailers false"]);
    now(held([Step::Data("x"), Step::Trailers(&[])]).collect()).unwrap();
    log.expect(["complete, trailers true"]);
    now(held([Step::Data("x"), Step::Fail]).collect()).map(drop).unwrap_err();
    log.expect(["failed Some(Unavailable)"]);
    drop(held([Step::Data("x"), Step::Fail]));
    log.expect(["left"]);
    drop(HeldBody::<Full<Bytes>, Note>::default());
    log.expect([]);
}

#[test]
fn a_unary_request_never_makes_its_answer_hold_anything() {
    let log = Log::default();
    let endpoint = Func(|_: Request<()>| std::future::ready(Ok::<_, Error>(HeaderMap::<u8>::default())));
    let answer = now(Guard::new(Probe::new("a", &log)).layer(endpoint).call(Request::new(()))).unwrap();
    log.expect(["a admits", "a answers success", "a: success, Answered"]);
    assert!(answer.is_empty());
}
