//! Over streams of messages the outcome is known at the end of the stream.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Poll;

use futures_core::Stream;
use kit_base::{Bidi, Call, ClientStream, Context, Endpoint, Error, Guard, Request, Response, ServerStream, Streaming};
use tower_layer::Layer;

use crate::support::{Func, Log, Probe, now, panics};

enum Step {
    Item(u8),
    Fail,
    Panic,
}

struct Script(VecDeque<Step>);

impl Stream for Script {
    type Item = Result<u8, Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop_front().map(|step| match step {
            Step::Item(item) => Ok(item),
            Step::Fail => Err(Error::internal("broken")),
            Step::Panic => panic!("in the stream"),
        }))
    }
}

fn script(steps: impl IntoIterator<Item = Step>) -> Streaming<u8> {
    Streaming::new(Script(steps.into_iter().collect()))
}

/// The guarded stream of a call of the shape `S`.
fn guarded<S>(log: &Log, steps: impl IntoIterator<Item = Step>) -> Streaming<u8>
where
    S: kit_base::Shape,
    Request<(), S>: Call<Response<Streaming<u8>>, Held<kit_base::OwnedTicket<Request<(), S>, Response<Streaming<u8>>, Error, Probe, kit_base::Standard, kit_base::Monotonic>> = Response<Streaming<u8>>>,
{
    let slot = std::sync::Mutex::new(Some(script(steps)));
    let endpoint = Func(move |_: Request<(), S>| {
        let stream = slot.lock().unwrap().take().unwrap();
        std::future::ready(Ok::<_, Error>(Response::new(stream)))
    });
    let guarded = Guard::new(Probe::new("a", log)).layer(endpoint);
    now(guarded.call(Request::from_parts(Context::new(), ()))).unwrap().into_message()
}

const HEAD: [&str; 2] = ["a admits", "a answers success"];

#[test]
fn a_stream_that_ends_finishes_at_its_end() {
    let log = Log::default();
    let mut stream = guarded::<ServerStream>(&log, [Step::Item(1), Step::Item(2)]);
    log.expect(HEAD);
    assert_eq!(now(stream.message()).unwrap(), Some(1));
    assert_eq!(now(stream.message()).unwrap(), Some(2));
    log.expect([]);
    assert_eq!(now(stream.message()).unwrap(), None);
    log.expect(["a: success, Answered"]);
    drop(stream);
    log.expect([]);
}

#[test]
fn a_stream_that_fails_is_judged_by_its_error() {
    let log = Log::default();
    let mut stream = guarded::<Bidi>(&log, [Step::Item(1), Step::Fail]);
    now(stream.message()).unwrap();
    log.expect(HEAD);
    assert_eq!(now(stream.message()).unwrap_err().message(), "broken");
    log.expect(["a: fault, Answered"]);
    drop(stream);
    log.expect([]);
}

#[test]
fn a_stream_that_is_dropped_before_its_end_means_that_the_reader_left() {
    let log = Log::default();
    let mut stream = guarded::<ServerStream>(&log, [Step::Item(1), Step::Item(2)]);
    now(stream.message()).unwrap();
    log.expect(HEAD);
    drop(stream);
    log.expect(["a: caller, Left"]);
}

#[test]
fn a_panic_of_the_stream_is_a_fault_even_if_the_stream_is_dropped_later() {
    let log = Log::default();
    let mut stream = guarded::<ServerStream>(&log, [Step::Panic]);
    log.expect(HEAD);
    assert!(panics(|| now(stream.message()).is_ok()));
    drop(stream);
    log.expect(["a: fault, Panicked"]);
}

#[test]
fn a_stream_that_is_refused_never_begins() {
    let log = Log::default();
    let endpoint = Func(|_: Request<(), ServerStream>| -> std::future::Ready<Result<Response<Streaming<u8>>, Error>> {
        panic!("reached")
    });
    let guarded = Guard::new((Probe::new("a", &log), Probe::refusing("b", &log))).layer(endpoint);
    assert!(now(guarded.call(Request::from_parts(Context::new(), ()))).is_err());
    log.expect(["a admits", "b refuses", "a answers overloaded", "a: overloaded, Answered"]);
}

#[test]
fn a_call_that_streams_only_towards_the_server_is_over_with_its_answer() {
    let log = Log::default();
    let endpoint = Func(|_: Request<Streaming<u8>, ClientStream>| std::future::ready(Ok::<_, Error>(Response::new(1))));
    let guarded = Guard::new(Probe::new("a", &log)).layer(endpoint);
    let answer = now(guarded.call(Request::from_parts(Context::new(), script([Step::Item(1)])))).unwrap();
    log.expect(["a admits", "a answers success", "a: success, Answered"]);
    assert_eq!(answer.into_message(), 1);
}

#[test]
fn a_stream_keeps_the_parts_of_its_response() {
    let log = Log::default();
    let endpoint = Func(|_: Request<(), ServerStream>| {
        let response = Response::new(script([])).with_status(http::StatusCode::ACCEPTED);
        std::future::ready(Ok::<_, Error>(response))
    });
    let answer =
        now(Guard::new(Probe::new("a", &log)).layer(endpoint).call(Request::from_parts(Context::new(), ()))).unwrap();
    assert_eq!(answer.parts().unwrap().extensions.get(), Some(&http::StatusCode::ACCEPTED));
    drop(answer);
    log.expect(["a admits", "a answers success", "a: caller, Left"]);
}

#[test]
fn a_stream_shows_nothing_of_its_messages() {
    assert_eq!(format!("{:?}", script([Step::Item(1)])), "Streaming { .. }");
}
