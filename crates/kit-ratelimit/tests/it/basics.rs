//! What a limit does, in short.

use kit_base::{Endpoint, Kind, Origin, Request};
use kit_ratelimit::{Delay, Keyed, Layer, Limited, RateLimit};

use crate::support::{ByHand, Echo, ms, on_tokios_clock, quota};

#[tokio::test(start_paused = true)]
async fn it_passes_the_burst_and_then_one_for_each_interval() {
    let echo = Echo::default();
    let limited = on_tokios_clock(RateLimit::new(quota(5, 5))).layer(echo.clone());
    for n in 0..5 {
        assert_eq!(limited.call(Request::new(n)).await.unwrap(), n);
    }
    let refusal = limited.call(Request::new(9)).await.unwrap_err();
    assert_eq!((refusal.kind(), refusal.origin()), (Kind::ResourceExhausted, Origin::LocalRefusal));
    assert_eq!((refusal.message(), refusal.reason()), ("rate limit exceeded", Some("RATE_LIMITED")));
    assert_eq!(refusal.retry_after(), Some(ms(200)));
    let told = Limited::of(&refusal).unwrap();
    assert_eq!((told.standing.remaining, told.standing.reset), (0, ms(1000)));
    tokio::time::advance(ms(199)).await;
    assert!(limited.call(Request::new(9)).await.is_err());
    tokio::time::advance(ms(1)).await;
    assert!(limited.call(Request::new(9)).await.is_ok());
    assert_eq!(echo.reached(), 6);
}

#[test]
fn each_key_has_a_bucket() {
    let by_hand = ByHand::over(Keyed::by(quota(1, 2), |key: &u32| Some(*key)));
    assert_eq!((0..4).filter(|_| by_hand.ask(1).is_ok()).count(), 2);
    assert_eq!((0..4).filter(|_| by_hand.ask(2).is_ok()).count(), 2);
    by_hand.advance(ms(1000));
    assert_eq!((0..4).filter(|_| by_hand.ask(1).is_ok()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_delayed_call_waits_its_turn() {
    let began = tokio::time::Instant::now();
    let delay = Delay::new(quota(10, 1)).at_most(ms(250));
    let slow = delay.layer(Echo::default());
    let call = |n| {
        let call = slow.call(Request::new(n));
        async move { (call.await.map_err(|error| error.kind()), began.elapsed()) }
    };
    let (a, b, c, d) = tokio::join!(call(1), call(2), call(3), call(4));
    assert_eq!([a, b, c], [(Ok(1), ms(0)), (Ok(2), ms(100)), (Ok(3), ms(200))]);
    assert_eq!(d, (Err(Kind::ResourceExhausted), ms(0)));
    assert_eq!(delay.waiting(), 0);
}
