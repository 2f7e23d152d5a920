//! The connections of a client: how old they get, how many are idle, how many calls there are at once.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use kit_base::{Deadline, Error, Origin};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::BuildError;
use crate::within::now;

/// Makes a client anew.
type Make = Box<dyn Fn() -> reqwest::Result<reqwest::Client> + Send + Sync>;

/// Where connections come from. Clones share them.
#[derive(Clone)]
pub(super) enum Clients {
    /// A client of our own.
    Own(reqwest::Client),
    /// The user's.
    Given(reqwest::Client),
    /// One after the other.
    Aged(Arc<Aged>),
}

impl Clients {
    pub(super) fn own(max_idle: usize, idle_timeout: Duration) -> Result<Self, BuildError> {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .pool_max_idle_per_host(max_idle)
            .pool_idle_timeout(idle_timeout);
        builder.build().map(Self::Own).map_err(|error| not_made(error.into()))
    }

    pub(super) fn aged(make: Make, max_age: Duration) -> Result<Self, BuildError> {
        if max_age.is_zero() {
            return Err(BuildError::new("connections cannot have an age of at most 0 s"));
        }
        let client = make().map_err(|error| not_made(error.into()))?;
        let current = RwLock::new(Current { client, due: due(now(), max_age) });
        Ok(Self::Aged(Arc::new(Aged { make, max_age, current, making: AtomicBool::new(false) })))
    }

    /// The client for a call that begins now.
    pub(super) fn get(&self) -> reqwest::Client {
        match self {
            Self::Own(client) | Self::Given(client) => client.clone(),
            Self::Aged(aged) => aged.get(now()),
        }
    }
}

fn not_made(error: Box<dyn std::error::Error + Send + Sync>) -> BuildError {
    BuildError::new("the HTTP client cannot be set up").because(error)
}

/// Clients of which each has its time.
pub(super) struct Aged {
    make: Make,
    max_age: Duration,
    current: RwLock<Current>,
    /// Somebody makes the next one; all others go on with the present one.
    making: AtomicBool,
}

struct Current {
    client: reqwest::Client,
    due: Instant,
}

impl Aged {
    fn get(&self, now: Instant) -> reqwest::Client {
        let (client, due) = self.current();
        if now < due || self.making.swap(true, Ordering::Acquire) {
            return client;
        }
        // It may have been made since the look at it.
        let (client, due) = self.current();
        let client = if now < due { client } else { self.renew(client, now) };
        self.making.store(false, Ordering::Release);
        client
    }

    fn current(&self) -> (reqwest::Client, Instant) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        (current.client.clone(), current.due)
    }

    /// The next client, or the present one if there is none: then it is tried again soon, and not with each call.
    fn renew(&self, present: reqwest::Client, now: Instant) -> reqwest::Client {
        let next = match catch_unwind(AssertUnwindSafe(|| (self.make)())) {
            Ok(Ok(client)) => Current { client, due: due(now, self.max_age) },
            Ok(Err(_)) | Err(_) => Current { client: present, due: soon(now, self.max_age) },
        };
        let client = next.client.clone();
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, next);
        drop(current);
        // With it go the connections that it has at rest; those of calls go with the calls.
        drop(old);
        client
    }
}

/// When a client made now has had its time: up to a tenth early, so that not all processes of a service connect at once.
fn due(now: Instant, max_age: Duration) -> Instant {
    later(now, max_age.mul_f64(1.0 - 0.1 * fastrand::f64()))
}

fn soon(now: Instant, max_age: Duration) -> Instant {
    later(now, (max_age / 10).min(Duration::from_secs(1)))
}

fn later(now: Instant, after: Duration) -> Instant {
    Deadline::after(now, after).instant()
}

/// At most so many calls at once, and so many that wait.
pub(super) struct Limit {
    places: Arc<Semaphore>,
    calls: usize,
    queue: usize,
    waiting: AtomicUsize,
}

/// A place among the calls, given back on drop.
pub(super) type Place = OwnedSemaphorePermit;

impl Limit {
    pub(super) fn new(calls: NonZeroUsize, queue: usize) -> Self {
        let calls = calls.get().min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(calls)), calls, queue, waiting: AtomicUsize::new(0) }
    }

    /// A place, in the order of asking, and what is left of the time. Nothing has been sent where there is none.
    pub(super) async fn enter(
        &self,
        deadline: Option<Deadline>,
        timeout: Duration,
    ) -> Result<(Place, Duration), Error> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok((place, timeout));
        }
        let _waiting = Waiting::begin(self)?;
        let limit = Deadline::after(now(), timeout);
        let until = deadline.map_or(limit, |deadline| deadline.min(limit));
        let place = tokio::time::timeout_at(until.instant().into(), Arc::clone(&self.places).acquire_owned()).await;
        let late = || {
            let error = Error::deadline_exceeded(format!("{} calls are under way, and none ended in time", self.calls));
            error.with_origin(Origin::NotSent)
        };
        // Nobody closes the semaphore.
        let place = place.ok().and_then(Result::ok).ok_or_else(late)?;
        Ok((place, limit.left(now())))
    }
}

struct Waiting<'a>(&'a Limit);

impl<'a> Waiting<'a> {
    fn begin(limit: &'a Limit) -> Result<Self, Error> {
        let waiting = Self(limit);
        if limit.waiting.fetch_add(1, Ordering::Relaxed) < limit.queue {
            return Ok(waiting);
        }
        let what = format!("{} calls are under way, and {} wait", limit.calls, limit.queue);
        Err(Error::resource_exhausted(what).with_reason("TOO_MANY_CALLS").with_origin(Origin::LocalRefusal))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
