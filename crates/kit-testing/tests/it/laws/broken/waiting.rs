//! Queues that admit too many, forget somebody who waits, or keep somebody past the deadline.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use kit_base::{Endpoint, Error, Request};
use kit_testing::laws::{Law, Laws};
use tokio::sync::oneshot;
use tower_layer::layer_fn;

use super::Version::{self, Right};
use super::{accused_of_nothing, caught, told_apart};

const MOST: usize = 2;

pub(super) fn twins() -> Vec<(&'static str, Laws)> {
    vec![("a queue", queues(None)), ("a queue that hands places over", hands_over(Right))]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    /// Who was woken takes a place without looking whether it is still there.
    DoesNotLookAgain,
    /// Who was woken, and leaves, does not wake the next.
    SwallowsTheWakeUp,
    /// There is room for one waker, of the last who asked.
    RemembersOneWaker,
    /// Who was woken in vain does not stand in the queue again.
    StandsInTheQueueOnce,
    /// The deadline of the call is not looked at.
    KeepsNoDeadline,
}

/// So many places, and who waits for one. Who comes when a place is free takes it, and passes those who were woken.
pub(super) struct Queue {
    state: Mutex<State>,
    bug: Option<Bug>,
}

struct State {
    free: usize,
    waiters: VecDeque<(u64, Waker)>,
    next: u64,
}

impl Queue {
    pub(super) fn new(places: usize) -> Arc<Self> {
        Self::with(places, None)
    }

    fn with(places: usize, bug: Option<Bug>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { free: places, waiters: VecDeque::new(), next: 0 }), bug })
    }

    pub(super) fn acquire(self: &Arc<Self>) -> Acquire {
        Acquire { queue: Arc::clone(self), waits_as: None }
    }

    pub(super) fn release(&self) {
        self.state.lock().unwrap().free += 1;
        self.wake_one();
    }

    fn wake_one(&self) {
        let waiter = self.state.lock().unwrap().waiters.pop_front();
        if let Some((_, waker)) = waiter {
            waker.wake();
        }
    }
}

/// Waits for a place.
pub(super) struct Acquire {
    queue: Arc<Queue>,
    waits_as: Option<u64>,
}

impl Future for Acquire {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { queue, waits_as } = &mut *self;
        let mut state = queue.state.lock().unwrap();
        let stands_at = state.waiters.iter().position(|(key, _)| Some(*key) == *waits_as);
        let was_woken = waits_as.is_some() && stands_at.is_none();
        if was_woken && queue.bug == Some(Bug::DoesNotLookAgain) {
            state.free = state.free.max(1);
        }
        if state.free > 0 {
            state.free -= 1;
            stands_at.map(|at| state.waiters.remove(at));
            *waits_as = None;
            return Poll::Ready(());
        }
        match stands_at {
            Some(at) => state.waiters[at].1.clone_from(cx.waker()),
            None if was_woken && queue.bug == Some(Bug::StandsInTheQueueOnce) => {}
            None => {
                if queue.bug == Some(Bug::RemembersOneWaker) {
                    state.waiters.clear();
                }
                let key = state.next;
                state.next += 1;
                state.waiters.push_back((key, cx.waker().clone()));
                *waits_as = Some(key);
            }
        }
        Poll::Pending
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Some(waited_as) = self.waits_as else { return };
        let mut state = self.queue.state.lock().unwrap();
        let stands_at = state.waiters.iter().position(|(key, _)| *key == waited_as);
        stands_at.map(|at| state.waiters.remove(at));
        let next = stands_at.is_none() && state.free > 0;
        drop(state);
        if next && self.queue.bug != Some(Bug::SwallowsTheWakeUp) {
            self.queue.wake_one();
        }
    }
}

/// A place that was acquired. It is released on drop.
pub(super) struct Place(Arc<Queue>);

impl Place {
    pub(super) fn of(queue: &Arc<Queue>) -> Self {
        Self(Arc::clone(queue))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.release();
    }
}

struct Queues<E> {
    inner: E,
    queue: Arc<Queue>,
}

impl<E: Endpoint<Request<u64>, Error: From<Error>>> Endpoint<Request<u64>> for Queues<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, req: Request<u64>) -> Result<E::Response, E::Error> {
        let acquire = self.queue.acquire();
        match req.context().deadline().filter(|_| self.queue.bug != Some(Bug::KeepsNoDeadline)) {
            Some(deadline) => tokio::time::timeout_at(deadline.instant().into(), acquire)
                .await
                .map_err(|_| Error::deadline_exceeded("no place became free in time"))?,
            None => acquire.await,
        }
        let _place = Place::of(&self.queue);
        self.inner.call(req).await
    }
}

fn queues(bug: Option<Bug>) -> Laws {
    Laws::endpoint(move |_| {
        let queue = Queue::with(MOST, bug);
        layer_fn(move |inner| Queues { inner, queue: Arc::clone(&queue) })
    })
    .waiting()
    .at_most(MOST)
    .keeps_deadlines()
}

#[test]
fn a_queue_without_these_bugs() {
    accused_of_nothing(queues(None));
}

/// Between the wake-up and the poll somebody else may have come (joshrotenberg/tower-resilience#394, for places).
#[test]
fn who_was_woken_does_not_look_again() {
    caught(Law::Bound, || queues(Some(Bug::DoesNotLookAgain)));
}

/// A wake-up given to a waiter that has just left wakes nobody: a place is free, and nobody knows.
#[test]
fn who_leaves_swallows_the_wake_up_of_the_next() {
    caught(Law::NoHang, || queues(Some(Bug::SwallowsTheWakeUp)));
}

/// A lost wake-up: of all who wait, the last one is remembered.
#[test]
fn only_the_last_waker_is_remembered() {
    caught(Law::NoHang, || queues(Some(Bug::RemembersOneWaker)));
}

/// A lost wake-up: the waker is registered once, and the place was gone when it rang.
#[test]
fn the_waker_is_registered_once() {
    caught(Law::NoHang, || queues(Some(Bug::StandsInTheQueueOnce)));
}

/// A queue before a backend that hangs turns a blip into minutes of time-outs (linkerd/linkerd2#11493, #5599, #8934).
#[test]
fn a_queue_keeps_calls_past_their_deadline() {
    caught(Law::NoHang, || queues(Some(Bug::KeepsNoDeadline)));
}

/// A queue in which a place that becomes free is handed to who has waited longest.
struct HandsOver {
    state: Mutex<(usize, VecDeque<oneshot::Sender<Option<Handed>>>)>,
    version: Version,
}

/// A place that goes to the next on drop.
struct Handed(Arc<HandsOver>);

impl Drop for Handed {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap();
        let Some(waiter) = state.1.pop_front() else {
            state.0 += 1;
            return;
        };
        drop(state);
        // The broken one sends a mere signal, which nobody has received when the waiter has left. A place that is not
        // received is dropped, and goes to the next.
        let place = (self.0.version == Right).then(|| Self(Arc::clone(&self.0)));
        drop(waiter.send(place));
    }
}

impl HandsOver {
    async fn place(self: &Arc<Self>) -> Handed {
        let waits = {
            let mut state = self.state.lock().unwrap();
            if state.0 > 0 {
                state.0 -= 1;
                None
            } else {
                let (waiter, handed) = oneshot::channel();
                state.1.push_back(waiter);
                Some(handed)
            }
        };
        let handed = match waits {
            Some(handed) => handed.await.ok().flatten(),
            None => None,
        };
        handed.unwrap_or_else(|| Handed(Arc::clone(self)))
    }
}

struct WaitsInLine<E> {
    inner: E,
    line: Arc<HandsOver>,
}

impl<Req: Send, E: Endpoint<Req>> Endpoint<Req> for WaitsInLine<E> {
    type Response = E::Response;
    type Error = E::Error;

    async fn call(&self, req: Req) -> Result<E::Response, E::Error> {
        let _place = self.line.place().await;
        self.inner.call(req).await
    }
}

fn hands_over(version: Version) -> Laws {
    Laws::endpoint(move |_| {
        let line = Arc::new(HandsOver { state: Mutex::new((MOST, VecDeque::new())), version });
        layer_fn(move |inner| WaitsInLine { inner, line: Arc::clone(&line) })
    })
    .waiting()
    .at_most(MOST)
}

/// A place handed to a waiter that has just left is nobody's any more (joshrotenberg/tower-resilience#387, in a queue).
#[test]
fn a_place_is_handed_to_who_has_left() {
    told_apart(Law::PermitsReturn, hands_over);
}
