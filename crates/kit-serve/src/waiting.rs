//! How long a service has waited for the body of its request.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::BodyTooSlow;
use crate::pace::Pace;
use crate::shared::Shared;

/// What the body of a request tells whoever answers the request. The service may have taken the body anywhere.
#[derive(Debug)]
pub(crate) struct Wait {
    shared: Arc<Shared>,
    made: Instant,
    /// Milliseconds waited, in waits that are over.
    over: AtomicU64,
    /// Milliseconds after `made`, plus one, at which the wait that is not over began; 0 if none is.
    since: AtomicU64,
    too_slow: AtomicBool,
}

impl Wait {
    pub(crate) fn new(shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::clone(shared),
            made: Instant::now(),
            over: AtomicU64::new(0),
            since: AtomicU64::new(0),
            too_slow: AtomicBool::new(false),
        })
    }

    /// One for a new request: `spare`, unless a request still has it, so that one request after the other costs no
    /// allocation.
    pub(crate) fn take(spare: &Arc<Self>) -> Arc<Self> {
        // Nobody else can make a clone of the only one.
        if Arc::strong_count(spare) > 1 {
            return Self::new(&spare.shared);
        }
        spare.over.store(0, Relaxed);
        spare.since.store(0, Relaxed);
        spare.too_slow.store(false, Relaxed);
        Arc::clone(spare)
    }

    /// All the time that the service has waited.
    pub(crate) fn waited(&self) -> Duration {
        let since = self.since.load(Relaxed);
        let now = if since > 0 { (self.millis(Instant::now()) + 1).saturating_sub(since) } else { 0 };
        Duration::from_millis(self.over.load(Relaxed) + now)
    }

    /// Whether the body was given up.
    pub(crate) fn is_too_slow(&self) -> bool {
        self.too_slow.load(Relaxed)
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from((at - self.made).as_millis()).unwrap_or(u64::MAX / 2)
    }
}

/// The body's side: measures its waits, and ends them when they are too long.
#[derive(Debug)]
pub(crate) struct Patience {
    wait: Arc<Wait>,
    pace: Option<Pace>,
    /// Bytes since the last wait.
    bytes: u64,
    since: Option<Instant>,
    /// Made at the first wait.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(crate) fn new(wait: Arc<Wait>, pace: Option<Pace>) -> Self {
        Self { wait, pace, bytes: 0, since: None, timer: None }
    }

    /// Bytes have come, or the end.
    pub(crate) fn over(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        if let Some(since) = self.since.take() {
            let waited = since.elapsed();
            if let Some(pace) = &mut self.pace {
                pace.spend(waited);
            }
            self.wait.over.fetch_add(u64::try_from(waited.as_millis()).unwrap_or(0), Relaxed);
            self.wait.since.store(0, Relaxed);
        }
    }

    /// Nothing has come; ready when it should have.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<BodyTooSlow> {
        let now = Instant::now();
        let since = *self.since.get_or_insert_with(|| {
            self.wait.since.store(self.wait.millis(now) + 1, Relaxed);
            now
        });
        let Some(pace) = &mut self.pace else { return Poll::Pending };
        pace.earn(std::mem::take(&mut self.bytes));
        let due = since + pace.left();
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        // Armed once for many waits: bytes only move the point at which it is too late.
        while timer.as_mut().poll(cx).is_ready() {
            if now >= due {
                self.over(0);
                self.wait.too_slow.store(true, Relaxed);
                self.wait.shared.events.tell("body_slow", "");
                return Poll::Ready(BodyTooSlow::new());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        // Who drops the body waits for it no longer.
        self.over(0);
    }
}
