//! A bucket that all threads share: one word, and the pace at which it fills.

use std::sync::{OnceLock, PoisonError};
use std::time::Instant;

use crate::gcra::{Pace, Short, Ticks, moment};
use crate::sync::{AtomicU64, Mutex, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use crate::{Quota, Standing};

/// The two lowest bits count the changes of the pace, so that nobody who has read the one before can take by it.
const CHANGES: u64 = 0b11;

/// The word while the pace changes. No bucket comes near to it.
const CHANGING: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Bucket {
    /// When it will be full, shifted by two bits, and the count of changes.
    word: AtomicU64,
    interval: AtomicU64,
    refill: AtomicU64,
    began: OnceLock<Instant>,
    quota: Mutex<Quota>,
}

/// What a call has taken, and when: the word before and after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    at: Ticks,
    before: u64,
    after: u64,
}

impl Taken {
    /// By a call that takes nothing. To give it back changes nothing.
    pub(crate) const NOTHING: Self = Self { at: 0, before: 0, after: 0 };
}

/// A look at a bucket. Public, since a sealed trait speaks of it, but nobody outside can name it.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub(crate) pace: Pace,
    pub(crate) full_at: Ticks,
    pub(crate) now: Ticks,
}

impl Look {
    pub(crate) fn standing(self) -> Standing {
        self.pace.standing(self.full_at, self.now)
    }
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(quota: Quota) -> Self {
        let pace = Pace::from(quota);
        Self {
            word: AtomicU64::new(0),
            interval: AtomicU64::new(pace.interval),
            refill: AtomicU64::new(pace.refill),
            began: OnceLock::new(),
            quota: Mutex::new(quota),
        }
    }

    #[inline]
    fn moment(&self, now: Instant) -> Ticks {
        moment(now, *self.began.get_or_init(|| now))
    }

    /// The word, and the pace that goes with it.
    #[inline]
    fn read(&self) -> (u64, Pace) {
        loop {
            let word = self.word.load(Acquire);
            if word == CHANGING {
                self.wait_for_change();
                continue;
            }
            // Acquire: whoever sees a new pace sees that the word has changed.
            return (word, Pace { interval: self.interval.load(Acquire), refill: self.refill.load(Acquire) });
        }
    }

    #[cold]
    fn wait_for_change(&self) {
        drop(self.quota.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes so many tokens, or says for how long there are too few. Either way gives the bucket as it is then.
    // Always: only so is the look that most do not want never made.
    #[inline(always)]
    pub(crate) fn take(&self, now: Instant, cost: u32) -> (Result<Taken, Short>, Look) {
        let now = self.moment(now);
        loop {
            let (before, pace) = self.read();
            let full_at = before >> 2;
            match pace.take(full_at, now, cost) {
                Ok(full_at) => {
                    let after = full_at << 2 | before & CHANGES;
                    if self.word.compare_exchange_weak(before, after, Relaxed, Relaxed).is_ok() {
                        return (Ok(Taken { at: now, before, after }), Look { pace, full_at, now });
                    }
                }
                // The pace may have been half of one and half of the next.
                Err(short) => {
                    let begun = pace.sane(full_at, now);
                    let unchanged = if begun == full_at {
                        self.word.load(Acquire) == before
                    } else {
                        // The clock has gone back. Kept, or it would begin again with each call, and never fill.
                        let after = begun << 2 | before & CHANGES;
                        self.word.compare_exchange(before, after, Relaxed, Relaxed).is_ok()
                    };
                    if unchanged {
                        return (Err(short), Look { pace, full_at: begun, now });
                    }
                }
            }
        }
    }

    /// Gives back what was taken at this very moment, unless somebody has taken something since: then the bucket may have been
    /// full in between, and would come to hold more than ever came in.
    #[cold]
    pub(crate) fn give_back(&self, taken: Taken, now: Instant) {
        if self.moment(now) == taken.at {
            let _ = self.word.compare_exchange(taken.after, taken.before, Relaxed, Relaxed);
        }
    }

    pub(crate) fn look(&self, now: Instant) -> Look {
        let now = self.moment(now);
        loop {
            let (word, pace) = self.read();
            if self.word.load(Acquire) == word {
                return Look { pace, full_at: word >> 2, now };
            }
        }
    }

    pub(crate) fn quota(&self) -> Quota {
        *self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on at another pace, with the tokens that it has.
    pub(crate) fn change(&self, quota: Quota, now: Instant) {
        let mut held = self.quota.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, from, pace) = (self.moment(now), Pace::from(*held), Pace::from(quota));
        *held = quota;
        let word = self.word.swap(CHANGING, Acquire);
        self.interval.store(pace.interval, Release);
        self.refill.store(pace.refill, Release);
        let full_at = pace.convert(from, word >> 2, now);
        self.word.store(full_at << 2 | word.wrapping_add(1) & CHANGES, Release);
    }
}
