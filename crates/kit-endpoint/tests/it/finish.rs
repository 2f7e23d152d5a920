//! The finish hook: exactly once for each call, however it ends.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use kit_endpoint::base::{Cause, Guard, Standard, Verdict};
use kit_endpoint::{Endpoint, EndpointExt, Error, Kind, Operation, Request, Response, endpoint_fn, finish_hook};

#[derive(Debug, PartialEq)]
struct Seen {
    operation: String,
    verdict: Verdict,
    kind: Option<Kind>,
    cause: Cause,
    duration: Duration,
}

type Log = Arc<Mutex<Vec<Seen>>>;

/// An endpoint that waits ten times for a second, or fails, or panics; with a hook on tokio's clock.
fn endpoint() -> (impl Endpoint<Request<&'static str>, Response = Response<()>, Error = Error>, Log) {
    let log = Log::default();
    let seen = Arc::clone(&log);
    let hook = finish_hook(move |call| {
        seen.lock().unwrap().push(Seen {
            operation: call.operation.to_string(),
            verdict: call.judgement.verdict,
            kind: call.judgement.kind,
            cause: call.cause,
            duration: call.duration,
        });
    });
    let clock = || tokio::time::Instant::now().into_std();
    let endpoint = endpoint_fn(async |req: Request<&'static str>| match req.into_message() {
        "fail" => Err(Error::unavailable("down")),
        "panic" => panic!("on purpose"),
        _ => {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok(Response::new(()))
        }
    })
    .layer(Guard::with(hook, Standard, clock))
    .named(Operation::new("test", "wait"));
    (endpoint, log)
}

fn seen(verdict: Verdict, kind: Option<Kind>, cause: Cause, seconds: u64) -> Seen {
    Seen { operation: "test/wait".into(), verdict, kind, cause, duration: Duration::from_secs(seconds) }
}

#[tokio::test(start_paused = true)]
async fn the_hook_sees_operation_verdict_and_duration_of_a_success_and_of_a_failure() {
    let (endpoint, log) = endpoint();
    endpoint.call(Request::new("wait")).await.unwrap();
    endpoint.call(Request::new("fail")).await.unwrap_err();
    assert_eq!(
        *log.lock().unwrap(),
        [
            seen(Verdict::Success, None, Cause::Answered, 10),
            seen(Verdict::Transient, Some(Kind::Unavailable), Cause::Answered, 0),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_hook_runs_exactly_once_when_the_call_is_dropped_at_any_await() {
    for awaits in 0..=9 {
        let (endpoint, log) = endpoint();
        let call = endpoint.call(Request::new("wait"));
        assert!(tokio::time::timeout(Duration::from_secs(awaits) + Duration::from_millis(1), call).await.is_err());
        let log = std::mem::take(&mut *log.lock().unwrap());
        let [left] = log.as_slice() else { panic!("{log:?}") };
        assert_eq!((left.verdict, left.kind, left.cause), (Verdict::Caller, Some(Kind::Cancelled), Cause::Left));
        assert_eq!(left.duration.as_secs(), awaits);
    }
}

#[tokio::test]
async fn the_hook_runs_once_for_a_call_that_is_never_polled() {
    let (endpoint, log) = endpoint();
    drop(endpoint.call(Request::new("wait")));
    assert_eq!(log.lock().unwrap()[0].cause, Cause::Left);
    assert_eq!(log.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_hook_runs_once_when_a_panic_comes_through() {
    let (endpoint, log) = endpoint();
    let broken = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let mut call = pin!(endpoint.call(Request::new("panic")));
        let _: Poll<_> = call.as_mut().poll(&mut TaskContext::from_waker(Waker::noop()));
    }));
    assert!(broken.is_err());
    assert_eq!(*log.lock().unwrap(), [seen(Verdict::Fault, Some(Kind::Internal), Cause::Panicked, 0)]);
}
