//! Never past the deadline, and no wait for what cannot be.

use kit_base::{Endpoint, Request};
use kit_ratelimit::{Delay, Layer, Quota, nonzero};

use super::{Call, Notes, is_refused, is_too_late, pass, within};
use crate::support::{Told, ms, now, quota};
use std::time::Duration;

const TICK: Duration = Duration::from_nanos(1);

/// Go kit's delaying limiter: one a minute, and a context of 500 ms.
#[tokio::test(start_paused = true)]
async fn go_kits_rl_2() {
    let (delay, notes) = (Delay::new(Quota::per_minute(nonzero!(1))), Notes::new());
    let endpoint = delay.layer(notes.clone());
    endpoint.call(within(ms(500), 1)).await.unwrap();
    let error = endpoint.call(within(ms(500), 2)).await.unwrap_err();
    is_too_late(&error);
    assert_eq!(error.message(), "the deadline would pass before it is the call's turn");
    assert_eq!((notes.began.elapsed(), notes.seen().len(), delay.waiting()), (ms(0), 1, 0));
}

#[tokio::test(start_paused = true)]
async fn one_whose_turn_comes_at_the_deadline_fails_at_once_and_a_tick_before_it_passes() {
    let told = Told::default();
    let (delay, notes) = (Delay::new(quota(10, 1)).observed_by(told.clone()), Notes::new());
    let endpoint = delay.layer(notes.clone());
    endpoint.call(Request::new(0)).await.unwrap();
    is_too_late(&endpoint.call(within(ms(100), 1)).await.unwrap_err());
    assert_eq!((notes.began.elapsed(), told.take()), (ms(0), vec![(String::new(), "expired", 1.0)]));
    endpoint.call(within(ms(100) + TICK, 2)).await.unwrap();
    assert_eq!(notes.seen()[1..], [(2, ms(100))]);
    // No time at all is left, though there would be tokens.
    tokio::time::advance(ms(1000)).await;
    let error = endpoint.call(within(ms(0), 3)).await.unwrap_err();
    is_too_late(&error);
    assert_eq!(error.message(), "the deadline has passed before the call");
    assert_eq!(delay.standing_at(now()).remaining, 1);
    endpoint.call(within(TICK, 4)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_tighter_of_deadline_and_longest_wait_is_the_one_that_speaks() {
    let delay = Delay::new(quota(1, 1)).at_most(ms(300));
    let endpoint = delay.layer(Notes::new());
    endpoint.call(Request::new(0)).await.unwrap();
    for (left, by_deadline) in [(ms(299), true), (ms(300), true), (ms(300) + TICK, false), (ms(5000), false)] {
        let error = endpoint.call(within(left, 1)).await.unwrap_err();
        if by_deadline { is_too_late(&error) } else { is_refused(&error, Some(ms(700))) }
    }
}

#[tokio::test(start_paused = true)]
async fn so_it_is_of_one_that_has_waited() {
    let delay = Delay::new(quota(10, 1)).at_most(ms(300));
    let endpoint = delay.layer(Notes::new());
    endpoint.call(Request::new(0)).await.unwrap();
    let _stuck = Call::begun(&endpoint, 1);
    // The one before it is not polled any more, and put out when its time is over: 310 ms, with those that a task may run late.
    for left in [ms(305), ms(310)] {
        is_too_late(&endpoint.call(within(left, 2)).await.unwrap_err());
    }
    assert_eq!(endpoint.call(within(ms(310), 3)).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_runs_too_late_takes_no_tokens_and_is_not_inside_at_the_deadline() {
    for (runs_after, passes) in [(ms(100), true), (ms(149), true), (ms(150), false), (ms(400), false)] {
        let (delay, notes) = (Delay::new(quota(10, 1)), Notes::new());
        let endpoint = delay.layer(notes.clone());
        endpoint.call(Request::new(0)).await.unwrap();
        let mut waits = Call::new(&endpoint, within(ms(150), 1));
        assert!(waits.poll().is_pending());
        tokio::time::advance(runs_after).await;
        match waits.poll() {
            std::task::Poll::Ready(outcome) if passes => assert_eq!(outcome.unwrap(), 1),
            std::task::Poll::Ready(outcome) => is_too_late(&outcome.unwrap_err()),
            std::task::Poll::Pending => panic!("it knows"),
        }
        assert_eq!(notes.seen().len(), 1 + usize::from(passes), "{runs_after:?}");
        assert_eq!(delay.standing_at(now()).remaining, u32::from(!passes), "{runs_after:?}");
        assert_eq!(delay.waiting(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn one_behind_a_first_that_does_not_run_still_ends_at_its_deadline() {
    let (delay, notes) = (Delay::new(quota(10, 1)).at_most(ms(300)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    endpoint.call(Request::new(0)).await.unwrap();
    let stuck = Call::begun(&endpoint, 1);
    let began = notes.began;
    is_too_late(&endpoint.call(within(ms(250), 2)).await.unwrap_err());
    // The timer is of whole milliseconds.
    assert_eq!(began.elapsed(), ms(250));
    // Without a deadline it ends by the longest wait, and the lateness that is made up for.
    let error = endpoint.call(Request::new(3)).await.unwrap_err();
    is_refused(&error, Some(ms(0)));
    assert_eq!(began.elapsed(), ms(250 + 310 + 1));
    drop(stuck);
    assert_eq!((notes.seen().len(), delay.waiting()), (1, 0));
    let mut calls = Vec::new();
    pass(ms(1), &mut calls).await;
}
