//! At most so many calls at a time, and a queue before them.

mod endpoint;
mod entered;
mod room;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit_base::{Guard, Observer};
use tower_layer::Layer;

use crate::InvalidSettings;
pub use endpoint::Bulkheaded;
use endpoint::{Door, Unjudged};
use room::Room;

/// A bulkhead: at most so many calls at a time, and a bounded, fair queue before them.
///
/// A peer that hangs takes as many calls down with it as there are places, and no more. It is a layer over endpoints, and
/// over tower services in [`Tower`](kit_base::Tower):
///
/// ```
/// use std::time::Duration;
/// use kit_base::{Endpoint, Error, Kind, Request};
/// use kit_breaker::Bulkhead;
/// use tower_layer::Layer;
///
/// /// Takes a second.
/// struct Slow;
///
/// impl Endpoint<Request<()>> for Slow {
///     type Response = ();
///     type Error = Error;
///
///     async fn call(&self, _: Request<()>) -> Result<(), Error> {
///         tokio::time::sleep(Duration::from_secs(1)).await;
///         Ok(())
///     }
/// }
///
/// #[tokio::main(flavor = "current_thread", start_paused = true)] // in a program, as you like
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let bulkhead = Bulkhead::new(1)?.queue(1).wait(Duration::from_secs(5));
///     let slow = bulkhead.layer(Slow);
///     let call = || slow.call(Request::new(()));
///
///     // One runs, one waits for its place, and there is no room for a third.
///     let (first, second, third) = tokio::join!(call(), call(), call());
///     assert!(first.is_ok() && second.is_ok());
///     let refusal = third.unwrap_err();
///     assert_eq!((refusal.kind(), refusal.reason()), (Kind::ResourceExhausted, Some("BULKHEAD_FULL")));
///     assert_eq!((bulkhead.in_flight(), bulkhead.waiting()), (0, 0));
///     Ok(())
/// }
/// ```
///
/// ```text
/// let router  = router.layer(Tower::new(bulkhead).answered());                 // axum::Router
/// let server  = Server::builder().layer(Tower::new(bulkhead).answered());      // tonic's server
/// let channel = Tower::new(bulkhead).answered().layer(channel);                // a tonic Channel
/// let client  = bulkhead.layer(FromHttpService::new(reqwest::Client::new()));  // reqwest::Client
/// ```
///
/// *State* is in the layer: clones of it, and all that it is put over, share its places and its queue. Put a bulkhead of its
/// own over each peer.
///
/// *A place* is taken until the call is over: until the last frame or item where the answer streams, until the future, body
/// or stream is dropped, or until a panic has passed through. A body that is never read gives it back when it is dropped.
///
/// *The queue* is empty unless [`queue`](Self::queue) makes room: what finds no place is refused at once, and nothing ever
/// waits. It is served in the order of arrival: a place goes from hand to hand, and nobody takes one while others wait. Who
/// leaves the queue (its future is dropped) is out of it at once. A call arrives when it is made, not
/// at the first poll of its future: poll it, or drop it.
///
/// *Time* is tokio's, so that paused time works in tests. A call whose deadline has passed is not begun. In the queue it
/// waits until its deadline, or for [`wait`](Self::wait) if that is less. A call without a deadline that finds a place reads
/// no clock; one that finds a place allocates nothing.
///
/// *Readiness:* on the tower face it is ready at once. A call waits for the service's readiness when it has its place.
///
/// # Errors
///
/// | what | kind | origin | reason |
/// |---|---|---|---|
/// | no place, and no room in the queue | `ResourceExhausted` (429) | `LocalRefusal` | `BULKHEAD_FULL` |
/// | no place within [`wait`](Self::wait) | `ResourceExhausted` (429) | `LocalRefusal` | `BULKHEAD_FULL` |
/// | the deadline has passed, before or in the queue | `DeadlineExceeded` (504) | `NotSent` | |
///
/// None of them counts as a failure of the peer. Those of the call itself pass unchanged.
///
/// # Events
///
/// Source `bulkhead`, key the [name](Self::named): `queued`, `refused` (full), `expired` (by its deadline, or it waited in
/// vain).
///
/// # Source
///
/// Hystrix' semaphore isolation, and resilience4j's `Bulkhead`; they have no queue in order, and know of no streams.
#[doc(alias("ConcurrencyLimit", "Hystrix", "maxConcurrentRequests", "Semaphore"))]
pub struct Bulkhead<O = ()> {
    settings: Arc<Settings<O>>,
    guard: Guard<Door, Unjudged>,
}

struct Settings<O> {
    queue: usize,
    wait: Option<Duration>,
    /// Any moment: whether there is a deadline can be asked without reading a clock, though not which.
    any: Instant,
    name: Cow<'static, str>,
    observer: Arc<O>,
}

impl Bulkhead {
    /// At most so many calls at a time, and no queue.
    ///
    /// # Errors
    /// A bulkhead without places, which nothing would ever pass.
    pub fn new(at_most: usize) -> Result<Self, InvalidSettings> {
        check(at_most)?;
        let (name, any) = (Cow::Borrowed(""), Instant::now());
        Ok(Self::with(at_most, Settings { queue: 0, wait: None, any, name, observer: Arc::new(()) }))
    }
}

impl<O> Bulkhead<O> {
    fn with(at_most: usize, settings: Settings<O>) -> Self {
        let guard = Guard::with(Door::new(at_most), Unjudged, kit_base::Monotonic);
        Self { settings: Arc::new(settings), guard }
    }

    fn room(&self) -> &Arc<Room> {
        self.guard.gate().room()
    }

    /// How many calls may run at a time.
    pub fn at_most(&self) -> usize {
        self.room().limit()
    }

    /// How many places are taken. A place that has gone to a waiting call is, although that has yet to wake up.
    #[doc(alias = "inflight")]
    pub fn in_flight(&self) -> usize {
        self.room().taken()
    }

    /// How many calls wait for a place.
    pub fn waiting(&self) -> usize {
        self.room().waiting()
    }

    /// Changes how many calls may run at a time, for all that share this bulkhead. New places go to who waits; when there
    /// are fewer, the calls that run are left alone, and their places vanish as they end.
    ///
    /// # Errors
    /// There must be one place; nothing has changed then.
    pub fn resize(&self, at_most: usize) -> Result<(), InvalidSettings> {
        check(at_most)?;
        self.room().resize(at_most);
        Ok(())
    }

    /// The name; empty unless [named](Self::named).
    pub fn name(&self) -> &str {
        &self.settings.name
    }
}

/// Each of these makes a bulkhead of its own, with new places: set it up first, and share it then.
impl<O: Observer> Bulkhead<O> {
    /// The same with a queue: so many calls may wait for a place. 0 unless set.
    #[doc(alias = "maxQueueSize")]
    #[must_use]
    pub fn queue(self, at_most_waiting: usize) -> Self {
        self.set(|settings| settings.queue = at_most_waiting)
    }

    /// The same where no call waits longer than this for a place. Until its deadline unless set, and for ever if it has none.
    #[doc(alias = "maxWaitDuration")]
    #[must_use]
    pub fn wait(self, at_most: Duration) -> Self {
        self.set(|settings| settings.wait = Some(at_most))
    }

    /// The same with this name: the key of its events.
    #[must_use]
    pub fn named(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.set(|settings| settings.name = name.into())
    }

    /// A new one with the same settings, name and observer.
    #[must_use]
    pub fn fresh(&self) -> Self {
        self.set(|_| {})
    }

    /// The same, telling this observer what it does.
    #[must_use]
    pub fn observed_by<P: Observer>(self, observer: P) -> Bulkhead<P> {
        Bulkhead::with(self.at_most(), self.settings.observed_by(Arc::new(observer)))
    }

    fn set(&self, change: impl FnOnce(&mut Settings<O>)) -> Self {
        let mut settings = self.settings.observed_by(Arc::clone(&self.settings.observer));
        change(&mut settings);
        Self::with(self.at_most(), settings)
    }
}

impl<O> Settings<O> {
    fn observed_by<P>(&self, observer: Arc<P>) -> Settings<P> {
        Settings { queue: self.queue, wait: self.wait, any: self.any, name: self.name.clone(), observer }
    }
}

fn check(at_most: usize) -> Result<(), InvalidSettings> {
    if at_most == 0 { Err(InvalidSettings("at_most must be 1 or more, got 0".into())) } else { Ok(()) }
}

impl<O> Clone for Bulkhead<O> {
    fn clone(&self) -> Self {
        Self { settings: Arc::clone(&self.settings), guard: self.guard.clone() }
    }
}

impl<O> fmt::Debug for Bulkhead<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead")
            .field("name", &self.settings.name)
            .field("queue", &self.settings.queue)
            .field("wait", &self.settings.wait)
            .field("room", self.room())
            .finish_non_exhaustive()
    }
}

impl<E, O> Layer<E> for Bulkhead<O> {
    type Service = Bulkheaded<E, O>;

    fn layer(&self, inner: E) -> Bulkheaded<E, O> {
        Bulkheaded::new(self.clone(), self.guard.layer(inner))
    }
}
