//! Paces above that of the timer, and a runtime that stalls.

use std::time::Duration;

use kit_base::{Endpoint, Request};
use kit_ratelimit::{Delay, Layer};
use tokio::time::Instant;

use super::{Call, Notes, poll_woken};
use crate::support::{Echo, ms, quota};

#[tokio::test(start_paused = true)]
async fn ten_thousand_a_second_one_by_one_are_that_many_for_one_caller() {
    let (delay, notes) = (Delay::new(quota(10_000, 1)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    for n in 0..=1000 {
        endpoint.call(Request::new(n)).await.unwrap();
    }
    assert_eq!(notes.began.elapsed(), ms(100));
    // At no time are there more than the burst, the rate, and what the timer was late.
    for (n, at) in notes.seen() {
        assert!(n <= 1 + at.as_micros() as u32 / 100, "{n} at {at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn and_for_a_hundred() {
    let (delay, notes) = (Delay::new(quota(10_000, 1)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    let callers = (0..100).map(|_| {
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            for n in 0..20 {
                endpoint.call(Request::new(n)).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    assert_eq!(notes.began.elapsed(), ms(200));
}

/// On the real clock. The upper bound is what one for each tick of the timer would take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_real_clock_ten_thousand_a_second_are_that_many() {
    let endpoint = Delay::new(quota(10_000, 1)).layer(Echo::default());
    let began = Instant::now();
    let callers = (0..100).map(|_| {
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            for n in 0..100 {
                endpoint.call(Request::new(n)).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let took = began.elapsed();
    assert!(took >= ms(999 - 10), "{took:?}");
    assert!(took < ms(9000), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_stall_ten_milliseconds_of_it_are_made_up_for_and_no_more() {
    for (stall, at_once) in [(1, 1), (3, 3), (10, 10), (11, 11), (50, 11), (5000, 11)] {
        let (delay, notes) = (Delay::new(quota(1000, 1)).at_most(ms(60_000)), Notes::new());
        let endpoint = delay.layer(notes.clone());
        endpoint.call(Request::new(0)).await.unwrap();
        let mut calls: Vec<_> = (1..100).map(|n| Call::begun(&endpoint, n)).collect();
        tokio::time::advance(ms(stall)).await;
        poll_woken(&mut calls);
        assert_eq!(notes.seen().len() - 1, at_once, "after {stall} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_made_up_for_is_not_saved_up() {
    let (delay, notes) = (Delay::new(quota(1000, 1)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    endpoint.call(Request::new(0)).await.unwrap();
    // It was 5 ms late.
    let mut late = Call::begun(&endpoint, 1);
    tokio::time::advance(ms(6)).await;
    assert!(late.poll().is_ready());
    // Long after, a burst of one is a burst of one.
    tokio::time::advance(ms(11)).await;
    endpoint.call(Request::new(2)).await.unwrap();
    let _waits = Call::begun(&endpoint, 3);
    // Nor is anything made up for where nobody was late.
    let delay = Delay::new(quota(500, 1));
    let endpoint = delay.layer(notes.clone());
    endpoint.call(Request::new(0)).await.unwrap();
    endpoint.call(Request::new(1)).await.unwrap();
    tokio::time::advance(ms(5)).await;
    endpoint.call(Request::new(2)).await.unwrap();
    let _waits_too = Call::begun(&endpoint, 3);
}

/// In any time: for each two calls, those between them are no more than the burst, the rate, and 10 ms of it.
#[tokio::test(start_paused = true)]
async fn stalls_at_random_never_pass_the_bound() {
    let (rate, burst) = (2000, 3);
    let (delay, notes) = (Delay::new(quota(rate, burst)).at_most(Duration::from_secs(60)), Notes::new());
    let endpoint = delay.layer(notes.clone());
    let mut chance = crate::kinds::Chance(7);
    let (mut calls, mut n) = (Vec::new(), 0);
    for _ in 0..400 {
        for _ in 0..chance.under(30) {
            let mut call = Call::new(&endpoint, Request::new(n));
            n += 1;
            if call.poll().is_pending() {
                calls.push(call);
            }
        }
        let stall = if chance.one_in(10) { 60_000 } else { 4000 };
        tokio::time::advance(Duration::from_micros(chance.under(stall))).await;
        poll_woken(&mut calls);
    }
    let seen = notes.seen();
    assert!(seen.len() > 1500, "{}", seen.len());
    for (i, (_, from)) in seen.iter().enumerate() {
        for (j, (_, to)) in seen.iter().enumerate().skip(i) {
            let most = f64::from(burst) + f64::from(rate) * (*to - *from + ms(10)).as_secs_f64();
            assert!((j - i + 1) as f64 <= most + 1e-6, "{} from {from:?} to {to:?}", j - i + 1);
        }
    }
}
