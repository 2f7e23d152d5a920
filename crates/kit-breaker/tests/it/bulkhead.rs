//! The bulkhead.

mod laws;
mod places;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use kit_base::{
    Call, Deadline, Endpoint, Error, Event, Kind, Origin, Request, RequestParts, Response, ServerStream, Streaming,
};
use kit_breaker::{Bulkhead, Bulkheaded};
use kit_testing::mock::{self, MockEndpoint, MockHandle};
use tower_layer::Layer;

use crate::support::{adds_few_words, now};

type Inner = MockEndpoint<Request<u32>, u32, Error>;
type Handle = MockHandle<Request<u32>, u32, Error>;
type Asked = mock::Call<Request<u32>, u32, Error>;
type Running = Pin<Box<dyn Future<Output = Result<u32, Error>> + Send>>;

fn over<O>(bulkhead: &Bulkhead<O>) -> (Bulkheaded<Inner, O>, Handle) {
    let (inner, handle) = MockEndpoint::pair();
    (bulkhead.layer(inner), handle)
}

/// A call that has been polled once.
fn begin(endpoint: &(impl Endpoint<Request<u32>, Response = u32, Error = Error> + Clone + 'static), n: u32) -> Running {
    begin_with(endpoint, Request::new(n))
}

fn begin_with(
    endpoint: &(impl Endpoint<Request<u32>, Response = u32, Error = Error> + Clone + 'static),
    request: Request<u32>,
) -> Running {
    let endpoint = endpoint.clone();
    let mut call: Running = Box::pin(async move { endpoint.call(request).await });
    if let Poll::Ready(outcome) = poll(&mut call) {
        return Box::pin(async { outcome });
    }
    call
}

fn poll<F: Future + Unpin>(call: &mut F) -> Poll<F::Output> {
    Pin::new(call).poll(&mut Context::from_waker(Waker::noop()))
}

/// The number of the call that has got in, to answer it.
fn entered(handle: &mut Handle) -> Option<(u32, Asked)> {
    handle.try_next().map(|call| (*call.request().message(), call))
}

fn is_full(error: &Error) -> bool {
    (error.kind(), error.origin(), error.reason())
        == (Kind::ResourceExhausted, Origin::LocalRefusal, Some("BULKHEAD_FULL"))
}

fn is_too_late(error: &Error) -> bool {
    (error.kind(), error.origin()) == (Kind::DeadlineExceeded, Origin::NotSent)
}

#[track_caller]
fn refused(mut call: Running) -> Error {
    match poll(&mut call) {
        Poll::Ready(Err(error)) => error,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_bulkhead_without_places_is_refused_and_says_so() {
    assert_eq!(Bulkhead::new(0).unwrap_err().to_string(), "at_most must be 1 or more, got 0");
    let bulkhead = Bulkhead::new(2).unwrap();
    assert_eq!(bulkhead.resize(0).unwrap_err().to_string(), "at_most must be 1 or more, got 0");
    assert_eq!(bulkhead.at_most(), 2);
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting(), bulkhead.name()), (0, 0, ""));
}

#[test]
fn ten_run_and_the_eleventh_is_refused_at_once() {
    let bulkhead = Bulkhead::new(10).unwrap();
    let (endpoint, mut handle) = over(&bulkhead);
    let mut running: Vec<_> = (0..10).map(|n| begin(&endpoint, n)).collect();
    let refusal = refused(begin(&endpoint, 10));
    assert!(is_full(&refusal), "{refusal:?}");
    assert_eq!(refusal.message(), "the bulkhead is full: 10 calls run, and 0 wait");
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (10, 0));

    let (n, first) = entered(&mut handle).unwrap();
    assert!(first.ok(n));
    assert!(matches!(poll(&mut running[0]), Poll::Ready(Ok(0))));
    assert_eq!(bulkhead.in_flight(), 9);
    running.push(begin(&endpoint, 11));
    assert_eq!(bulkhead.in_flight(), 10);
    drop(running);
    assert_eq!(bulkhead.in_flight(), 0);
}

#[test]
fn who_waits_gets_in_by_the_order_of_arrival_and_nobody_jumps_the_line() {
    let bulkhead = Bulkhead::new(1).unwrap().queue(3);
    let (endpoint, mut handle) = over(&bulkhead);
    let mut calls: Vec<_> = (0..4).map(|n| begin(&endpoint, n)).collect();
    for n in 0..4 {
        let (entered, call) = entered(&mut handle).unwrap();
        assert_eq!(entered, n);
        assert!(call.ok(n));
        assert!(matches!(poll(&mut calls[0]), Poll::Ready(Ok(answer)) if answer == n));
        drop(calls.remove(0));
        if n < 3 {
            // The place has gone to the first in the line already, though that has not run: one who comes now is behind it.
            assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (1, 2 - n as usize));
            let mut late = begin(&endpoint, 99);
            assert!(poll(&mut late).is_pending());
            assert!(handle.try_next().is_none(), "it jumped the line");
            drop(late);
            assert!(poll(&mut calls[0]).is_pending());
        }
    }
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (0, 0));
}

#[test]
fn the_bound_of_the_queue_is_exact() {
    let bulkhead = Bulkhead::new(2).unwrap().queue(3);
    let (endpoint, mut handle) = over(&bulkhead);
    let mut calls: Vec<_> = (0..5).map(|n| begin(&endpoint, n)).collect();
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (2, 3));
    let refusal = refused(begin(&endpoint, 5));
    assert_eq!(refusal.message(), "the bulkhead is full: 2 calls run, and 3 wait");
    // One ends, one moves up though it has not run yet, and there is room for one more, no less.
    let (_, first) = entered(&mut handle).unwrap();
    first.ok(0);
    assert!(poll(&mut calls[0]).is_ready());
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (2, 2));
    let sixth = begin(&endpoint, 6);
    assert_eq!(bulkhead.waiting(), 3);
    assert!(is_full(&refused(begin(&endpoint, 7))));
    drop((calls, sixth));
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (0, 0));
}

#[test]
fn who_leaves_the_queue_is_out_of_it_at_once() {
    let bulkhead = Bulkhead::new(1).unwrap().queue(2);
    let (endpoint, mut handle) = over(&bulkhead);
    let mut inside = begin(&endpoint, 0);
    let (leaves, stays) = (begin(&endpoint, 1), begin(&endpoint, 2));
    drop(leaves);
    assert_eq!(bulkhead.waiting(), 1);
    let mut third = begin(&endpoint, 3);
    assert_eq!(bulkhead.waiting(), 2);
    // Who leaves when its turn has come, and before it has run, hands the place on.
    entered(&mut handle).unwrap().1.ok(0);
    assert!(poll(&mut inside).is_ready());
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (1, 1));
    drop(stays);
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (1, 0));
    assert!(poll(&mut third).is_pending());
    assert_eq!(entered(&mut handle).unwrap().0, 3);
    drop(third);
    assert_eq!(bulkhead.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_queue_knows_the_deadline_to_the_tick() {
    let bulkhead = Bulkhead::new(1).unwrap().queue(5).wait(Duration::from_secs(10));
    let (endpoint, mut handle) = over(&bulkhead);
    let inside = begin(&endpoint, 0);
    let start = now();
    let within = |time| {
        let mut request = Request::new(1);
        *request.context_mut() = std::mem::take(request.context_mut()).with_deadline(Deadline::after(start, time));
        request
    };
    // Passed before: neither a place nor a wait.
    let late = refused(begin_with(&endpoint, within(Duration::ZERO)));
    assert!(is_too_late(&late), "{late:?}");
    assert_eq!(late.message(), "the deadline has passed before the call");

    let late = endpoint.call(within(Duration::from_millis(250))).await.unwrap_err();
    assert!(is_too_late(&late), "{late:?}");
    assert_eq!(late.message(), "the deadline has passed in the queue of a bulkhead");
    assert_eq!(start.elapsed_on_tokio(), Duration::from_millis(250));
    // The longest wait is less than what is left.
    let full = endpoint.call(within(Duration::from_secs(60))).await.unwrap_err();
    assert!(is_full(&full), "{full:?}");
    assert_eq!(full.message(), "no place became free within 10s");
    assert_eq!(start.elapsed_on_tokio(), Duration::from_millis(10_250));
    // As long as each other: it is the deadline.
    let late = endpoint.call(within(Duration::from_millis(20_250))).await.unwrap_err();
    assert!(is_too_late(&late), "{late:?}");
    assert_eq!(start.elapsed_on_tokio(), Duration::from_millis(20_250));
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (1, 0));

    // A place that came in time is of no use to a call that gets to run when it is too late.
    let mut waits = begin_with(&endpoint, within(Duration::from_millis(20_350)));
    assert!(handle.try_next().is_some());
    drop(inside);
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (1, 0));
    tokio::time::advance(Duration::from_millis(100)).await;
    let late = match poll(&mut waits) {
        Poll::Ready(Err(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(is_too_late(&late), "{late:?}");
    assert!(handle.try_next().is_none());
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (0, 0));
}

trait OnTokio {
    fn elapsed_on_tokio(&self) -> Duration;
}

impl OnTokio for Instant {
    fn elapsed_on_tokio(&self) -> Duration {
        now() - *self
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_or_a_longest_wait_a_call_waits_on() {
    let bulkhead = Bulkhead::new(1).unwrap().queue(1);
    let (endpoint, mut handle) = over(&bulkhead);
    let mut inside = begin(&endpoint, 0);
    let mut waits = begin(&endpoint, 1);
    tokio::time::advance(Duration::from_secs(30 * 24 * 3600)).await;
    assert!(poll(&mut waits).is_pending());
    entered(&mut handle).unwrap().1.ok(0);
    assert!(poll(&mut inside).is_ready());
    assert!(poll(&mut waits).is_pending());
    entered(&mut handle).unwrap().1.ok(1);
    assert!(matches!(poll(&mut waits), Poll::Ready(Ok(1))));
}

#[tokio::test(start_paused = true)]
async fn a_longest_wait_of_nothing_and_one_of_all_time_are_no_trouble() {
    let start = now();
    for (wait, ends) in [(Duration::ZERO, true), (Duration::MAX, false)] {
        let bulkhead = Bulkhead::new(1).unwrap().queue(1).wait(wait);
        let (endpoint, _handle) = over(&bulkhead);
        let _inside = begin(&endpoint, 0);
        let waits = tokio::time::timeout(Duration::from_secs(3600), endpoint.call(Request::new(1))).await;
        assert_eq!(waits.is_ok_and(|outcome| is_full(&outcome.unwrap_err())), ends, "{wait:?}");
        assert_eq!(bulkhead.waiting(), 0);
    }
    assert!(start.elapsed_on_tokio() < Duration::from_secs(3602));
}

#[test]
fn clones_and_repeated_layering_share_the_places_and_a_fresh_one_does_not() {
    let bulkhead = Bulkhead::new(2).unwrap();
    let (first, _one) = over(&bulkhead);
    let (second, _two) = over(&bulkhead.clone());
    let _running = (begin(&first, 0), begin(&second.clone(), 1));
    assert_eq!(bulkhead.in_flight(), 2);
    assert!(is_full(&refused(begin(&first, 2))));
    assert!(is_full(&refused(begin(&second, 2))));
    let fresh = bulkhead.fresh();
    assert_eq!((fresh.at_most(), fresh.in_flight()), (2, 0));
    // So is one whose settings are changed after it was shared.
    assert_eq!(bulkhead.clone().queue(3).in_flight(), 0);
}

#[test]
fn resizing_up_lets_in_who_waits_and_resizing_down_is_done_as_calls_end() {
    let bulkhead = Bulkhead::new(1).unwrap().queue(4);
    let (endpoint, mut handle) = over(&bulkhead);
    let mut calls: Vec<_> = (0..5).map(|n| begin(&endpoint, n)).collect();
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (1, 4));
    bulkhead.resize(3).unwrap();
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting(), bulkhead.at_most()), (3, 2, 3));
    calls.iter_mut().for_each(|call| assert!(poll(call).is_pending()));
    let mut inside: Vec<_> = std::iter::from_fn(|| entered(&mut handle)).collect();
    assert_eq!(inside.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [0, 1, 2]);

    bulkhead.resize(1).unwrap();
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (3, 2));
    for (ended, in_flight, waiting) in [(0, 2, 2), (1, 1, 2), (2, 1, 1)] {
        inside.remove(0).1.ok(ended);
        assert!(poll(&mut calls[ended as usize]).is_ready());
        assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (in_flight, waiting), "{ended} has ended");
    }
    drop(calls);
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (0, 0));

    // Free places vanish at once, and those that come back while it is still too full are not given to anybody.
    bulkhead.resize(2).unwrap();
    let both = (begin(&endpoint, 0), begin(&endpoint, 1));
    bulkhead.resize(1).unwrap();
    let waits = begin(&endpoint, 2);
    drop(both.0);
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (1, 1));
    bulkhead.resize(2).unwrap();
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (2, 0));
    drop((both.1, waits));
    assert_eq!(bulkhead.in_flight(), 0);
}

#[test]
fn who_leaves_while_inside_and_who_panics_give_their_places_back() {
    let bulkhead = Bulkhead::new(1).unwrap();
    let (endpoint, _handle) = over(&bulkhead);
    drop(begin(&endpoint, 0));
    assert_eq!(bulkhead.in_flight(), 0);

    let panics = bulkhead.layer(MockEndpoint::<Request<u32>, u32, Error>::new().then_panic("as told").then_ok(7));
    let mut call = Box::pin(panics.call(Request::new(1)));
    let panic = std::panic::catch_unwind(AssertUnwindSafe(|| poll(&mut call)));
    assert!(panic.is_err());
    assert_eq!(bulkhead.in_flight(), 0, "before the future is dropped");
    drop(call);
    assert_eq!(bulkhead.in_flight(), 0);
    assert!(matches!(poll(&mut Box::pin(panics.call(Request::new(1)))), Poll::Ready(Ok(7))));
}

/// A stream of these items, which then hangs or ends.
#[derive(Clone, Copy)]
struct Streams {
    ends: bool,
}

impl Endpoint<Request<u32, ServerStream>> for Streams {
    type Response = Response<Streaming<u32>>;
    type Error = Error;

    async fn call(&self, request: Request<u32, ServerStream>) -> Result<Self::Response, Error> {
        let items = tokio_stream::iter((0..request.into_message()).map(Ok));
        Ok(Response::new(if self.ends {
            Streaming::new(items)
        } else {
            Streaming::new(tokio_stream::StreamExt::chain(items, tokio_stream::pending()))
        }))
    }
}

#[tokio::test]
async fn a_stream_holds_its_place_until_its_end_or_its_drop() {
    let bulkhead = Bulkhead::new(1).unwrap().queue(1);
    let request = || Request::<u32, ServerStream>::from_parts(Default::default(), 2);
    for ends in [true, false] {
        let endpoint = bulkhead.layer(Streams { ends });
        let mut stream = endpoint.call(request()).await.unwrap().into_message();
        assert_eq!(stream.message().await.unwrap(), Some(0));
        let mut waits = Box::pin(endpoint.call(request()));
        assert!(poll(&mut waits).is_pending());
        assert_eq!(stream.message().await.unwrap(), Some(1));
        assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (1, 1));
        if ends {
            assert_eq!(stream.message().await.unwrap(), None);
        } else {
            drop(stream);
        }
        assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (1, 0));
        let next = waits.await.unwrap();
        assert_eq!(bulkhead.in_flight(), 1);
        drop(next);
        assert_eq!(bulkhead.in_flight(), 0);
    }
}

/// Counts how many are inside, and the most that ever were.
#[derive(Clone, Default)]
struct Watched(Arc<(AtomicUsize, AtomicUsize)>);

impl<Req: Call<u32> + RequestParts> Endpoint<Req> for Watched {
    type Response = u32;
    type Error = Error;

    async fn call(&self, _: Req) -> Result<u32, Error> {
        let (inside, most) = &*self.0;
        let here = inside.fetch_add(1, SeqCst) + 1;
        most.fetch_max(here, SeqCst);
        tokio::task::yield_now().await;
        inside.fetch_sub(1, SeqCst);
        Ok(0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_that_race_and_leave_and_resize_never_pass_the_limit_and_lose_no_place() {
    let bulkhead = Bulkhead::new(3).unwrap().queue(8);
    let inner = Watched::default();
    let callers: Vec<_> = (0..16)
        .map(|caller| {
            let endpoint = bulkhead.clone().layer(inner.clone());
            tokio::spawn(async move {
                let mut done = 0;
                for n in 0..400 {
                    let call = endpoint.call(Request::new(n));
                    if (n + caller) % 5 == 0 {
                        // Leaves after one poll, wherever that has brought it.
                        let mut call = Box::pin(call);
                        let _ = poll(&mut call);
                        drop(call);
                        continue;
                    }
                    match call.await {
                        Ok(_) => done += 1,
                        Err(error) => assert!(is_full(&error), "{error:?}"),
                    }
                }
                done
            })
        })
        .collect();
    let resizing = bulkhead.clone();
    let resizes = tokio::spawn(async move {
        for n in 0..400 {
            resizing.resize(1 + n % 3).unwrap();
            tokio::task::yield_now().await;
        }
        resizing.resize(3).unwrap();
    });
    let mut done = 0;
    for caller in callers {
        done += caller.await.unwrap();
    }
    resizes.await.unwrap();
    assert!(done > 0);
    // Callers who leave inside of the inner endpoint do not count down there, so it is the bulkhead's word that counts.
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (0, 0));
    let (endpoint, _handle) = over(&bulkhead);
    let all: Vec<_> = (0..3).map(|n| begin(&endpoint, n)).collect();
    assert_eq!(bulkhead.in_flight(), 3);
    drop(all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn never_more_than_the_limit_are_inside_over_threads_and_clones() {
    let bulkhead = Bulkhead::new(3).unwrap().queue(usize::MAX);
    let inner = Watched::default();
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let endpoint = bulkhead.clone().layer(inner.clone());
            tokio::spawn(async move {
                for n in 0..300 {
                    endpoint.call(Request::new(n)).await.unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(inner.0.1.load(SeqCst), 3);
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn it_tells_what_it_does_under_its_name() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let observer = {
        let told = Arc::clone(&told);
        move |event: &Event<'_>| told.lock().unwrap().push(format!("{} {} {}", event.source, event.key, event.what))
    };
    let bulkhead = Bulkhead::new(1).unwrap().observed_by(observer).named("db").queue(1).wait(Duration::from_secs(1));
    let (endpoint, _handle) = over(&bulkhead);
    let _inside = begin(&endpoint, 0);
    let waits = begin(&endpoint, 1);
    assert!(is_full(&refused(begin(&endpoint, 2))));
    assert!(is_full(&waits.await.unwrap_err()));
    assert_eq!(*told.lock().unwrap(), ["bulkhead db queued", "bulkhead db refused", "bulkhead db expired"]);
}

/// So that a balancer takes it to another instance.
#[tokio::test(start_paused = true)]
async fn what_finds_no_place_comes_back_in_the_refusal() {
    let bulkhead = Bulkhead::new(1).unwrap().queue(1).wait(Duration::from_secs(1));
    let (endpoint, mut handle) = over(&bulkhead);
    let first = begin(&endpoint, 1);
    let (_, asked) = entered(&mut handle).unwrap();
    let waits = begin(&endpoint, 2);
    let full = endpoint.call(Request::new(3)).await.unwrap_err();
    for (mut refusal, number) in [(full, 3), (waits.await.unwrap_err(), 2)] {
        assert!(is_full(&refusal));
        assert_eq!(refusal.take_unsent::<Request<u32>>().map(Request::into_message), Some(number));
    }
    // What has no time left has none elsewhere.
    let late = kit_base::Context::new().with_deadline(Deadline::at(now()));
    let mut late = endpoint.call(Request::from_parts(late, 4)).await.unwrap_err();
    assert!(is_too_late(&late) && late.take_unsent::<Request<u32>>().is_none());
    drop((asked, first));
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_takes_no_place_along() {
    let panics = |_: &Event<'_>| panic!("as told");
    let bulkhead = Bulkhead::new(1).unwrap().queue(1).wait(Duration::from_secs(1)).observed_by(panics);
    let (endpoint, mut handle) = over(&bulkhead);
    let call = |request| std::panic::catch_unwind(AssertUnwindSafe(|| drop(endpoint.call(request))));
    let first = begin(&endpoint, 1);
    let (_, asked) = entered(&mut handle).unwrap();
    // Queued, and expired before it is begun.
    call(Request::new(2)).unwrap_err();
    let late = kit_base::Context::new().with_deadline(Deadline::at(now()));
    call(Request::from_parts(late, 3)).unwrap_err();
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (1, 0));
    drop((asked, first));
    assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (0, 0));
    let again = begin(&endpoint, 4);
    assert_eq!(entered(&mut handle).unwrap().0, 4);
    drop(again);
}

#[test]
fn the_future_is_as_large_as_the_inner_one_and_a_few_words() {
    adds_few_words(&Bulkhead::new(1).unwrap());
}
