//! Any limiter that lets calls wait.

use std::fmt;
use std::future::Future;

use kit_base::{Deadline, Endpoint, Error, Origin, RequestParts};
use tokio::time::timeout_at;
use tower_layer::Layer;

use crate::line::now;

/// A limiter that lets calls wait. A closure `Fn(Option<Deadline>) -> impl Future<Output = Result<(), Error>>` is one.
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

impl<F, W> Wait for F
where
    F: Fn(Option<Deadline>) -> W + Send + Sync + 'static,
    W: Future<Output = Result<(), Error>> + Send,
{
    fn wait(&self, deadline: Option<Deadline>) -> impl Future<Output = Result<(), Error>> + Send {
        self(deadline)
    }
}

/// A layer whose calls wait for any limiter.
#[doc(alias = "NewDelayingLimiter")]
#[derive(Debug)]
pub struct Delaying<W>(std::sync::Arc<W>);

impl<W: Wait> Delaying<W> {
    /// A layer whose calls wait for this limiter.
    pub fn new(limiter: W) -> Self {
        Self(std::sync::Arc::new(limiter))
    }

    /// The limiter.
    pub fn limiter(&self) -> &W {
        &self.0
    }
}

impl<W> Clone for Delaying<W> {
    fn clone(&self) -> Self {
        Self(std::sync::Arc::clone(&self.0))
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

    async fn call(&self, req: Req) -> Result<E::Response, E::Error> {
        let deadline = req.deadline(now());
        let wait = self.limiter.0.wait(deadline);
        let waited = match deadline {
            Some(deadline) => Box::pin(timeout_at(deadline.instant().into(), wait)).await.unwrap_or_else(|_| {
                let late = "the deadline has passed before the rate limit let the call through";
                Err(Error::deadline_exceeded(late).with_origin(Origin::NotSent))
            }),
            None => Box::pin(wait).await,
        };
        waited?;
        self.inner.call(req).await
    }
}
