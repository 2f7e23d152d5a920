//! How long a service has waited for the body of its request.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::BodyTooSlow;
use crate::pace::{MinRate, Pace};
use crate::shared::Shared;

/// What the body of a request tells whoever answers the request. The service may have taken the body anywhere.
#[derive(Debug)]
pub(crate) struct Wait {
    shared: Arc<Shared>,
    waits: Mutex<Waits>,
}

#[derive(Debug, Default)]
struct Waits {
    /// When the body last kept the service busy, as far as that is known: the end of a wait, or a part that is not the last.
    last: Option<Instant>,
    /// When the wait that is not over began.
    since: Option<Instant>,
    /// The rate at which the body must come.
    pace: Option<Pace>,
    /// Bytes since the last wait.
    bytes: u64,
    /// Made at the first wait.
    timer: Option<Pin<Box<Sleep>>>,
    too_slow: bool,
}

impl Wait {
    pub(crate) fn new(shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { shared: Arc::clone(shared), waits: Mutex::default() })
    }

    /// One for a new request: `spare`, unless a request still has it, so that one request after the other costs no
    /// allocation.
    pub(crate) fn take(spare: &Arc<Self>, rate: Option<MinRate>) -> Arc<Self> {
        // Nobody else can make a clone of the only one.
        let free = Arc::strong_count(spare) == 1;
        let wait = if free { Arc::clone(spare) } else { Self::new(&spare.shared) };
        *wait.lock() = Waits { pace: rate.map(Pace::new), ..Waits::default() };
        wait
    }

    /// When the service last waited for the body or took a part of it: now, if it waits.
    pub(crate) fn last(&self, now: Instant) -> Option<Instant> {
        let waits = self.lock();
        if waits.since.is_some() { Some(now) } else { waits.last }
    }

    /// Whether the body was given up.
    pub(crate) fn is_too_slow(&self) -> bool {
        self.lock().too_slow
    }

    fn lock(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waits {
    /// The wait, if there is one, has ended.
    fn end(&mut self) {
        if let Some(since) = self.since.take() {
            let now = Instant::now();
            if let Some(pace) = &mut self.pace {
                pace.spend(now - since);
            }
            self.last = Some(now);
        }
    }

    /// Nothing has come by now; ready when it should have.
    fn poll_over(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        let since = *self.since.get_or_insert(now);
        let Some(pace) = &mut self.pace else { return Poll::Pending };
        pace.earn(std::mem::take(&mut self.bytes));
        let due = since + pace.left();
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        // Armed once for many waits: bytes only move the point at which it is too late.
        while timer.as_mut().poll(cx).is_ready() {
            if now >= due {
                self.end();
                self.too_slow = true;
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

/// The body's side: measures its waits, and ends them when they are too long.
#[derive(Debug)]
pub(crate) struct Patience(Arc<Wait>);

impl Patience {
    pub(crate) fn new(wait: Arc<Wait>) -> Self {
        Self(wait)
    }

    /// Bytes have come, or the end; `more` may come.
    pub(crate) fn over(&mut self, bytes: usize, more: bool) {
        let mut waits = self.0.lock();
        waits.bytes += bytes as u64;
        waits.end();
        // A small body that is here at once costs no look at the clock.
        if more {
            waits.last = Some(Instant::now());
        }
    }

    /// Nothing has come; ready when it should have.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<BodyTooSlow> {
        let now = Instant::now();
        let mut waits = self.0.lock();
        std::task::ready!(waits.poll_over(cx, now));
        drop(waits);
        self.0.shared.events.tell("body_slow", "");
        Poll::Ready(BodyTooSlow::new())
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        // Who drops the body waits for it no longer.
        self.0.lock().end();
    }
}
