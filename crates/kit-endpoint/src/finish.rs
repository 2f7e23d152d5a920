//! A hook that sees the end of each call.

use std::fmt;
use std::time::{Duration, Instant};

use kit_base::{Cause, End, Error, Gate, Judgement, Now, Operation, RequestParts};

/// A gate that calls `hook` exactly once for each call: when its outcome is known, or when its caller leaves and the
/// future, body or stream is dropped.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Mutex;
/// use kit_endpoint::base::Verdict;
/// use kit_endpoint::{Endpoint, EndpointExt, Request, finish_hook, nop};
///
/// static SEEN: Mutex<Vec<Verdict>> = Mutex::new(Vec::new());
///
/// let endpoint = nop::<u8, ()>().guard(finish_hook(|call| SEEN.lock().unwrap().push(call.judgement.verdict)));
/// endpoint.call(Request::new(1)).await.unwrap();
/// drop(endpoint.call(Request::new(2)));
/// assert_eq!(*SEEN.lock().unwrap(), [Verdict::Success, Verdict::Caller]);
/// # });
/// ```
///
/// It refuses nothing, and must not block or panic. Its state is what the closure captures, shared by all endpoints
/// that the same [`Guard`](kit_base::Guard) is put over. The time is read from the guard's clock.
#[must_use]
pub const fn finish_hook<F>(hook: F) -> FinishHook<F>
where
    F: Fn(&Finished<'_>) + Send + Sync + 'static,
{
    FinishHook { hook }
}

/// A gate that sees the end of each call; see [`finish_hook`].
#[derive(Clone, Copy)]
pub struct FinishHook<F> {
    hook: F,
}

impl<F> fmt::Debug for FinishHook<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinishHook").finish_non_exhaustive()
    }
}

/// A call that is over.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Finished<'a> {
    /// What was called.
    pub operation: &'a Operation,
    /// The verdict on the outcome, and what led to it.
    pub judgement: &'a Judgement,
    /// Whether there was an outcome, or the caller left, or a panic came through.
    pub cause: Cause,
    /// From the admission of the call to its end; to the end of the body or stream where the answer streams.
    pub duration: Duration,
}

/// What is remembered of a call that runs.
#[derive(Debug)]
pub struct Started {
    operation: Operation,
    at: Instant,
}

impl<F, Req, Res, Err> Gate<Req, Res, Err> for FinishHook<F>
where
    F: Fn(&Finished<'_>) + Send + Sync + 'static,
    Req: RequestParts,
{
    const REFUSES: bool = false;
    type Permit = Started;

    fn admit(&self, request: &mut Req, now: &Now<'_>) -> Result<Started, Error> {
        Ok(Started { operation: request.operation().clone(), at: now.get() })
    }

    fn finish(&self, started: Started, end: &End<'_>) {
        (self.hook)(&Finished {
            operation: &started.operation,
            judgement: end.judgement,
            cause: end.cause,
            duration: end.now.get().saturating_duration_since(started.at),
        });
    }
}
