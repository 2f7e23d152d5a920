//! The tests of `Wait` of golang.org/x/time/rate, on which Go kit's delaying limiter rests. A context that is cancelled there is a
//! call that is dropped here, and its deadline the deadline. There is no infinite rate here: `TestWaitInf` has no counterpart.

use kit_base::{Endpoint, Request};
use kit_ratelimit::{Delay, Layer};
use tokio::time::timeout;

use super::{Notes, is_refused, is_too_late, within};
use crate::support::{ms, quota};

fn limiter() -> Delay<impl kit_ratelimit::Cost<Request<u32>>> {
    Delay::new(quota(10, 3)).costing(|request: &Request<u32>| *request.message())
}

#[tokio::test(start_paused = true)]
async fn test_wait_simple() {
    let (limiter, notes) = (limiter(), Notes::new());
    let endpoint = limiter.layer(notes.clone());
    is_too_late(&endpoint.call(within(ms(0), 1)).await.unwrap_err());
    is_refused(&endpoint.call(Request::new(4)).await.unwrap_err(), None);
    endpoint.call(Request::new(2)).await.unwrap();
    assert_eq!(notes.began.elapsed(), ms(0));
    endpoint.call(Request::new(3)).await.unwrap();
    assert_eq!(notes.began.elapsed(), ms(200));
}

#[tokio::test(start_paused = true)]
async fn test_wait_cancel() {
    let (limiter, notes) = (limiter(), Notes::new());
    let endpoint = limiter.layer(notes.clone());
    endpoint.call(Request::new(2)).await.unwrap();
    timeout(ms(100), endpoint.call(Request::new(3))).await.unwrap_err();
    endpoint.call(Request::new(2)).await.unwrap();
    assert_eq!(notes.began.elapsed(), ms(100));
}

#[tokio::test(start_paused = true)]
async fn test_wait_timeout() {
    let (limiter, notes) = (limiter(), Notes::new());
    let endpoint = limiter.layer(notes.clone());
    endpoint.call(within(ms(100), 2)).await.unwrap();
    is_too_late(&endpoint.call(within(ms(100), 3)).await.unwrap_err());
    assert_eq!(notes.began.elapsed(), ms(0));
}
