//! Another quota, for those who wait already.

use std::task::Poll;

use kit_base::{Endpoint, Request, RetryHint};
use kit_ratelimit::{Delay, Layer, Quota};

use super::{Call, Notes, is_refused, is_too_late, pass, within};
use crate::support::{ms, now, nz, quota};

#[tokio::test(start_paused = true)]
async fn a_faster_one_speeds_up_those_who_wait() {
    let (delay, notes) = (Delay::new(quota(1, 1)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    endpoint.call(Request::new(0)).await.unwrap();
    let mut calls: Vec<_> = (1..4).map(|n| Call::begun(&endpoint, n)).collect();
    pass(ms(500), &mut calls).await;
    // Half a token is there, and stays half a token.
    delay.change_at(quota(10, 1), now());
    assert!(calls[0].is_woken());
    pass(ms(250), &mut calls).await;
    assert_eq!(notes.seen()[1..], [(1, ms(550)), (2, ms(650)), (3, ms(750))]);
}

#[tokio::test(start_paused = true)]
async fn a_slower_one_sends_away_those_who_cannot_wait_so_long_there_and_then() {
    let (delay, notes) = (Delay::new(quota(100, 1)).at_most(ms(1000)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    endpoint.call(Request::new(0)).await.unwrap();
    let mut calls = vec![Call::begun(&endpoint, 1), Call::new(&endpoint, within(ms(600), 2))];
    assert!(calls[1].poll().is_pending());
    calls.extend((3..7).map(|n| Call::begun(&endpoint, n)));
    delay.change_at(quota(2, 1), now());
    // The first in 500 ms and the next in 1000; the second has till 600, and whoever is behind that moves up.
    let woken: Vec<_> = calls.iter().map(Call::is_woken).collect();
    assert_eq!(woken, [true, true, false, true, true, true]);
    match calls[1].poll() {
        Poll::Ready(outcome) => is_too_late(&outcome.unwrap_err()),
        Poll::Pending => panic!("it has no time left"),
    }
    // Who comes back is the last of those that are there then, and may wait for a second.
    for (call, again) in calls[3..].iter_mut().zip([1500, 1000, 500]) {
        let Poll::Ready(outcome) = call.poll() else { panic!("it would take too long") };
        let mut refusal = outcome.unwrap_err();
        is_refused(&refusal, Some(ms(again)));
        assert!(refusal.take_unsent::<Request<u32>>().is_some());
    }
    calls.truncate(3);
    calls.remove(1);
    assert_eq!(delay.waiting(), 2);
    pass(ms(1000), &mut calls).await;
    assert_eq!(notes.seen()[1..], [(1, ms(500)), (3, ms(1000))]);
}

#[tokio::test(start_paused = true)]
async fn who_just_comes_in_time_stays() {
    // A second, and the 10 ms that a task may run late.
    for (interval, stays) in [(505, true), (506, false)] {
        let (delay, notes) = (Delay::new(quota(100, 1)).at_most(ms(1000)), Notes::new());
        let endpoint = delay.layer(notes.clone());
        endpoint.call(Request::new(0)).await.unwrap();
        let mut calls = vec![Call::begun(&endpoint, 1), Call::begun(&endpoint, 2)];
        delay.change_at(Quota::per(nz(1), ms(interval)).unwrap(), now());
        assert_eq!(calls[1].is_woken(), !stays);
        pass(ms(2 * interval), &mut calls).await;
        assert_eq!((notes.seen().len(), delay.waiting()), (2 + usize::from(stays), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn who_had_no_hope_has_it_again_by_a_change_back_before_it_ran() {
    let delay = Delay::new(quota(10, 1)).at_most(ms(500));
    let endpoint = delay.layer(Notes::new());
    endpoint.call(Request::new(0)).await.unwrap();
    let mut calls = vec![Call::begun(&endpoint, 1), Call::begun(&endpoint, 2)];
    delay.change_at(quota(1, 1), now());
    delay.change_at(quota(10, 1), now());
    pass(ms(200), &mut calls).await;
    assert!(calls.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_had_no_hope_has_it_again_when_those_before_it_leave_before_it_ran() {
    let (delay, notes) = (Delay::new(quota(10, 1)).at_most(ms(500)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    endpoint.call(Request::new(0)).await.unwrap();
    let first = Call::begun(&endpoint, 1);
    let mut calls = vec![Call::begun(&endpoint, 2)];
    delay.change_at(Quota::per(nz(1), ms(400)).unwrap(), now());
    assert!(calls[0].is_woken(), "it would be 800 ms");
    drop(first);
    pass(ms(400), &mut calls).await;
    assert_eq!(notes.seen()[1..], [(2, ms(400))]);
}

/// As after a clock that goes back: it begins again, empty, and nobody waits for the clock to catch up.
#[tokio::test(start_paused = true)]
async fn a_change_at_a_moment_that_is_far_off_stops_nobody() {
    let hour = std::time::Duration::from_secs(3600);
    for moment in [now() + hour, now() + 10_000 * hour, now() - hour] {
        let (delay, notes) = (Delay::new(quota(10, 2)), Notes::new());
        let endpoint = delay.layer(notes.clone());
        endpoint.call(Request::new(0)).await.unwrap();
        delay.change_at(quota(10, 1), moment);
        for n in 1..4 {
            endpoint.call(Request::new(n)).await.unwrap();
        }
        assert!(notes.began.elapsed() <= ms(300), "{:?}", notes.seen());
    }
}

#[tokio::test(start_paused = true)]
async fn who_costs_more_than_the_new_burst_is_sent_away_for_good_and_holds_up_nobody() {
    let delay = Delay::new(quota(10, 5)).costing(|request: &Request<u32>| *request.message());
    let notes = Notes::new();
    let endpoint = delay.layer(notes.clone());
    endpoint.call(Request::new(5)).await.unwrap();
    let mut large = [Call::begun(&endpoint, 4), Call::begun(&endpoint, 3)];
    let mut calls = vec![Call::begun(&endpoint, 2)];
    delay.change_at(quota(10, 2), now());
    for call in &mut large {
        assert!(call.is_woken());
        let Poll::Ready(Err(error)) = call.poll() else { panic!("never") };
        is_refused(&error, None);
        assert_eq!(error.retry_hint(), RetryHint::Never);
    }
    pass(ms(200), &mut calls).await;
    assert_eq!(notes.seen()[1..], [(2, ms(200))]);
}
