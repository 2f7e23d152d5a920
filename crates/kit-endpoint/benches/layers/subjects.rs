//! The subjects: one piece of work around a call, as a gate, as `async fn` middleware, and as two tower services.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::mem::replace;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use kit_base::{End, Endpoint, Error, Gate, Now, Request, Response, Verdict};
use kit_endpoint::Layer;
use pin_project_lite::pin_project;
use tower::Service;

pub(crate) type Message<const N: usize> = Request<[u8; N]>;
pub(crate) type Answer = Result<Response<u64>, Error>;

/// The work of every layer: a number taken before the call, a count of successes after it. No locked instruction, so
/// that the layer shows and not its work.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    started: AtomicU64,
    succeeded: AtomicU64,
}

impl Tally {
    #[inline]
    fn start(&self) -> u64 {
        let number = self.started.load(Ordering::Relaxed);
        self.started.store(number + 1, Ordering::Relaxed);
        number
    }

    #[inline]
    fn end(&self, number: u64, success: bool) {
        if success {
            self.succeeded.store(number + 1, Ordering::Relaxed);
        }
    }
}

/// The innermost: looks at the request, and answers at its first poll.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf;

impl<const N: usize> Endpoint<Message<N>> for Leaf {
    type Response = Response<u64>;
    type Error = Error;

    async fn call(&self, req: Message<N>) -> Answer {
        answer(req)
    }
}

/// The same, pending at its first poll.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitingLeaf;

impl<const N: usize> Endpoint<Message<N>> for WaitingLeaf {
    type Response = Response<u64>;
    type Error = Error;

    async fn call(&self, req: Message<N>) -> Answer {
        let mut waited = false;
        poll_fn(|_| if replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        answer(req)
    }
}

/// The same as a tower service, of an async function.
pub(crate) async fn leaf<const N: usize>(req: Message<N>) -> Answer {
    answer(req)
}

#[inline]
fn answer<const N: usize>(req: Message<N>) -> Answer {
    Ok(Response::new(u64::from(black_box(req.message())[0])))
}

/// As a gate.
#[derive(Debug, Default)]
pub(crate) struct TallyGate<const REFUSES: bool>(Tally);

impl<const REFUSES: bool, Req, Res, Err> Gate<Req, Res, Err> for TallyGate<REFUSES> {
    const REFUSES: bool = REFUSES;
    type Permit = u64;

    #[inline]
    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<u64, Error> {
        Ok(self.0.start())
    }

    #[inline]
    fn finish(&self, number: u64, end: &End<'_>) {
        self.0.end(number, end.judgement.verdict == Verdict::Success);
    }
}

/// A gate that takes the time.
#[derive(Debug, Default)]
pub(crate) struct TimeGate {
    nanoseconds: AtomicU64,
}

impl<Req, Res, Err> Gate<Req, Res, Err> for TimeGate {
    type Permit = Instant;

    #[inline]
    fn admit(&self, _: &mut Req, now: &Now<'_>) -> Result<Instant, Error> {
        Ok(now.get())
    }

    #[inline]
    fn finish(&self, start: Instant, end: &End<'_>) {
        let nanoseconds = end.now.get().duration_since(start).as_nanos() as u64;
        self.nanoseconds.store(nanoseconds, Ordering::Relaxed);
    }
}

/// As a kit layer in its async form.
#[derive(Debug, Default)]
pub(crate) struct AsyncLayer;

impl<E> Layer<E> for AsyncLayer {
    type Service = Async<E>;

    fn layer(&self, inner: E) -> Async<E> {
        Async { inner, tally: Tally::default() }
    }
}

#[derive(Debug)]
pub(crate) struct Async<E> {
    inner: E,
    tally: Tally,
}

impl<Req: Send, E: Endpoint<Req>> Endpoint<Req> for Async<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, req: Req) -> Result<E::Response, E::Error> {
        let number = self.tally.start();
        let outcome = self.inner.call(req).await;
        self.tally.end(number, outcome.is_ok());
        outcome
    }
}

/// As a tower service with a future written by hand. The future cannot borrow from the service, so it owns a share.
#[derive(Clone, Debug, Default)]
pub(crate) struct FlatLayer;

impl<S> Layer<S> for FlatLayer {
    type Service = Flat<S>;

    fn layer(&self, inner: S) -> Flat<S> {
        Flat { inner, tally: Arc::default() }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Flat<S> {
    inner: S,
    tally: Arc<Tally>,
}

impl<Req, S: Service<Req>> Service<Req> for Flat<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = FlatFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, req: Req) -> Self::Future {
        FlatFuture { number: self.tally.start(), tally: Arc::clone(&self.tally), inner: self.inner.call(req) }
    }
}

pin_project! {
    #[derive(Debug)]
    pub(crate) struct FlatFuture<F> {
        #[pin]
        inner: F,
        tally: Arc<Tally>,
        number: u64,
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> Future for FlatFuture<F> {
    type Output = Result<T, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let outcome = ready!(this.inner.poll(cx));
        this.tally.end(*this.number, outcome.is_ok());
        Poll::Ready(outcome)
    }
}

/// As a tower service that boxes its future, as most are written.
#[derive(Clone, Debug, Default)]
pub(crate) struct BoxedLayer;

impl<S> Layer<S> for BoxedLayer {
    type Service = Boxed<S>;

    fn layer(&self, inner: S) -> Boxed<S> {
        Boxed { inner, tally: Arc::default() }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Boxed<S> {
    inner: S,
    tally: Arc<Tally>,
}

impl<Req, S> Service<Req> for Boxed<S>
where
    S: Service<Req, Response: Send, Error: Send, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let tally = Arc::clone(&self.tally);
        let number = tally.start();
        let inner = self.inner.call(req);
        Box::pin(async move {
            let outcome = inner.await;
            tally.end(number, outcome.is_ok());
            outcome
        })
    }
}
