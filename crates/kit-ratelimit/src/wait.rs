//! Any limiter that lets calls wait.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use kit_base::{Deadline, Endpoint, Error, Origin, RequestParts};
use tokio::time::timeout_at;
use tower_layer::Layer;

use crate::line::now;
use crate::passage::{Passage, Turn};

/// A limiter that lets calls wait. A closure `Fn(Option<Deadline>) -> impl Future<Output = Result<(), Error>>` is one; so is
/// governor's direct `RateLimiter`, with the feature `governor`; and an `Arc` of one, for several that share it.
///
/// ```
/// use kit_base::{Deadline, Error, Kind};
/// use kit_ratelimit::Wait;
/// use tokio::sync::Semaphore;
///
/// /// Calls wait until somebody opens the door.
/// struct Door(Semaphore);
///
/// impl Wait for Door {
///     async fn wait(&self, _: Option<Deadline>) -> Result<(), Error> {
///         self.0.acquire().await.map(drop).map_err(|_| Error::unavailable("the door is shut for good"))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let door = Door(Semaphore::new(1));
/// assert!(door.wait(None).await.is_ok());
/// door.0.close();
/// assert_eq!(door.wait(None).await.unwrap_err().kind(), Kind::Unavailable);
/// # }
/// ```
#[doc(alias = "Waiter")]
#[doc(alias = "WaiterFunc")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no limiter that lets calls wait",
    label = "not a limiter",
    note = "a closure `async |deadline: Option<Deadline>| -> Result<(), kit_base::Error>` is one; `governor::RateLimiter` is one with the feature `governor` of kit-ratelimit; else implement `kit_ratelimit::Wait`"
)]
pub trait Wait: Send + Sync + 'static {
    /// Waits until a call may be made. Dropped, it was not waited for. By the deadline it is dropped in any case; who knows
    /// before that it will take longer should fail at once, with `DeadlineExceeded`.
    ///
    /// # Errors
    /// The call may not be made.
    fn wait(&self, deadline: Option<Deadline>) -> impl Future<Output = Result<(), Error>> + Send;
}

/// For several that share one limiter.
impl<W: Wait> Wait for Arc<W> {
    fn wait(&self, deadline: Option<Deadline>) -> impl Future<Output = Result<(), Error>> + Send {
        (**self).wait(deadline)
    }
}

impl<F, W> Wait for F
where
    F: Fn(Option<Deadline>) -> W + Send + Sync + 'static,
    W: Future<Output = Result<(), Error>> + Send,
{
    fn wait(&self, deadline: Option<Deadline>) -> impl Future<Output = Result<(), Error>> + Send {
        self(deadline)
    }
}

/// A layer whose calls wait for any limiter. What the limiter fails with is what the call fails with. At the deadline the call
/// stops to wait, with `DeadlineExceeded`, and the inner endpoint is not called.
///
/// For a line that is fair and bounded take [`Delay`](crate::Delay).
///
/// ```
/// use std::sync::Arc;
/// use kit_base::{Deadline, Endpoint, Error, Request};
/// use kit_ratelimit::{Delaying, Layer};
/// use tokio::time::{Duration, Instant, interval};
///
/// # struct Echo;
/// # impl Endpoint<Request<u32>> for Echo {
/// #     type Response = u32;
/// #     type Error = Error;
/// #     async fn call(&self, request: Request<u32>) -> Result<u32, Error> { Ok(request.into_message()) }
/// # }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// // One with each tick of a clock.
/// let clock = Arc::new(tokio::sync::Mutex::new(interval(Duration::from_millis(100))));
/// let ticks = move |_: Option<Deadline>| {
///     let clock = Arc::clone(&clock);
///     async move {
///         clock.lock().await.tick().await;
///         Ok(())
///     }
/// };
/// let delayed = Delaying::new(ticks).layer(Echo);
/// let began = Instant::now();
/// for n in 0..3 {
///     assert_eq!(delayed.call(Request::new(n)).await.unwrap(), n);
/// }
/// assert_eq!(began.elapsed(), Duration::from_millis(200));
/// # }
/// ```
#[doc(alias = "NewDelayingLimiter")]
#[derive(Debug)]
pub struct Delaying<W>(Arc<W>);

impl<W: Wait> Delaying<W> {
    /// A layer whose calls wait for this limiter.
    pub fn new(limiter: W) -> Self {
        Self(Arc::new(limiter))
    }

    /// The limiter.
    pub fn limiter(&self) -> &W {
        &self.0
    }
}

impl<W> Clone for Delaying<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E, W> Layer<E> for Delaying<W> {
    type Service = DelayedBy<E, W>;

    fn layer(&self, inner: E) -> DelayedBy<E, W> {
        DelayedBy { inner, limiter: self.clone() }
    }
}

/// An endpoint whose calls wait for a limiter; see [`Delaying`].
pub struct DelayedBy<E, W> {
    inner: E,
    limiter: Delaying<W>,
}

impl<E: Clone, W> Clone for DelayedBy<E, W> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), limiter: self.limiter.clone() }
    }
}

impl<E, W> fmt::Debug for DelayedBy<E, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DelayedBy").finish_non_exhaustive()
    }
}

impl<Req, E, W> Endpoint<Req> for DelayedBy<E, W>
where
    Req: RequestParts + Send + 'static,
    E: Endpoint<Req, Error: From<Error>>,
    W: Wait,
{
    type Response = E::Response;
    type Error = E::Error;

    fn call(&self, req: Req) -> impl Future<Output = Result<E::Response, E::Error>> + Send {
        Passage::new(req, |req: &Req| self.limiter.ask(req), |req| self.inner.call(req))
    }
}

impl<W: Wait> Delaying<W> {
    fn ask(&self, req: &impl RequestParts) -> Result<Option<Turn<'_>>, Error> {
        let now = now();
        let deadline = req.deadline(now);
        if deadline.is_some_and(|deadline| deadline.has_passed(now)) {
            return Err(late());
        }
        Ok(Some(Box::pin(self.turn(deadline))))
    }

    async fn turn(&self, deadline: Option<Deadline>) -> Result<(), Error> {
        let wait = self.0.wait(deadline);
        let Some(deadline) = deadline else { return wait.await };
        match timeout_at(deadline.instant().into(), wait).await {
            // It may have come at the deadline itself, or this task may have got to run too late.
            Ok(Ok(())) if deadline.has_passed(now()) => Err(late()),
            waited => waited.unwrap_or_else(|_| Err(late())),
        }
    }
}

#[cold]
fn late() -> Error {
    Error::deadline_exceeded("the deadline has passed before it was the call's turn").with_origin(Origin::NotSent)
}
