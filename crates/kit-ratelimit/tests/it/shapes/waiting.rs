//! Limiters that let calls wait.

use std::future::{Future, pending, ready};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use kit_base::{Context, Deadline, Endpoint, Error, Kind, Origin, Request};
use kit_ratelimit::{Delaying, Layer, Wait};
use tokio::time::{Instant, sleep};

use crate::support::{Echo, ms, now};

fn within(left: Duration) -> Request<u32> {
    Request::from_parts(Context::new().with_deadline(Deadline::after(now(), left)), 7)
}

#[track_caller]
fn is_too_late(error: &Error) {
    assert_eq!((error.kind(), error.origin()), (Kind::DeadlineExceeded, Origin::NotSent));
}

/// Go kit's delaying limiter with a limiter that knows the deadline: it fails at once, with the limiter's own text.
#[tokio::test(start_paused = true)]
async fn go_kits_rl_2_with_a_closure() {
    let limiter = |deadline: Option<Deadline>| {
        let wait = Duration::from_secs(60);
        let late = deadline.is_some_and(|deadline| deadline.left(now()) <= wait);
        async move {
            if late {
                return Err(Error::deadline_exceeded("would exceed context deadline"));
            }
            sleep(wait).await;
            Ok(())
        }
    };
    let (echo, began) = (Echo::default(), Instant::now());
    let delayed = Delaying::new(limiter).layer(echo.clone());
    let error = delayed.call(within(ms(500))).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::DeadlineExceeded, "would exceed context deadline"));
    assert_eq!((began.elapsed(), echo.reached()), (ms(0), 0));
    assert_eq!(delayed.call(Request::new(7)).await.unwrap(), 7);
    assert_eq!(began.elapsed(), Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_never_ends_is_dropped_at_the_deadline() {
    let held = Arc::new(());
    let holds = Arc::clone(&held);
    let limiter = move |_: Option<Deadline>| {
        let holds = Arc::clone(&holds);
        async move {
            let _holds = holds;
            pending().await
        }
    };
    let (echo, began) = (Echo::default(), Instant::now());
    let delayed = Delaying::new(limiter).layer(echo.clone());
    is_too_late(&delayed.call(within(ms(500))).await.unwrap_err());
    assert_eq!((began.elapsed(), echo.reached()), (ms(500), 0));
    assert_eq!(Arc::strong_count(&held), 2, "the wait is gone");
    // Without a deadline it is for the caller to leave.
    let call = tokio::time::timeout(Duration::from_secs(3600), delayed.call(Request::new(7)));
    assert!(call.await.is_err());
    assert_eq!(Arc::strong_count(&held), 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_at_the_deadline_is_too_late_and_a_millisecond_before_it_is_not() {
    for (takes, passes) in [(499, true), (500, false), (501, false)] {
        let limiter = move |_: Option<Deadline>| async move {
            sleep(ms(takes)).await;
            Ok(())
        };
        let echo = Echo::default();
        let outcome = Delaying::new(limiter).layer(echo.clone()).call(within(ms(500))).await;
        assert_eq!((outcome.is_ok(), echo.reached()), (passes, usize::from(passes)), "{takes}");
        outcome.err().iter().for_each(is_too_late);
    }
    // A deadline that has passed is not waited with at all.
    let limiter = |_: Option<Deadline>| -> std::future::Ready<Result<(), Error>> { panic!("it is not asked") };
    is_too_late(&Delaying::new(limiter).layer(Echo::default()).call(within(ms(0))).await.unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_runs_after_the_deadline_does_not_go_in() {
    let (echo, limiter) = (Echo::default(), |_: Option<Deadline>| async {
        sleep(ms(100)).await;
        Ok(())
    });
    let delayed = Delaying::new(limiter).layer(echo.clone());
    let mut call = Box::pin(delayed.call(within(ms(150))));
    let mut poll = || call.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(poll().is_pending());
    tokio::time::advance(ms(150)).await;
    let Poll::Ready(outcome) = poll() else { panic!("it is over") };
    is_too_late(&outcome.unwrap_err());
    assert_eq!(echo.reached(), 0);
}

#[tokio::test]
async fn an_error_of_its_own_passes_through_as_it_is() {
    let limiter = |_: Option<Deadline>| ready(Err(Error::unauthenticated("who are you?").with_reason("NOBODY")));
    let echo = Echo::default();
    for request in [Request::new(7), within(Duration::from_secs(5))] {
        let mut error = Delaying::new(limiter).layer(echo.clone()).call(request).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.message(), error.reason()),
            (Kind::Unauthenticated, "who are you?", Some("NOBODY"))
        );
        assert!(error.take_unsent::<Request<u32>>().is_none());
    }
    assert_eq!(echo.reached(), 0);
    // One that says that it is a refusal of this process gives the request back, so that a balancer takes it elsewhere.
    let full = |_: Option<Deadline>| ready(Err(Error::resource_exhausted("full").with_origin(Origin::LocalRefusal)));
    let mut error = Delaying::new(full).layer(echo).call(Request::new(7u32)).await.unwrap_err();
    assert_eq!(error.origin(), Origin::LocalRefusal);
    assert_eq!(error.take_unsent::<Request<u32>>().map(Request::into_message), Some(7));
}

/// As often as it is asked.
struct Every(tokio::sync::Mutex<tokio::time::Interval>);

impl Wait for Every {
    async fn wait(&self, _: Option<Deadline>) -> Result<(), Error> {
        self.0.lock().await.tick().await;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn several_share_one_limiter_through_an_arc_and_clones_do_without_one() {
    let every = || Every(tokio::sync::Mutex::new(tokio::time::interval(ms(100))));
    let (shared, began) = (Arc::new(every()), Instant::now());
    let one = Delaying::new(Arc::clone(&shared)).layer(Echo::default());
    let two = Delaying::new(shared).layer(Echo::default());
    let outcomes = tokio::join!(one.call(Request::new(1)), two.call(Request::new(2)), one.call(Request::new(3)));
    assert!(outcomes.0.is_ok() && outcomes.1.is_ok() && outcomes.2.is_ok());
    assert_eq!(began.elapsed(), ms(200));
    let (layer, began) = (Delaying::new(every()), Instant::now());
    let (one, two) = (layer.clone().layer(Echo::default()), layer.layer(Echo::default()).clone());
    let outcomes = tokio::join!(one.call(Request::new(1)), two.call(Request::new(2)));
    assert!(outcomes.0.is_ok() && outcomes.1.is_ok());
    assert_eq!(began.elapsed(), ms(100));
}
