//! What bounds the line, and costs and times that are absurd.

use std::time::Duration;

use kit_base::{Endpoint, Request, RetryHint};
use kit_ratelimit::{Delay, Layer, Quota, nonzero};

use super::{Call, Notes, is_refused};
use crate::support::{ms, now, nz, quota};

#[tokio::test(start_paused = true)]
async fn the_line_is_as_long_as_the_longest_wait() {
    let delay = Delay::new(quota(100, 5)).at_most(ms(2000));
    let endpoint = delay.layer(Notes::new());
    let mut calls = Vec::new();
    for n in 0..1000 {
        let mut call = Call::new(&endpoint, Request::new(n));
        match call.poll() {
            std::task::Poll::Pending => calls.push(call),
            std::task::Poll::Ready(outcome) => assert_eq!(outcome.is_ok(), n < 5, "{n}"),
        }
    }
    assert_eq!((calls.len(), delay.waiting()), (200, 200));
    // A call that costs a whole burst lets that many more small ones in behind it, and no more.
    let delay = Delay::new(quota(100, 50)).at_most(ms(1000)).costing(|request: &Request<u32>| *request.message());
    let endpoint = delay.layer(Notes::new());
    endpoint.call(Request::new(1)).await.unwrap();
    let mut calls = vec![Call::begun(&endpoint, 50)];
    loop {
        let mut call = Call::new(&endpoint, Request::new(1));
        if call.poll().is_ready() {
            break;
        }
        calls.push(call);
    }
    assert_eq!(calls.len(), 1 + 99);
    assert!(calls.len() <= 100 + 50);
}

/// What it will make up for lets as many more in.
#[tokio::test(start_paused = true)]
async fn before_a_first_that_runs_late_the_line_is_longer_by_ten_milliseconds() {
    let delay = Delay::new(quota(1000, 1)).at_most(ms(5));
    let endpoint = delay.layer(Notes::new());
    endpoint.call(Request::new(0)).await.unwrap();
    let mut calls = vec![Call::begun(&endpoint, 1)];
    tokio::time::advance(ms(14)).await;
    loop {
        let mut call = Call::new(&endpoint, Request::new(2));
        if call.poll().is_ready() {
            break;
        }
        calls.push(call);
    }
    assert_eq!(delay.waiting(), (5 + 10) + 1);
}

#[tokio::test(start_paused = true)]
async fn unless_set_the_longest_wait_is_ten_seconds() {
    let delay = Delay::new(quota(1, 1));
    let endpoint = delay.layer(Notes::new());
    endpoint.call(Request::new(0)).await.unwrap();
    let _wait: Vec<_> = (1..=10).map(|n| Call::begun(&endpoint, n)).collect();
    is_refused(&endpoint.call(Request::new(11)).await.unwrap_err(), Some(ms(1000)));
}

#[tokio::test(start_paused = true)]
async fn with_a_longest_wait_of_zero_nobody_waits() {
    let delay = Delay::new(quota(10, 2)).at_most(Duration::ZERO);
    let endpoint = delay.layer(Notes::new());
    for n in 0..2 {
        endpoint.call(Request::new(n)).await.unwrap();
    }
    for n in 0..100 {
        assert!(Call::new(&endpoint, Request::new(n)).poll().is_ready());
        assert_eq!(delay.waiting(), 0);
    }
    is_refused(&endpoint.call(Request::new(3)).await.unwrap_err(), Some(ms(100)));
    tokio::time::advance(ms(100)).await;
    endpoint.call(Request::new(4)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn with_a_longest_wait_of_all_time_everybody_waits() {
    let day = Duration::from_secs(24 * 3600);
    let delay = Delay::new(Quota::per(nonzero!(1), day * 300).unwrap()).at_most(Duration::MAX);
    let (endpoint, began) = (delay.layer(Notes::new()), tokio::time::Instant::now());
    let (a, b, c) =
        tokio::join!(endpoint.call(Request::new(1)), endpoint.call(Request::new(2)), endpoint.call(Request::new(3)));
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(began.elapsed(), day * 600);
}

#[tokio::test(start_paused = true)]
async fn what_costs_more_than_the_burst_is_never_made_and_what_costs_nothing_always() {
    let delay = Delay::new(quota(10, 3)).costing(|request: &Request<u32>| *request.message());
    let endpoint = delay.layer(Notes::new());
    for cost in [4, u32::MAX] {
        let error = endpoint.call(Request::new(cost)).await.unwrap_err();
        is_refused(&error, None);
        assert_eq!(error.retry_hint(), RetryHint::Never);
        assert_eq!(error.message(), format!("the request costs {cost}, more than the 3 of the rate limit"));
    }
    endpoint.call(Request::new(3)).await.unwrap();
    let _waits = Call::begun(&endpoint, 3);
    // Also while others wait.
    is_refused(&endpoint.call(Request::new(4)).await.unwrap_err(), None);
    for _ in 0..100 {
        endpoint.call(Request::new(0)).await.unwrap();
    }
    assert_eq!((delay.waiting(), delay.standing_at(now()).remaining), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn absurd_quotas_and_costs_neither_panic_nor_pass() {
    for burst in [1, 2, u32::MAX] {
        for rate in [1, 3, u32::MAX] {
            for wait in [Duration::ZERO, ms(5), Duration::MAX] {
                let quota = Quota::per(nz(rate), Duration::from_secs(366 * 24 * 3600)).unwrap().with_burst(nz(burst));
                let delay = Delay::new(quota).at_most(wait).costing(|request: &Request<u32>| *request.message());
                let endpoint = delay.layer(Notes::new());
                let mut calls = Vec::new();
                for cost in [1, u32::MAX, burst, u32::MAX, u32::MAX - 1, 2] {
                    let mut call = Call::new(&endpoint, Request::new(cost));
                    let _ = call.poll();
                    calls.push(call);
                }
                delay.change_at(Quota::per_second(nz(u32::MAX)), now());
                delay.change_at(quota, now() + Duration::from_secs(100 * 365 * 24 * 3600));
                delay.change_at(quota, now());
                tokio::time::advance(ms(1)).await;
                super::poll_woken(&mut calls);
                drop(calls);
                assert_eq!(delay.waiting(), 0);
            }
        }
    }
}

/// Without a runtime there is no timer, and none is needed by who need not wait.
#[test]
fn who_need_not_wait_needs_no_runtime() {
    let delay = Delay::new(quota(1, 3)).at_most(ms(0));
    let endpoint = delay.layer(Notes::new());
    for n in 0..5 {
        let std::task::Poll::Ready(outcome) = Call::new(&endpoint, Request::new(n)).poll() else { panic!("it waits") };
        assert_eq!(outcome.is_ok(), n < 3);
    }
}
