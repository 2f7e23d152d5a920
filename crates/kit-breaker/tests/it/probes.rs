//! Probes: exactly as many as are allowed, however many race for them, and never one lost.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use axum::body::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use kit_base::{Clock, Endpoint, Error, Guard, Guarded, Request, Response, ServerStream, Standard, Streaming, Tower};
use kit_breaker::{Breaker, Settings, Snapshot, State};
use kit_testing::clock::ManualClock;
use tower::{Service, service_fn};
use tower_layer::Layer;

use crate::support::Chance;

const OPEN_FOR: Duration = Duration::from_secs(10);

fn settings() -> Settings {
    Settings::new().consecutive_failures(1).open_for(OPEN_FOR)
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// How a call of [`Racing`] ends at its second poll.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    Succeeds,
    Fails,
    Panics,
    Leaves,
}

const ENDINGS: [Ending; 4] = [Ending::Succeeds, Ending::Fails, Ending::Panics, Ending::Leaves];

/// Counts who gets in, and waits for one poll.
struct Racing(Arc<AtomicUsize>);

impl Endpoint<Request<Ending>> for Racing {
    type Response = ();
    type Error = Error;

    async fn call(&self, request: Request<Ending>) -> Result<(), Error> {
        self.0.fetch_add(1, SeqCst);
        let mut polled = false;
        poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        match request.into_message() {
            Ending::Succeeds | Ending::Leaves => Ok(()),
            Ending::Fails => Err(Error::unavailable("as told")),
            Ending::Panics => std::panic::resume_unwind(Box::new("as told")),
        }
    }
}

type Racers = Guarded<Racing, Breaker, Standard, ManualClock>;
type Calls<'a> = Vec<(Ending, Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>)>;

/// Makes calls, and keeps those that got in.
fn race<'a>(endpoint: &'a Racers, calls: usize, chance: &mut Chance, wrong: &Mutex<Option<String>>) -> Calls<'a> {
    let mut inside: Calls<'a> = Vec::new();
    for _ in 0..calls {
        let ending = chance.of(&ENDINGS);
        let mut call = Box::pin(endpoint.call(Request::new(ending)));
        match poll(call.as_mut()) {
            Poll::Pending => inside.push((ending, call)),
            // Who comes while probes are under way may come again soon.
            Poll::Ready(Err(refusal)) if refusal.retry_after() == Some(Duration::from_millis(100)) => {}
            Poll::Ready(other) => *wrong.lock().expect("nobody panics with it") = Some(format!("{other:?}")),
        }
    }
    inside
}

fn end(calls: Calls<'_>) {
    for (ending, mut call) in calls {
        match ending {
            Ending::Leaves => drop(call),
            Ending::Panics => assert!(catch_unwind(AssertUnwindSafe(|| poll(call.as_mut()))).is_err()),
            _ => assert!(poll(call.as_mut()).is_ready()),
        }
    }
}

/// In each round, 1,000 callers on four threads find the circuit open and due, or half-open with free places.
fn a_thousand_race(rounds: u64, probes: usize) {
    const THREADS: usize = 4;
    const CALLS: usize = 1_000 / THREADS;
    let clock = ManualClock::new();
    let settings = settings().probes(probes as u32).probe_within(Duration::from_secs(1_000_000));
    let guard = Guard::with(Breaker::new(settings).expect("it makes sense"), Standard, clock.clone());
    let reached = Arc::new(AtomicUsize::new(0));
    let endpoint = guard.layer(Racing(Arc::clone(&reached)));
    let see = || guard.gate().snapshot_at(clock.now());
    let reached = || reached.load(SeqCst);
    let barrier = Barrier::new(THREADS);
    // What a panic of one of the threads says; the others must not wait for it.
    let wrong = Mutex::new(None);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (endpoint, barrier, wrong, clock, see, reached) = (&endpoint, &barrier, &wrong, &clock, &see, &reached);
            scope.spawn(move || {
                let chance = &mut Chance(number as u64);
                let mut before = 0;
                let mut useful = probes;
                for round in 0..rounds {
                    if number == 0 {
                        useful = make_due(endpoint, clock, see(), probes).unwrap_or_else(|seen| {
                            *wrong.lock().expect("nobody panics with it") = Some(format!("in round {round}: {seen:?}"));
                            0
                        });
                        before = reached();
                    }
                    barrier.wait();
                    let mut inside = race(endpoint, CALLS, chance, wrong);
                    barrier.wait();
                    if number == 0 {
                        let raced = reached() - before;
                        // Whoever came while the first one began was refused: the other places are still free then.
                        inside.extend(race(endpoint, useful + 1, chance, wrong));
                        let all = reached() - before;
                        let seen = see();
                        let right = (1..=useful).contains(&raced)
                            && all == useful
                            && (seen.state, seen.probes as usize) == (State::HalfOpen, useful);
                        if !right {
                            let text = format!("{raced}, then {all} of {useful} got in, in round {round}: {seen:?}");
                            wrong.lock().expect("nobody panics with it").get_or_insert(text);
                        }
                    }
                    barrier.wait();
                    end(inside);
                    if wrong.lock().expect("nobody panics with it").is_some() {
                        return;
                    }
                    barrier.wait();
                }
            });
        }
    });
    if let Some(wrong) = wrong.into_inner().expect("nobody panics with it") {
        panic!("{wrong}");
    }
}

/// Opens a closed circuit, and lets the time of an open one pass. Gives the places that there are.
fn make_due(endpoint: &Racers, clock: &ManualClock, seen: Snapshot, probes: usize) -> Result<usize, Snapshot> {
    match seen.state {
        State::Closed => {
            let mut call = pin!(endpoint.call(Request::new(Ending::Fails)));
            let _ = (poll(call.as_mut()), poll(call));
            clock.advance(OPEN_FOR);
            Ok(probes)
        }
        State::Open => {
            clock.advance(OPEN_FOR);
            Ok(probes)
        }
        // All probes left, or some were a success.
        State::HalfOpen if seen.probes == 0 => Ok(probes - seen.successes as usize),
        _ => Err(seen),
    }
}

#[test]
fn of_a_thousand_racing_callers_exactly_one_is_the_probe_in_200_rounds() {
    a_thousand_race(200, 1);
}

#[test]
fn of_a_thousand_racing_callers_exactly_three_are_probes_in_200_rounds() {
    a_thousand_race(200, 3);
}

#[test]
#[ignore = "takes half a minute: runs with --deep"]
fn of_a_thousand_racing_callers_exactly_one_is_the_probe_in_10_000_rounds() {
    a_thousand_race(10_000, 1);
}

#[test]
#[ignore = "takes half a minute: runs with --deep"]
fn of_a_thousand_racing_callers_exactly_three_are_probes_in_10_000_rounds() {
    a_thousand_race(10_000, 3);
}

/// Answers after so many polls, with so many parts.
#[derive(Clone, Copy)]
struct Slow {
    polls: usize,
    parts: usize,
}

impl Slow {
    async fn answer(self) -> Parts {
        let mut left = self.polls;
        poll_fn(|_| {
            if left == 0 {
                return Poll::Ready(Parts { left: self.parts, ready: false });
            }
            left -= 1;
            Poll::Pending
        })
        .await
    }
}

/// Parts of an answer, each after a poll that waits.
struct Parts {
    left: usize,
    ready: bool,
}

impl Parts {
    fn next(&mut self) -> Poll<Option<usize>> {
        self.ready = !self.ready;
        match self.ready {
            true => Poll::Pending,
            false if self.left == 0 => Poll::Ready(None),
            false => {
                self.left -= 1;
                Poll::Ready(Some(self.left))
            }
        }
    }
}

impl Stream for Parts {
    type Item = Result<usize, Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.next().map(|part| part.map(Ok))
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        self.next().map(|part| part.map(|_| Ok(Frame::data(Bytes::from_static(b"part")))))
    }
}

impl Endpoint<Request<()>> for Slow {
    type Response = ();
    type Error = Error;

    async fn call(&self, _: Request<()>) -> Result<(), Error> {
        self.answer().await;
        Ok(())
    }
}

impl Endpoint<Request<(), ServerStream>> for Slow {
    type Response = Response<Streaming<usize>>;
    type Error = Error;

    async fn call(&self, _: Request<(), ServerStream>) -> Result<Response<Streaming<usize>>, Error> {
        Ok(Response::new(Streaming::new(self.answer().await)))
    }
}

const SLOW: Slow = Slow { polls: 3, parts: 2 };

/// A guard on a half-open circuit with no probe yet.
fn due() -> (Guard<Breaker, Standard, ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    let guard = Guard::with(Breaker::new(settings()).expect("it makes sense"), Standard, clock.clone());
    let failing = guard.layer(Racing(Arc::default()));
    let mut call = pin!(failing.call(Request::new(Ending::Fails)));
    assert!(poll(call.as_mut()).is_pending() && poll(call.as_mut()).is_ready());
    clock.advance(OPEN_FOR);
    assert_eq!(guard.gate().state_at(clock.now()), State::HalfOpen);
    (guard, clock)
}

/// The place is free again, and it was taken while the probe ran.
fn gave_back(guard: &Guard<Breaker, Standard, ManualClock>, clock: &ManualClock, at: impl std::fmt::Debug) {
    let seen = guard.gate().snapshot_at(clock.now());
    assert_eq!((seen.state, seen.probes, seen.successes), (State::HalfOpen, 0, 0), "{at:?}");
    let endpoint = guard.layer(Racing(Arc::default()));
    let mut next = pin!(endpoint.call(Request::new(Ending::Succeeds)));
    assert!(poll(next.as_mut()).is_pending(), "{at:?}");
    let mut other = pin!(endpoint.call(Request::new(Ending::Succeeds)));
    assert!(poll(other.as_mut()).is_ready(), "{at:?}");
    assert!(poll(next.as_mut()).is_ready(), "{at:?}");
    assert_eq!(guard.gate().state_at(clock.now()), State::Closed, "{at:?}");
}

fn probes(guard: &Guard<Breaker, Standard, ManualClock>, clock: &ManualClock) -> u32 {
    guard.gate().snapshot_at(clock.now()).probes
}

#[test]
fn a_probe_that_is_dropped_at_any_poll_gives_its_place_back() {
    for polls in 0..=SLOW.polls {
        let (guard, clock) = due();
        let endpoint = guard.layer(SLOW);
        let mut call = Box::pin(endpoint.call(Request::<()>::new(())));
        assert_eq!(probes(&guard, &clock), 1);
        for _ in 0..polls {
            assert!(poll(call.as_mut()).is_pending());
        }
        drop(call);
        gave_back(&guard, &clock, polls);
    }
}

#[test]
fn a_probe_that_is_dropped_anywhere_in_its_stream_gives_its_place_back() {
    // In the call, with the head, before and after each item, and before the end.
    let all = SLOW.polls + 1 + SLOW.parts * 2 + 1;
    for steps in 0..=all {
        let (guard, clock) = due();
        let endpoint = guard.layer(SLOW);
        let mut call = Box::pin(endpoint.call(Request::<(), ServerStream>::from_parts(Default::default(), ())));
        let mut stream = None;
        for _ in 0..steps {
            match &mut stream {
                None => {
                    if let Poll::Ready(head) = poll(call.as_mut()) {
                        stream = Some(head.unwrap().into_message());
                    }
                }
                Some(stream) => {
                    let item = pin!(stream.message());
                    assert!(!matches!(poll(item), Poll::Ready(Ok(None) | Err(_))), "the end after {steps} steps");
                }
            }
            assert_eq!(probes(&guard, &clock), 1, "{steps}");
        }
        drop(call);
        drop(stream);
        gave_back(&guard, &clock, steps);
    }
}

type AnyBody = UnsyncBoxBody<Bytes, Infallible>;

#[test]
fn a_probe_that_is_dropped_anywhere_at_the_tower_face_gives_its_place_back() {
    let all = SLOW.polls + 1 + SLOW.parts * 2 + 1;
    for steps in 0..=all {
        let (guard, clock) = due();
        let inner = service_fn(|_: http::Request<String>| async {
            Ok::<_, Infallible>(http::Response::new(AnyBody::new(SLOW.answer().await)))
        });
        let mut service = Tower::new(guard.clone()).answered().layer(inner);
        let mut call = Box::pin(service.call(http::Request::new(String::new())));
        let mut body = None;
        for _ in 0..steps {
            match &mut body {
                None => {
                    if let Poll::Ready(head) = poll(call.as_mut()) {
                        body = Some(Box::pin(head.unwrap().into_body()));
                    }
                }
                Some(body) => {
                    let frame = body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop()));
                    assert!(!matches!(frame, Poll::Ready(None)), "the end after {steps} steps");
                }
            }
            assert_eq!(probes(&guard, &clock), 1, "{steps}");
        }
        drop(call);
        drop(body);
        if steps == SLOW.polls + 1 {
            // A good head whose body nobody wants is a success.
            assert_eq!(guard.gate().state_at(clock.now()), State::Closed);
        } else {
            gave_back(&guard, &clock, steps);
        }
    }
}

#[test]
fn a_probe_that_panics_or_whose_answer_breaks_opens_it_again() {
    // In the call.
    let (guard, clock) = due();
    let endpoint = guard.layer(Racing(Arc::default()));
    let mut call = pin!(endpoint.call(Request::new(Ending::Panics)));
    assert!(poll(call.as_mut()).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| poll(call.as_mut()))).is_err());
    assert_eq!(guard.gate().state_at(clock.now()), State::Open);

    // In the stream, by an error and by a panic.
    for panics in [false, true] {
        let (guard, clock) = due();
        let endpoint = guard.layer(Breaks { panics });
        let mut call = pin!(endpoint.call(Request::<(), ServerStream>::from_parts(Default::default(), ())));
        let Poll::Ready(Ok(answer)) = poll(call.as_mut()) else { panic!("it answers at once") };
        let mut stream = answer.into_message();
        assert_eq!(guard.gate().snapshot_at(clock.now()).probes, 1);
        let item = catch_unwind(AssertUnwindSafe(|| poll(pin!(stream.message()))));
        assert!(!matches!(item, Ok(Poll::Pending | Poll::Ready(Ok(_)))));
        drop(stream);
        assert_eq!(guard.gate().state_at(clock.now()), State::Open, "{panics}");
    }
}

/// A stream that breaks at its first item.
struct Breaks {
    panics: bool,
}

impl Endpoint<Request<(), ServerStream>> for Breaks {
    type Response = Response<Streaming<usize>>;
    type Error = Error;

    async fn call(&self, _: Request<(), ServerStream>) -> Result<Response<Streaming<usize>>, Error> {
        Ok(Response::new(Streaming::new(Breaking(self.panics))))
    }
}

struct Breaking(bool);

impl Stream for Breaking {
    type Item = Result<usize, Error>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.0 {
            std::panic::resume_unwind(Box::new("as told"));
        }
        Poll::Ready(Some(Err(Error::internal("as told"))))
    }
}
