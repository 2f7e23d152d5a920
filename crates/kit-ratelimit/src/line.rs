//! The line before a bucket: who comes first goes first, and whoever leaves leaves no gap.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout_at;

use crate::gcra::{Pace, Short, Ticks, duration, moment};
use crate::{Quota, Standing};

/// Timers wake late. So much of the lateness is made up for, or no pace above that of the timer could be kept.
const LATE: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(crate) struct Line {
    state: Mutex<State>,
    began: OnceLock<Instant>,
    /// Whoever has it is the first in the line. It is fair, and gives up the place of who leaves.
    first: tokio::sync::Mutex<()>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    quota: Quota,
    pace: Pace,
    full_at: Ticks,
    /// What those who wait are going to take.
    ahead: u64,
    waiting: usize,
}

/// What comes of asking for tokens.
#[derive(Debug)]
pub(crate) enum Entry<'a> {
    /// They are taken.
    Taken,
    /// There is a place in the line, and this is how long it will take as things are.
    Waits(Waiter<'a>, Duration),
    /// It would take longer than the caller wants to wait.
    TooLong(Duration, Standing),
    /// It costs more than a full bucket holds.
    Never(Standing),
}

/// A place in the line. Dropped, it is given up.
#[derive(Debug)]
pub(crate) struct Waiter<'a> {
    line: &'a Line,
    cost: u32,
    arrived: Instant,
}

impl Line {
    pub(crate) fn new(quota: Quota) -> Self {
        Self {
            state: Mutex::new(State { quota, pace: quota.into(), full_at: 0, ahead: 0, waiting: 0 }),
            began: OnceLock::new(),
            first: tokio::sync::Mutex::new(()),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self, now: Instant) -> Ticks {
        moment(now, *self.began.get_or_init(|| now))
    }

    pub(crate) fn quota(&self) -> Quota {
        self.lock().quota
    }

    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    pub(crate) fn standing(&self, now: Instant) -> Standing {
        let now = self.moment(now);
        let state = self.lock();
        state.pace.standing(state.full_at, now)
    }

    /// Asks for so many tokens, to be had within this time.
    pub(crate) fn enter(&self, now: Instant, cost: u32, within: Duration) -> Entry<'_> {
        let ticks = self.moment(now);
        let mut state = self.lock();
        let standing = |state: &State| state.pace.standing(state.full_at, ticks);
        if state.waiting == 0 {
            match state.pace.take(state.full_at, ticks, cost) {
                Ok(after) => {
                    state.full_at = after;
                    return Entry::Taken;
                }
                Err(Short::Ever) => return Entry::Never(standing(&state)),
                Err(Short::For(_)) => {}
            }
        }
        let Some(price) = state.pace.price(cost) else { return Entry::Never(standing(&state)) };
        let before = state.ahead.saturating_mul(state.pace.interval);
        let after = state.full_at.max(ticks).saturating_add(before).saturating_add(price);
        let wait = duration(after.saturating_sub(ticks + state.pace.refill));
        if wait > within {
            return Entry::TooLong(wait, standing(&state));
        }
        state.ahead += u64::from(cost);
        state.waiting += 1;
        Entry::Waits(Waiter { line: self, cost, arrived: now }, wait)
    }

    /// Goes on at another pace, with the tokens that there are. Whoever waits goes by it.
    pub(crate) fn change(&self, quota: Quota, now: Instant) {
        let (now, pace) = (self.moment(now), Pace::from(quota));
        let mut state = self.lock();
        state.full_at = pace.convert(state.pace, state.full_at, now);
        (state.pace, state.quota) = (pace, quota);
        drop(state);
        self.changed.notify_waiters();
    }
}

impl Waiter<'_> {
    /// Waits until the tokens are there, and takes them; nothing if that is not by the end. `now` is tokio's clock.
    pub(crate) async fn turn(self, end: Option<Instant>) -> Option<()> {
        match end {
            Some(end) => timeout_at(end.into(), self.tokens()).await.ok().flatten(),
            None => self.tokens().await,
        }
    }

    /// Nothing if the pace has changed, and a full bucket does not hold so many any more.
    async fn tokens(&self) -> Option<()> {
        let _first = self.line.first.lock().await;
        loop {
            // Before the look, so that no change is missed.
            let changed = self.line.changed.notified();
            let Some(wait) = self.take(now())? else { return Some(()) };
            // Until then, or until the pace has changed.
            let _ = timeout_at(wait.into(), changed).await;
        }
    }

    /// Takes the tokens, or says when they will be there.
    fn take(&self, now: Instant) -> Option<Option<Instant>> {
        // As of when they were there, and not of when the timer woke.
        let as_of = now.checked_sub(LATE).map_or(self.arrived, |early| early.max(self.arrived));
        let ticks = self.line.moment(as_of);
        let mut state = self.line.lock();
        let price = state.pace.price(self.cost)?;
        let after = state.full_at.max(ticks) + price;
        let wait = duration(after.saturating_sub(self.line.moment(now) + state.pace.refill));
        if wait.is_zero() {
            state.full_at = after;
            return Some(None);
        }
        Some(now.checked_add(wait))
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut state = self.line.lock();
        state.ahead -= u64::from(self.cost);
        state.waiting -= 1;
    }
}

pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
