//! The line before a bucket: who comes first goes first, and whoever leaves leaves no gap.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use crate::gcra::{Pace, Ticks, duration, moment, ticks};
use crate::{Quota, Standing};

/// Timers wake late. So much of the lateness is made up for, or no pace above that of the timer could be kept. In any time of
/// length `t` there pass at most `burst + rate · (t + LATE)`.
pub(crate) const LATE: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(crate) struct Line {
    state: Mutex<State>,
    began: OnceLock<Instant>,
}

#[derive(Debug)]
struct State {
    quota: Quota,
    pace: Pace,
    full_at: Ticks,
    /// When tokens were last taken, and how much too late that was for it to have been full by then.
    taken: Ticks,
    late: Ticks,
    /// Who waits, by number: the lowest is the first. They are counted under the lock, so each knows who is before it.
    line: BTreeMap<u64, Place>,
    next: u64,
    /// What those in the line are going to take.
    ahead: u64,
}

#[derive(Debug)]
struct Place {
    cost: u32,
    /// When its turn must have come.
    last: Instant,
    /// As the pace is now, it will not have.
    hopeless: bool,
    waker: Option<Waker>,
}

/// What comes of asking for tokens.
#[derive(Debug)]
pub(crate) enum Entry<'a> {
    /// They are taken.
    Taken,
    /// There is a place in the line, and this is how long it will take as things are.
    Waits(Waiter<'a>, Duration),
    Refused(Refused),
}

/// Why there are none, and how the bucket stands.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It would take so long from now on, and that is too long.
    TooLong(Duration, Standing),
    /// A full bucket does not hold so many.
    Never(Standing),
}

/// A place in the line. Dropped, it is given up.
#[derive(Debug)]
pub(crate) struct Waiter<'a> {
    line: &'a Line,
    number: u64,
}

impl State {
    /// The bucket as it is counted on from. While there are some who wait that is from when the tokens were there, and not from
    /// when the timer woke; and what that was too late is made up for by those who come right after.
    fn full_at(&self, now: Ticks) -> Ticks {
        let late = match now.saturating_sub(self.taken) {
            _ if !self.line.is_empty() => ticks(LATE),
            since if since <= ticks(LATE) => self.late,
            _ => 0,
        };
        self.full_at.max(now.saturating_sub(late))
    }

    fn take(&mut self, now: Ticks, price: Ticks) {
        self.full_at = self.full_at(now) + price;
        (self.taken, self.late) = (now, now.saturating_sub(self.full_at));
    }

    /// How long it takes until there are tokens for this, after those for so many others.
    fn wait(&self, now: Ticks, others: u64, price: Ticks) -> Duration {
        let others = others.saturating_mul(self.pace.interval);
        let after = self.full_at(now).saturating_add(others).saturating_add(price);
        duration(after.saturating_sub(now + self.pace.refill))
    }

    fn standing(&self, now: Ticks) -> Standing {
        self.pace.standing(self.full_at, now)
    }

    fn is_first(&self, number: u64) -> bool {
        self.line.first_key_value().is_some_and(|(first, _)| *first == number)
    }

    fn leave(&mut self, number: u64) -> Left {
        let was_first = self.is_first(number);
        let place = self.line.remove(&number);
        self.ahead -= place.as_ref().map_or(0, |place| u64::from(place.cost));
        let next =
            if was_first { self.line.first_entry().and_then(|mut first| first.get_mut().waker.take()) } else { None };
        Left { _place: place, next }
    }
}

/// What is left of somebody in the line, to be dropped outside of the lock: wakers run code of others.
struct Left {
    _place: Option<Place>,
    next: Option<Waker>,
}

impl Left {
    fn wake_next(self) {
        self.next.into_iter().for_each(Waker::wake);
    }
}

impl Line {
    pub(crate) fn new(quota: Quota) -> Self {
        let (pace, line) = (quota.into(), BTreeMap::new());
        let state = State { quota, pace, full_at: 0, taken: 0, late: 0, line, next: 0, ahead: 0 };
        Self { state: Mutex::new(state), began: OnceLock::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self, now: Instant) -> Ticks {
        moment(now, *self.began.get_or_init(|| now))
    }

    /// For those who want tokens. What is sane is kept, or it would begin again with each look, and never fill.
    fn lock_at(&self, at: Ticks) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.full_at = state.pace.sane(state.full_at, at);
        state
    }

    pub(crate) fn quota(&self) -> Quota {
        self.lock().quota
    }

    pub(crate) fn waiting(&self) -> usize {
        self.lock().line.len()
    }

    pub(crate) fn standing(&self, now: Instant) -> Standing {
        self.lock().standing(self.moment(now))
    }

    /// Asks for so many tokens, to be had within this time. The turn must have come by `last`.
    pub(crate) fn enter(&self, now: Instant, cost: u32, within: Duration, last: Instant) -> Entry<'_> {
        let at = self.moment(now);
        let mut state = self.lock_at(at);
        let Some(price) = state.pace.price(cost) else { return Entry::Refused(Refused::Never(state.standing(at))) };
        let wait = state.wait(at, state.ahead, price);
        if state.line.is_empty() && wait.is_zero() {
            state.take(at, price);
            return Entry::Taken;
        }
        if wait > within {
            return Entry::Refused(Refused::TooLong(wait, state.standing(at)));
        }
        let number = state.next;
        state.next += 1;
        state.ahead += u64::from(cost);
        state.line.insert(number, Place { cost, last, hopeless: false, waker: None });
        Entry::Waits(Waiter { line: self, number }, wait)
    }

    /// Goes on at another pace, with the tokens that there are. Whoever waits goes by it.
    pub(crate) fn change(&self, quota: Quota, now: Instant) {
        let (at, pace) = (self.moment(now), Pace::from(quota));
        let mut state = self.lock();
        state.full_at = pace.convert(state.pace, state.full_at, at);
        (state.pace, state.quota) = (pace, quota);
        let (mut line, mut ahead) = (std::mem::take(&mut state.line), 0);
        let mut wakers = Vec::new();
        for place in line.values_mut() {
            let wait = pace.price(place.cost).map(|price| state.wait(at, ahead, price));
            place.hopeless = wait.is_none_or(|wait| now.checked_add(wait).is_none_or(|turn| turn > place.last));
            if !place.hopeless {
                ahead += u64::from(place.cost);
            }
            // The first goes by the new pace, and who has no hope goes.
            if place.hopeless || wakers.is_empty() {
                wakers.extend(place.waker.take());
            }
        }
        state.line = line;
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Takes the tokens for the first in the line, if they are there. The others, and those that have to wait, are told when to
    /// look again, and their waker wakes them before that if there is a reason to.
    fn look(&self, number: u64, now: Instant, waker: &Waker) -> Result<Result<(), Refused>, Instant> {
        let at = self.moment(now);
        let mut state = self.lock_at(at);
        let is_first = state.is_first(number);
        // Who has taken its tokens has no place any more.
        let Some(place) = state.line.get(&number) else { return Ok(Ok(())) };
        let (cost, last) = (place.cost, place.last);
        let Some(price) = state.pace.price(cost) else { return Ok(Err(Refused::Never(state.standing(at)))) };
        let wait = state.wait(at, 0, price);
        let turn = now.checked_add(wait).filter(|turn| *turn <= last);
        let Some(turn) = turn.filter(|_| is_first || !place.hopeless) else {
            // Who comes back is the last.
            let again = state.wait(at, state.ahead - u64::from(cost), price);
            return Ok(Err(Refused::TooLong(again, state.standing(at))));
        };
        if is_first && wait.is_zero() {
            state.take(at, price);
            let left = state.leave(number);
            drop(state);
            left.wake_next();
            return Ok(Ok(()));
        }
        let old = state.line.get_mut(&number).and_then(|place| place.waker.replace(waker.clone()));
        drop(state);
        drop(old);
        // Whoever is not the first gives up when its time is over.
        Err(if is_first { turn } else { last + Duration::from_nanos(1) })
    }
}

impl Waiter<'_> {
    /// Waits until it is its turn and the tokens are there, and takes them. By tokio's clock.
    pub(crate) async fn turn(self) -> Result<(), Refused> {
        let mut timer = pin!(sleep_until(now().into()));
        let look = |context: &mut Context<'_>| loop {
            match self.line.look(self.number, now(), context.waker()) {
                Ok(turn) => return Poll::Ready(turn),
                Err(again) => timer.as_mut().reset(again.into()),
            }
            ready!(timer.as_mut().poll(context));
        };
        poll_fn(look).await
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let left = self.line.lock().leave(self.number);
        left.wake_next();
    }
}

pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
