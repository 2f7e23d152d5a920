//! The arithmetic of a bucket: the generic cell rate algorithm, on plain numbers.
//!
//! A bucket is one number, the *theoretical arrival time*: when it will be full again. It is full when that time has come, and
//! empty when that is a whole refill away. Source: ITU-T I.371, the virtual scheduling algorithm.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::{Quota, Standing};

/// A time in quarters of a nanosecond, since some beginning.
pub(crate) type Ticks = u64;

const NANO: u64 = 4;
const SECOND: Ticks = 1_000_000_000 * NANO;

/// Where the beginning is put, so that moments before it have a place: two years. A bucket of 0 is full.
const BEGAN: Ticks = 1 << 58;

/// Times are cut at this: 24 years after the beginning, time stands still. No bucket is further from full than the longest refill,
/// so that none ever needs the two highest bits, which belong to the [`Bucket`](crate::bucket::Bucket), or all of the others.
const END: Ticks = (1 << 62) - 2 - Quota::LONGEST_REFILL.as_secs() * SECOND;

/// So far may a clock go back, or a reading of it be old, until that is taken for a new beginning. One number cannot tell the two
/// apart: less, and threads that are held up between reading and taking would give out tokens twice; more, and calls would wait
/// longer for a clock to catch up.
const JUMP: Ticks = 60 * SECOND;

pub(crate) const fn ticks(time: Duration) -> Ticks {
    let seconds = if time.as_secs() > END / SECOND { END / SECOND } else { time.as_secs() };
    seconds * SECOND + time.subsec_nanos() as u64 * NANO
}

/// Rounded up to whole nanoseconds.
pub(crate) const fn duration(ticks: Ticks) -> Duration {
    Duration::from_nanos(ticks.div_ceil(NANO))
}

/// A moment.
#[inline]
pub(crate) fn moment(now: Instant, began: Instant) -> Ticks {
    match now.checked_duration_since(began) {
        Some(since) => (BEGAN + ticks(since)).min(END),
        None => before(now, began),
    }
}

#[cold]
fn before(now: Instant, began: Instant) -> Ticks {
    BEGAN.saturating_sub(ticks(began.saturating_duration_since(now)))
}

/// A quota in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// From one token to the next.
    pub(crate) interval: Ticks,
    /// From empty to full: a multiple of that.
    pub(crate) refill: Ticks,
}

impl From<Quota> for Pace {
    fn from(quota: Quota) -> Self {
        let interval = ticks(quota.period()).div_ceil(quota.rate().get().into());
        let most = ticks(Quota::LONGEST_REFILL) / interval;
        Self { interval, refill: interval * most.min(quota.most.get().into()) }
    }
}

/// Why there is nothing for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Short {
    /// There is after this time.
    For(Ticks),
    /// It costs more than a full bucket holds.
    Ever,
}

impl Short {
    pub(crate) const fn after(time: Duration) -> Self {
        Self::For(ticks(time))
    }
}

impl Pace {
    pub(crate) fn burst(self) -> NonZeroU32 {
        NonZeroU32::new((self.refill / self.interval) as u32).unwrap_or(NonZeroU32::MIN)
    }

    /// What a call costs; nothing if that is more than a full bucket holds.
    #[inline]
    pub(crate) fn price(self, cost: u32) -> Option<Ticks> {
        self.interval.checked_mul(cost.into()).filter(|price| *price <= self.refill)
    }

    /// The bucket after a call of this cost, if it has so much. The moment may be older than that of others.
    #[inline]
    pub(crate) fn take(self, full_at: Ticks, now: Ticks, cost: u32) -> Result<Ticks, Short> {
        let price = self.price(cost).ok_or(Short::Ever)?;
        let after = self.sane(full_at, now).max(now) + price;
        let room = now + self.refill;
        if after <= room { Ok(after) } else { Err(Short::For(after - room)) }
    }

    /// No bucket is ever further from full than this, so the clock must have gone back. It begins again, empty: nobody gets
    /// more for that, and nobody waits for the clock to catch up.
    #[inline]
    pub(crate) fn sane(self, full_at: Ticks, now: Ticks) -> Ticks {
        let empty = now + self.refill;
        if full_at > empty + JUMP { empty } else { full_at }
    }

    /// The bucket with the tokens that it has, as one of this pace: what is empty stays empty.
    pub(crate) fn convert(self, from: Self, full_at: Ticks, now: Ticks) -> Ticks {
        let full_at = from.sane(full_at, now);
        // If others have taken at later moments, it was empty at one of those, and not before.
        let now = now.max(full_at.saturating_sub(from.refill));
        let left = now + from.refill - full_at.max(now);
        // Fits: what is left is no more than the refill.
        let left = u128::from(left) * u128::from(self.interval) / u128::from(from.interval);
        now + self.refill - u64::try_from(left).map_or(self.refill, |left| left.min(self.refill))
    }

    /// How a bucket stands.
    pub(crate) fn standing(self, full_at: Ticks, now: Ticks) -> Standing {
        let missing = self.sane(full_at, now).saturating_sub(now);
        let left = self.refill.saturating_sub(missing) / self.interval;
        Standing {
            limit: self.burst(),
            window: duration(self.refill),
            remaining: u32::try_from(left).unwrap_or(u32::MAX),
            next: duration((missing + (left + 1) * self.interval).saturating_sub(self.refill)),
            reset: duration(missing),
        }
    }
}
