//! Mock endpoints: scripts, functions, answers by hand, and counts.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use kit_base::{Endpoint, Error, Kind};
use kit_testing::mock::MockEndpoint;
use tokio::time::Instant;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, ServiceExt};

type Mock = MockEndpoint<u32, String, Error>;

fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn a_script_is_used_up_in_order() {
    let mock = Mock::new()
        .then_ok("a".into())
        .then_err(Error::aborted("b"))
        .then_after(Duration::from_secs(60), Ok("c".into()));
    let start = Instant::now();
    assert_eq!(mock.call(1).await.unwrap(), "a");
    assert_eq!(mock.call(2).await.unwrap_err().kind(), Kind::Aborted);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(mock.call(3).await.unwrap(), "c");
    assert_eq!(start.elapsed(), Duration::from_secs(60));
    assert_eq!(mock.requests(), [1, 2, 3]);
    assert_eq!((mock.counts().finished, mock.in_flight(), mock.dropped()), (3, 0, 0));
}

#[tokio::test]
#[should_panic(expected = "call 2 has no answer in the script")]
async fn a_call_after_the_end_of_the_script_panics_and_says_so() {
    let mock = Mock::new().then_ok("a".into());
    let _ = mock.call(1).await;
    let _ = mock.call(2).await;
}

#[tokio::test]
async fn a_scripted_panic_counts_as_dropped() {
    let mock = Mock::new().then_panic("boom");
    let call = tokio::spawn({
        let mock = mock.clone();
        async move { mock.call(1).await }
    });
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!((mock.dropped(), mock.in_flight()), (1, 0));
}

#[tokio::test]
async fn a_function_answers_after_the_script() {
    let mut calls = 0;
    let mock = MockEndpoint::from_fn(move |n: &u32| {
        calls += 1;
        if *n == 0 { Err(Error::invalid_argument("zero")) } else { Ok(n * 10 + calls) }
    });
    let mock = mock.then_ok(0);
    assert_eq!(mock.call(5).await.unwrap(), 0);
    assert_eq!(mock.call(5).await.unwrap(), 51);
    assert_eq!(mock.call(0).await.unwrap_err().kind(), Kind::InvalidArgument);
    assert_eq!(mock.take_requests(), [5, 5, 0]);
    assert!(mock.take_requests().is_empty());
}

#[tokio::test]
async fn a_call_counts_before_it_is_polled_and_when_it_is_dropped_unpolled() {
    let mock = Mock::new().then_ok("a".into());
    let call = mock.call(1);
    assert_eq!((mock.started(), mock.in_flight()), (1, 1));
    drop(call);
    assert_eq!((mock.dropped(), mock.in_flight()), (1, 0));
}

#[tokio::test]
async fn a_pending_call_ends_by_its_drop_alone() {
    let mock = Mock::new().then_pending();
    {
        let mut call = pin!(mock.call(1));
        assert!(poll(&mut call).is_pending());
        assert_eq!((mock.in_flight(), mock.dropped()), (1, 0));
    }
    assert_eq!((mock.in_flight(), mock.dropped()), (0, 1));
}

#[tokio::test]
async fn the_most_calls_at_once_are_remembered() {
    let mock = Mock::new().then_pending().then_pending().then_ok("a".into());
    let two = (mock.call(1), mock.call(2));
    drop(two);
    mock.call(3).await.unwrap();
    assert_eq!(mock.counts().max_in_flight, 2);
}

#[tokio::test]
async fn the_test_answers_by_hand_in_any_order() {
    let (mock, mut handle) = Mock::pair();
    assert!(handle.try_next().is_none());
    let (mut first, mut second) = (pin!(mock.call(1)), pin!(mock.call(2)));
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
    let (one, two) = (handle.next().await.unwrap(), handle.next().await.unwrap());
    assert_eq!((*one.request(), *two.request()), (1, 2));
    assert!(two.ok("two".into()));
    assert_eq!(second.await.unwrap(), "two");
    assert!(poll(&mut first).is_pending());
    let (request, responder) = one.into_parts();
    assert_eq!(request, 1);
    assert!(responder.respond(Err(Error::unavailable("no"))));
    assert_eq!(first.await.unwrap_err().kind(), Kind::Unavailable);
}

#[tokio::test]
async fn the_test_sees_a_caller_that_leaves() {
    let (mock, mut handle) = Mock::pair();
    let call = mock.call(1);
    let mut received = handle.next().await.unwrap();
    assert!(poll(received.cancelled()).is_pending());
    drop(call);
    received.cancelled().await;
    assert!(!received.ok("late".into()));
    assert_eq!(mock.dropped(), 1);
}

#[tokio::test]
async fn a_responder_that_is_dropped_leaves_the_call_pending() {
    let (mock, mut handle) = Mock::pair();
    let mut call = pin!(mock.call(1));
    drop(handle.next().await.unwrap());
    assert!(poll(&mut call).is_pending());
    drop(handle);
    assert!(poll(mock.call(2)).is_pending(), "as do calls without a handle");
}

#[tokio::test]
async fn the_handle_ends_with_the_last_clone_of_its_mock() {
    let (mock, mut handle) = Mock::pair();
    drop(mock.clone());
    assert!(poll(handle.next()).is_pending());
    drop(mock);
    assert!(handle.next().await.is_none());
}

#[tokio::test]
async fn requests_and_errors_need_no_clone_and_no_static() {
    struct Uncloneable(String);
    let text = "borrowed".to_owned();
    let mock = MockEndpoint::<Uncloneable, &str, &str>::new().then_ok(&text).then_err(&text);
    assert_eq!(mock.call(Uncloneable("x".into())).await, Ok("borrowed"));
    assert_eq!(mock.call(Uncloneable("y".into())).await, Err("borrowed"));
    assert_eq!(mock.take_requests()[1].0, "y");
}

#[tokio::test]
async fn waiting_for_counts_ends_when_they_are_reached() {
    let mock = Mock::new().then_pending();
    let task = tokio::spawn({
        let mock = mock.clone();
        async move { mock.call(1).await }
    });
    assert_eq!(mock.until(|counts| counts.in_flight() == 1).await.started, 1);
    task.abort();
    assert_eq!(mock.until(|counts| counts.dropped == 1).await.in_flight(), 0);
}

#[tokio::test]
async fn a_tower_layer_is_tested_around_the_mock_as_a_service() {
    let (mock, mut handle) = Mock::pair();
    let limited = ConcurrencyLimitLayer::new(1).layer(mock.service());
    let (one, two) = (limited.clone(), limited);
    let first = tokio::spawn(one.oneshot(1));
    let call = handle.next().await.unwrap();
    let second = tokio::spawn(two.oneshot(2));
    tokio::task::yield_now().await;
    assert_eq!(mock.counts().max_in_flight, 1);
    call.ok("one".into());
    handle.next().await.unwrap().ok("two".into());
    assert_eq!((first.await.unwrap().unwrap(), second.await.unwrap().unwrap()), ("one".into(), "two".into()));
    assert_eq!(mock.counts().max_in_flight, 1);
}
