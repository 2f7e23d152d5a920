//! Open, half-open, closed.

use std::time::Duration;

use kit_base::{Kind, Origin};
use kit_breaker::{Settings, State, Window};

use crate::support::{fail, guarding, now, succeed};

#[tokio::test(start_paused = true)]
async fn six_failures_in_a_row_open_it_for_a_minute_and_one_success_closes_it() {
    let (guard, endpoint) = guarding(Settings::gobreaker());
    for _ in 0..5 {
        assert_eq!(fail(&endpoint).await.unwrap_err().message(), "as told");
    }
    succeed(&endpoint).await.unwrap();
    for _ in 0..6 {
        assert_eq!(fail(&endpoint).await.unwrap_err().message(), "as told");
    }
    assert_eq!(guard.gate().state_at(now()), State::Open);

    tokio::time::advance(Duration::from_secs(59)).await;
    let refusal = succeed(&endpoint).await.unwrap_err();
    assert_eq!((refusal.kind(), refusal.origin()), (Kind::Unavailable, Origin::LocalRefusal));
    assert_eq!(refusal.retry_after(), Some(Duration::from_secs(1)));

    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(guard.gate().state_at(now()), State::HalfOpen);
    succeed(&endpoint).await.unwrap();
    assert_eq!(guard.gate().state_at(now()), State::Closed);
    assert_eq!(guard.gate().snapshot_at(now()).refused, 1);
}

#[tokio::test(start_paused = true)]
async fn half_of_the_last_ten_calls_failed_opens_it() {
    for window in [Window::Calls(10), Window::Time(Duration::from_secs(10)), Window::Whole] {
        let (guard, endpoint) = guarding(Settings::new().failure_rate(0.5).window(window).min_calls(10));
        for _ in 0..4 {
            succeed(&endpoint).await.unwrap();
            let _ = fail(&endpoint).await;
        }
        succeed(&endpoint).await.unwrap();
        assert_eq!(guard.gate().state_at(now()), State::Closed, "{window:?}");
        let _ = fail(&endpoint).await;
        assert_eq!(guard.gate().state_at(now()), State::Open, "{window:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_needs_twenty_calls_or_all_of_a_window_of_fewer_unless_told_otherwise() {
    let ten_seconds = Duration::from_secs(10);
    for (window, needed) in [
        (None, 20),
        (Some(Window::Time(ten_seconds)), 20),
        (Some(Window::Whole), 20),
        (Some(Window::Calls(100)), 20),
        (Some(Window::Calls(7)), 7),
    ] {
        let settings = Settings::new().failure_rate(1.0);
        let settings = if let Some(window) = window { settings.window(window) } else { settings };
        let (guard, endpoint) = guarding(settings);
        for failures in 0..needed {
            assert_eq!(guard.gate().state_at(now()), State::Closed, "{window:?} after {failures}");
            let _ = fail(&endpoint).await;
        }
        assert_eq!(guard.gate().state_at(now()), State::Open, "{window:?}");
    }
}
