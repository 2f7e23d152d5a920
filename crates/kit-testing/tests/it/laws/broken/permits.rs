//! Permits that are lost: with the future, the body, the stream, in a panic, and before the call.

use std::convert::Infallible;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame};
use kit_base::{
    BoxFuture, Cause, End, Endpoint, Error, Gate, Guard, Now, Request, Response, ServerStream, Streaming, Tower,
};
use kit_testing::laws::{Fault, Inner, InnerBody, Law, Laws};
use tower_layer::layer_fn;
use tower_service::Service;

use super::Version::{self, Right};
use super::waiting::{Acquire, Place, Queue};
use super::{accused_of_nothing, caught, told_apart};

const MOST: usize = 2;

pub(super) fn twins() -> Vec<(&'static str, Laws)> {
    vec![
        ("a count around the await", counts_around_the_await(Right)),
        ("a gate that counts", counts_by_cause(None)),
        ("a gate that counts, in a tower", counts_by_cause_in_a_tower(None)),
        ("a count until the end of the body", counts_bodies(Right)),
        ("a count until the end of the stream", counts_streams(Right)),
        ("a place from readiness on", reserves(None)),
    ]
}

#[derive(Debug)]
struct Count(AtomicUsize);

impl Count {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(0)))
    }

    fn enter(&self) -> Result<(), Error> {
        let room = |running| (running < MOST).then_some(running + 1);
        let entered = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, room);
        entered.map(drop).map_err(|_| Error::resource_exhausted("all places are taken"))
    }

    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Leaves once: when it is told to, and when dropped if it is not told before. The broken one does not do the latter.
struct Permit {
    count: Option<Arc<Count>>,
    version: Version,
}

impl Permit {
    fn enter(count: &Arc<Count>, version: Version) -> Result<Self, Error> {
        count.enter()?;
        Ok(Self { count: Some(Arc::clone(count)), version })
    }

    fn leave(&mut self) {
        if let Some(count) = self.count.take() {
            count.leave();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.version == Right {
            self.leave();
        }
    }
}

struct CountsAroundTheAwait<E> {
    inner: E,
    count: Arc<Count>,
    version: Version,
}

impl<Req, E> Endpoint<Req> for CountsAroundTheAwait<E>
where
    Req: Send,
    E: Endpoint<Req, Error: From<Error>>,
{
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, req: Req) -> Result<E::Response, E::Error> {
        let mut permit = Permit::enter(&self.count, self.version)?;
        let outcome = self.inner.call(req).await;
        permit.leave();
        outcome
    }
}

fn counts_around_the_await(version: Version) -> Laws {
    Laws::endpoint(move |_| {
        let count = Count::new();
        layer_fn(move |inner| CountsAroundTheAwait { inner, count: Arc::clone(&count), version })
    })
    .refusing()
    .at_most(MOST)
}

/// The code after the `await` does not run when the caller leaves (joshrotenberg/tower-resilience#387, #406).
#[test]
fn a_permit_is_lost_with_the_future() {
    told_apart(Law::PermitsReturn, counts_around_the_await);
}

/// A gate that forgets calls which end like this.
struct CountsByCause(Arc<Count>, Option<Cause>);

impl<Req, Res, Err> Gate<Req, Res, Err> for CountsByCause {
    type Permit = ();

    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        self.0.enter()
    }

    fn finish(&self, (): (), end: &End<'_>) {
        if self.1 != Some(end.cause) {
            self.0.leave();
        }
    }
}

fn counts_by_cause(forgotten: Option<Cause>) -> Laws {
    Laws::endpoint(move |_| Guard::new(CountsByCause(Count::new(), forgotten))).refusing().at_most(MOST)
}

fn counts_by_cause_in_a_tower(forgotten: Option<Cause>) -> Laws {
    Laws::service(move |_| Tower::new(Guard::new(CountsByCause(Count::new(), forgotten)))).refusing().at_most(MOST)
}

/// Whoever writes `if panicking() { return }` into a `Drop` loses a place with each panic (law 2 of the design).
#[test]
fn a_permit_is_lost_in_a_panic() {
    caught(Law::PermitsReturn, || counts_by_cause(Some(Cause::Panicked)));
    caught(Law::PermitsReturn, || counts_by_cause_in_a_tower(Some(Cause::Panicked)));
    accused_of_nothing(counts_by_cause(None));
    accused_of_nothing(counts_by_cause_in_a_tower(None));
}

/// A gate that handles answers only: joshrotenberg/tower-resilience#387 once more, through kit's own contract.
#[test]
fn a_gate_forgets_who_left() {
    caught(Law::PermitsReturn, || counts_by_cause(Some(Cause::Left)));
    caught(Law::PermitsReturn, || counts_by_cause_in_a_tower(Some(Cause::Left)));
}

/// A body, or none where the call was refused.
struct CountedBody {
    body: Option<InnerBody>,
    permit: Option<Permit>,
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.permit.iter_mut().for_each(Permit::leave);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }
}

#[derive(Clone)]
struct CountsBodies {
    inner: Inner,
    count: Arc<Count>,
    version: Version,
}

impl<B: Send + 'static> Service<http::Request<B>> for CountsBodies {
    type Response = http::Response<CountedBody>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: http::Request<B>) -> Self::Future {
        let (mut inner, count, version) = (self.inner.clone(), Arc::clone(&self.count), self.version);
        Box::pin(async move {
            // Until the head is there, the permit is in good hands.
            let Ok(mut permit) = Permit::enter(&count, Right) else {
                let mut refusal = http::Response::new(CountedBody { body: None, permit: None });
                *refusal.status_mut() = http::StatusCode::TOO_MANY_REQUESTS;
                return Ok(refusal);
            };
            std::future::poll_fn(|cx| Service::<http::Request<B>>::poll_ready(&mut inner, cx)).await?;
            let response = Service::call(&mut inner, req).await?;
            // Of a body without frames nobody asks for any.
            let permit = (!response.body().is_end_stream()).then(|| {
                permit.version = version;
                permit
            });
            Ok(response.map(|body| CountedBody { body: Some(body), permit }))
        })
    }
}

fn counts_bodies(version: Version) -> Laws {
    Laws::http_service::<String, _, _, _>(move |_| {
        let count = Count::new();
        layer_fn(move |inner| CountsBodies { inner, count: Arc::clone(&count), version })
    })
    .refusing()
    .at_most(MOST)
    .holds_bodies()
}

/// A client that hangs up in the middle of a download drops the body, and not the future
/// (joshrotenberg/tower-resilience#387, for bodies).
#[test]
fn a_permit_is_lost_with_the_body() {
    told_apart(Law::PermitsReturn, counts_bodies);
}

struct CountedStream {
    stream: Streaming<u64>,
    permit: Permit,
}

impl Stream for CountedStream {
    type Item = Result<u64, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.stream).poll_next(cx));
        if !matches!(item, Some(Ok(_))) {
            self.permit.leave();
        }
        Poll::Ready(item)
    }
}

struct CountsStreams<E> {
    inner: E,
    count: Arc<Count>,
    version: Version,
}

impl<E> Endpoint<Request<u64, ServerStream>> for CountsStreams<E>
where
    E: Endpoint<Request<u64, ServerStream>, Response = Response<Streaming<u64>>, Error: From<Error>>,
{
    type Response = Response<Streaming<u64>>;
    type Error = E::Error;

    async fn call(&self, req: Request<u64, ServerStream>) -> Result<Self::Response, E::Error> {
        let mut permit = Permit::enter(&self.count, Right)?;
        let response = self.inner.call(req).await?;
        permit.version = self.version;
        Ok(response.map(|stream| Streaming::new(CountedStream { stream, permit })))
    }
}

fn counts_streams(version: Version) -> Laws {
    Laws::stream(move |_| {
        let count = Count::new();
        layer_fn(move |inner| CountsStreams { inner, count: Arc::clone(&count), version })
    })
    .refusing()
    .at_most(MOST)
    .holds_bodies()
}

/// The same with a stream of messages, whose reader has seen enough (joshrotenberg/tower-resilience#387, for streams).
#[test]
fn a_permit_is_lost_with_the_stream() {
    told_apart(Law::PermitsReturn, counts_streams);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    /// A service that has a place, and is not called, keeps it for ever.
    NotReturnedInDrop,
    /// A clone believes that it has the place of its original.
    ClonedWithItsPlace,
}

/// As tower's concurrency limit: the place is taken in `poll_ready`, and goes into the future of the call.
struct Reserves<S> {
    inner: S,
    queue: Arc<Queue>,
    acquire: Option<Acquire>,
    has_place: bool,
    bug: Option<Bug>,
}

impl<S> Reserves<S> {
    fn new(inner: S, queue: &Arc<Queue>, has_place: bool, bug: Option<Bug>) -> Self {
        Self { inner, queue: Arc::clone(queue), acquire: None, has_place, bug }
    }
}

impl<S: Clone> Clone for Reserves<S> {
    fn clone(&self) -> Self {
        let has_place = self.has_place && self.bug == Some(Bug::ClonedWithItsPlace);
        Self::new(self.inner.clone(), &self.queue, has_place, self.bug)
    }
}

impl<S> Drop for Reserves<S> {
    fn drop(&mut self) {
        if self.has_place && self.bug != Some(Bug::NotReturnedInDrop) {
            self.queue.release();
        }
    }
}

impl<S: Service<Request<u64>, Future: Send + 'static>> Service<Request<u64>> for Reserves<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if !self.has_place {
            let acquire = self.acquire.get_or_insert_with(|| self.queue.acquire());
            ready!(Pin::new(acquire).poll(cx));
            self.acquire = None;
            self.has_place = true;
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Request<u64>) -> Self::Future {
        assert!(mem::take(&mut self.has_place), "called without having been ready");
        let place = Place::of(&self.queue);
        let called = self.inner.call(req);
        Box::pin(async move {
            let _place = place;
            called.await
        })
    }
}

fn reserves(bug: Option<Bug>) -> Laws {
    Laws::service(move |_| {
        let queue = Queue::new(MOST);
        layer_fn(move |inner| Reserves::new(inner, &queue, false, bug))
    })
    .waiting()
    .at_most(MOST)
}

/// A caller may find the service ready, and leave without a call (joshrotenberg/tower-resilience#406, before the call).
#[test]
fn a_permit_is_lost_between_readiness_and_call() {
    caught(Law::PermitsReturn, || reserves(Some(Bug::NotReturnedInDrop)));
    accused_of_nothing(reserves(None));
}

/// With `#[derive(Clone)]`, two services believe that they have the same place. tower's own concurrency limit leaves the
/// place out of its clones.
#[test]
fn a_clone_has_the_place_of_its_original() {
    caught(Law::Bound, || reserves(Some(Bug::ClonedWithItsPlace)));
}
