//! Calls that wait their turn.

mod bounds;
mod changes;
mod deadlines;
mod laws;
mod leaving;
mod model;
mod paces;
mod places;
mod stuck;
mod turns;
mod xtime;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use kit_base::{Deadline, Endpoint, Error, Kind, Origin, Request};
use tokio::time::Instant;

use crate::support::ms;

/// Notes who comes when.
#[derive(Clone, Debug)]
struct Notes {
    began: Instant,
    seen: Arc<Mutex<Vec<(u32, Duration)>>>,
}

impl Notes {
    fn new() -> Self {
        Self { began: Instant::now(), seen: Arc::default() }
    }

    fn seen(&self) -> Vec<(u32, Duration)> {
        self.seen.lock().unwrap().clone()
    }
}

impl Endpoint<Request<u32>> for Notes {
    type Response = u32;
    type Error = Error;

    async fn call(&self, request: Request<u32>) -> Result<u32, Error> {
        self.seen.lock().unwrap().push((*request.message(), self.began.elapsed()));
        Ok(request.into_message())
    }
}

/// A request with a deadline so long after now.
fn within(left: Duration, number: u32) -> Request<u32> {
    let mut request = Request::new(number);
    let deadline = Deadline::after(crate::support::now(), left);
    *request.context_mut() = std::mem::take(request.context_mut()).with_deadline(deadline);
    request
}

/// A call that is polled by hand, and by those who care only when it was woken.
struct Call<'a> {
    future: Pin<Box<dyn Future<Output = Result<u32, Error>> + 'a>>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

impl<'a> Call<'a> {
    fn new(endpoint: &'a impl Endpoint<Request<u32>, Response = u32, Error = Error>, request: Request<u32>) -> Self {
        Self { future: Box::pin(endpoint.call(request)), woken: Arc::new(Woken(AtomicBool::new(true))) }
    }

    /// One that has been polled once.
    fn begun(endpoint: &'a impl Endpoint<Request<u32>, Response = u32, Error = Error>, number: u32) -> Self {
        let mut call = Self::new(endpoint, Request::new(number));
        assert!(call.poll().is_pending(), "{number} waits");
        call
    }

    fn poll(&mut self) -> Poll<Result<u32, Error>> {
        self.woken.0.store(false, SeqCst);
        self.future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&self.woken))))
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(SeqCst)
    }
}

/// Lets time pass, a millisecond at a time, and polls those that are woken until nobody is, the last ones first.
async fn pass(time: Duration, calls: &mut Vec<Call<'_>>) {
    for _ in 0..time.as_millis() {
        tokio::time::advance(ms(1)).await;
        poll_woken(calls);
    }
}

fn poll_woken(calls: &mut Vec<Call<'_>>) {
    while let Some(last) = calls.iter().rposition(Call::is_woken) {
        if calls[last].poll().is_ready() {
            calls.remove(last);
        }
    }
}

#[track_caller]
fn is_too_late(error: &Error) {
    assert_eq!((error.kind(), error.origin()), (Kind::DeadlineExceeded, Origin::NotSent), "{error:?}");
}

#[track_caller]
fn is_refused(error: &Error, retry_after: Option<Duration>) {
    assert_eq!((error.kind(), error.origin()), (Kind::ResourceExhausted, Origin::LocalRefusal), "{error:?}");
    assert_eq!((error.reason(), error.retry_after()), (Some("RATE_LIMITED"), retry_after));
}
