//! The deadline layer, in paused time.

use std::sync::Arc;
use std::time::Duration;

use kit_endpoint::base::{Deadline, Origin};
use kit_endpoint::{Context, DeadlineLayer, Endpoint, EndpointExt, Error, Kind, Request, Response, endpoint_fn};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Sleeps as long as it is told, and says how much time its context gave it.
fn sleeper(
    settings: DeadlineLayer,
) -> impl Endpoint<Request<Duration>, Response = Response<Option<Duration>>, Error = Error> {
    endpoint_fn(async |req: Request<Duration>| {
        let deadline = req.context().deadline();
        let left = deadline.map(|deadline| deadline.left(Instant::now().into_std()));
        tokio::time::sleep(req.into_message()).await;
        Ok(Response::new(left))
    })
    .layer(settings)
}

fn within(time: Duration) -> Context {
    Context::new().with_deadline(Deadline::after(Instant::now().into_std(), time))
}

async fn left(settings: DeadlineLayer, cx: Context) -> Option<Duration> {
    sleeper(settings).call(Request::from_parts(cx, Duration::ZERO)).await.unwrap().into_message()
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_is_taken_a_default_fills_in_and_a_cap_cuts() {
    let none = DeadlineLayer::new();
    let default = none.with_default(5 * SECOND).unwrap();
    let cap = none.with_cap(3 * SECOND).unwrap();
    let both = default.with_cap(3 * SECOND).unwrap();
    assert_eq!(left(none, Context::new()).await, None);
    assert_eq!(left(none, within(SECOND)).await, Some(SECOND));
    assert_eq!(left(default, Context::new()).await, Some(5 * SECOND));
    assert_eq!(left(default, within(9 * SECOND)).await, Some(9 * SECOND));
    assert_eq!(left(cap, Context::new()).await, Some(3 * SECOND));
    assert_eq!(left(cap, within(9 * SECOND)).await, Some(3 * SECOND));
    assert_eq!(left(cap, within(SECOND)).await, Some(SECOND));
    assert_eq!(left(both, Context::new()).await, Some(3 * SECOND));
    assert_eq!(left(both, within(9 * SECOND)).await, Some(3 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_ends_at_its_deadline() {
    let start = Instant::now();
    let request = Request::from_parts(within(SECOND), 60 * SECOND);
    let error = sleeper(DeadlineLayer::new()).call(request).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::DeadlineExceeded, Origin::Remote));
    assert_eq!(error.message(), "no answer within 1s");
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_call_within_its_deadline_is_answered_unchanged() {
    let settings = DeadlineLayer::new().with_default(2 * SECOND).unwrap();
    let answer = sleeper(settings).call(Request::new(SECOND)).await.unwrap();
    assert_eq!(answer.into_message(), Some(2 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn the_inner_future_is_dropped_when_the_deadline_passes() {
    let held = Arc::new(());
    let inner = Arc::clone(&held);
    let endpoint = endpoint_fn(move |_: Request<()>| {
        let inner = Arc::clone(&inner);
        async move {
            std::future::pending::<()>().await;
            drop(inner);
            Ok::<_, Error>(Response::new(()))
        }
    })
    .layer(DeadlineLayer::new().with_cap(SECOND).unwrap());
    let mut call = std::pin::pin!(endpoint.call(Request::new(())));
    assert!(tokio::time::timeout(SECOND / 2, call.as_mut()).await.is_err());
    assert_eq!(Arc::strong_count(&held), 3);
    call.as_mut().await.unwrap_err();
    // The call's future is still here; what ran in it is not.
    assert_eq!(Arc::strong_count(&held), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_deadline_has_passed_never_reaches_the_endpoint() {
    let endpoint = endpoint_fn(async |_: Request<()>| -> Result<Response<()>, Error> { panic!("called") })
        .layer(DeadlineLayer::new());
    let error = endpoint.call(Request::from_parts(within(Duration::ZERO), ())).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::DeadlineExceeded, Origin::NotSent));
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_the_moment_of_the_deadline_counts() {
    let settings = DeadlineLayer::new().with_default(SECOND).unwrap();
    assert!(sleeper(settings).call(Request::new(SECOND)).await.is_ok());
}

#[test]
fn an_answer_at_once_needs_no_timer_and_no_runtime() {
    let settings = DeadlineLayer::new().with_default(SECOND).unwrap();
    let endpoint = kit_endpoint::nop::<(), u8>().layer(settings);
    let mut call = std::pin::pin!(endpoint.call(Request::new(())));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(call.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn a_limit_of_zero_is_an_error_that_shows_it() {
    let error = DeadlineLayer::new().with_default(Duration::ZERO).unwrap_err();
    assert_eq!(error.to_string(), "the default deadline must be greater than zero, got 0ns");
    let error = DeadlineLayer::new().with_cap(Duration::ZERO).unwrap_err();
    assert_eq!(error.to_string(), "the cap on deadlines must be greater than zero, got 0ns");
}
