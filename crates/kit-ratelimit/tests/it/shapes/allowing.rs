//! Limiters that say yes or no.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use kit_base::{Endpoint, Kind, Origin, Request, RetryHint, Tower};
use kit_ratelimit::{Allow, Erroring, Guard, Layer};

use crate::support::{Echo, on_tokios_clock};

/// Go kit's erroring limiter: one passes, and the next does not.
#[tokio::test]
async fn go_kits_rl_1_with_a_closure() {
    let (made, echo) = (AtomicUsize::new(0), Echo::default());
    let limited = Guard::new(Erroring::new(move || made.fetch_add(1, SeqCst) == 0)).layer(echo.clone());
    assert_eq!(limited.call(Request::new(1)).await.unwrap(), 1);
    let refusal = limited.call(Request::new(2)).await.unwrap_err();
    assert_eq!((refusal.kind(), refusal.origin()), (Kind::ResourceExhausted, Origin::LocalRefusal));
    assert_eq!((refusal.message(), refusal.reason()), ("rate limit exceeded", Some("RATE_LIMITED")));
    assert_eq!(refusal.retry_hint(), RetryHint::None);
    assert_eq!(echo.reached(), 1);
}

/// So many, and then what it is told.
struct Few(AtomicUsize, RetryHint);

impl Allow for Few {
    fn allow(&self, _: Instant) -> Result<(), RetryHint> {
        let left = self.0.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| self.1)
    }
}

#[tokio::test]
async fn several_share_one_limiter_through_an_arc() {
    let limiter: Arc<dyn Allow> = Arc::new(Few(AtomicUsize::new(2), RetryHint::Never));
    let one = Guard::new(Erroring::new(Arc::clone(&limiter))).layer(Echo::default());
    let two = Guard::new(Erroring::new(Arc::clone(&limiter))).layer(Echo::default());
    one.call(Request::new(1)).await.unwrap();
    two.call(Request::new(2)).await.unwrap();
    for limited in [&one, &two] {
        assert_eq!(limited.call(Request::new(3)).await.unwrap_err().retry_hint(), RetryHint::Never);
    }
    // So do clones, without one.
    let shared = Guard::new(Erroring::new(Few(AtomicUsize::new(1), RetryHint::None)));
    shared.clone().layer(Echo::default()).call(Request::new(1)).await.unwrap();
    assert!(shared.layer(Echo::default()).call(Request::new(1)).await.is_err());
}

/// The moment that a limiter is given is that of the guard's clock.
#[tokio::test(start_paused = true)]
async fn it_is_given_the_clock_of_the_guard() {
    struct Until(Instant);

    impl Allow for Until {
        fn allow(&self, now: Instant) -> Result<(), RetryHint> {
            if now < self.0 { Err(RetryHint::After(self.0 - now)) } else { Ok(()) }
        }
    }

    let opens = crate::support::now() + Duration::from_secs(3);
    let limited = on_tokios_clock(Erroring::new(Until(opens))).layer(Echo::default());
    tokio::time::advance(Duration::from_secs(1)).await;
    let refusal = limited.call(Request::new(1)).await.unwrap_err();
    assert_eq!(refusal.retry_after(), Some(Duration::from_secs(2)));
    tokio::time::advance(Duration::from_secs(2)).await;
    limited.call(Request::new(1)).await.unwrap();
}

#[tokio::test]
async fn what_is_known_about_another_try_arrives_as_retry_after() {
    let hints = [
        (RetryHint::After(Duration::from_millis(2500)), Some("3")),
        (RetryHint::After(Duration::ZERO), Some("0")),
        (RetryHint::None, None),
        (RetryHint::Never, None),
    ];
    for (hint, retry_after) in hints {
        let gate = Guard::new(Erroring::new(Few(AtomicUsize::new(0), hint)));
        let router = Router::new().route("/", get(|| async { "ok" })).layer(Tower::new(gate).answered());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let answer = reqwest::get(url).await.unwrap();
        assert_eq!(answer.status(), 429);
        let arrived = answer.headers().get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!(arrived, retry_after, "{hint:?}");
    }
}
