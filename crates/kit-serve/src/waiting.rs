//! How long a service has waited for the body of its request.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::BodyTooSlow;
use crate::pace::{MinRate, Pace};
use crate::shared::Shared;

/// What the body of a request tells whoever answers the request. The service may have taken the body anywhere.
#[derive(Debug)]
pub(crate) struct Wait {
    shared: Arc<Shared>,
    /// Whether there is anything in `waits`: most bodies are there by the time they are asked for, and cost no more than this.
    used: AtomicBool,
    waits: Mutex<Waits>,
}

#[derive(Debug, Default)]
struct Waits {
    /// When the body last kept the service busy, as far as that is known: the end of a wait, or a part that is not the last.
    last: Option<Instant>,
    /// When the wait that is not over began.
    since: Option<Instant>,
    /// The rate at which the body must come; made at the first wait.
    pace: Option<Pace>,
    /// Made at the first wait that may be too long.
    timer: Option<Pin<Box<Sleep>>>,
    too_slow: bool,
}

impl Wait {
    pub(crate) fn new(shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { shared: Arc::clone(shared), used: AtomicBool::new(false), waits: Mutex::default() })
    }

    /// One for a new request: `spare`, unless a request still has it, so that one request after the other costs no
    /// allocation.
    pub(crate) fn take(spare: &Arc<Self>) -> Arc<Self> {
        // Nobody else can make a clone of the only one.
        if Arc::strong_count(spare) > 1 {
            return Self::new(&spare.shared);
        }
        if spare.used.load(Acquire) {
            *spare.lock() = Waits::default();
            spare.used.store(false, Relaxed);
        }
        Arc::clone(spare)
    }

    /// When the service last waited for the body or took a part of it: now, if it waits.
    pub(crate) fn last(&self, now: Instant) -> Option<Instant> {
        let waits = self.lock();
        if waits.since.is_some() { Some(now) } else { waits.last }
    }

    /// Whether the body was given up.
    pub(crate) fn is_too_slow(&self) -> bool {
        self.used.load(Acquire) && self.lock().too_slow
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

    /// Nothing has come by now, after so many bytes since the last wait; ready when it should have.
    fn poll_over(&mut self, cx: &mut Context<'_>, now: Instant, rate: Option<MinRate>, bytes: u64) -> Poll<()> {
        let since = *self.since.get_or_insert(now);
        let Some(rate) = rate else { return Poll::Pending };
        let pace = self.pace.get_or_insert_with(|| Pace::new(rate));
        pace.earn(bytes);
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
pub(crate) struct Patience {
    wait: Arc<Wait>,
    /// Bytes since the last wait. More than fit earn no more.
    bytes: u32,
    must_hurry: bool,
    waits: bool,
    is_over: bool,
}

impl Patience {
    pub(crate) fn new(wait: Arc<Wait>, must_hurry: bool) -> Self {
        Self { wait, bytes: 0, must_hurry, waits: false, is_over: false }
    }

    /// Whether the body was given up.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Bytes have come, or the end; `more` may come.
    pub(crate) fn over(&mut self, bytes: usize, more: bool) {
        self.bytes = self.bytes.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        if std::mem::take(&mut self.waits) {
            self.wait.lock().end();
        }
        // A small body that is here at once costs no look at the clock.
        if more {
            self.wait.used.store(true, Release);
            self.wait.lock().last = Some(Instant::now());
        }
    }

    /// Nothing has come; ready when it should have.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<BodyTooSlow> {
        let now = Instant::now();
        let shared = &self.wait.shared;
        let rate = shared.limits.body_rate.filter(|_| self.must_hurry);
        let bytes = std::mem::take(&mut self.bytes);
        self.waits = true;
        self.wait.used.store(true, Release);
        ready!(self.wait.lock().poll_over(cx, now, rate, bytes.into()));
        (self.waits, self.is_over) = (false, true);
        shared.events.tell("body_slow", "");
        Poll::Ready(BodyTooSlow::new())
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        // Who drops the body waits for it no longer.
        self.over(0, false);
    }
}
