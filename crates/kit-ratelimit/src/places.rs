//! The buckets of all keys: a fixed number of places, in sets of eight that share a lock.
//!
//! A key is known by its hash alone, under a secret; it can be in one set only. So nothing is allocated, a call looks at eight
//! places, and no lock is shared by more than the keys of one set.

use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use crate::Quota;
use crate::bucket::Look;
use crate::gcra::{Pace, Short, Ticks, moment};

/// Places in a set: two cache lines of them.
const WAYS: usize = 8;

/// More places than this are not made: 336 MB. A number out of a configuration must not end the program.
const MOST: usize = 1 << 24;

#[derive(Debug)]
pub(crate) struct Places {
    sets: Box<[Mutex<Set>]>,
    hasher: RandomState,
    began: OnceLock<Instant>,
    quota: Mutex<Quota>,
    /// Whether a key that has no place takes over all that is missing in the bucket whose place it takes.
    pub(crate) strict: bool,
    displaced: AtomicU64,
}

#[derive(Debug)]
struct Set {
    /// That of all buckets here.
    pace: Pace,
    /// When the last bucket that has lost its place here would have been full, at the latest. No key without a place has less
    /// left than a bucket of this.
    lost: Ticks,
    places: [Place; WAYS],
}

/// Where a key is in its set, or would come in.
#[derive(Clone, Copy, Debug)]
struct Found {
    index: usize,
    known: bool,
    /// The bucket that its next call finds.
    full_at: Ticks,
}

/// A bucket, and the hash of its key. One that is full may as well not be there.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    hash: u64,
    full_at: Ticks,
}

/// What a call has taken, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TakenByKey {
    at: Ticks,
    hash: u64,
    after: Ticks,
    cost: u32,
}

impl TakenByKey {
    /// By a call that takes nothing. To give it back changes nothing.
    pub(crate) const NOTHING: Self = Self { at: 0, hash: 0, after: 0, cost: 0 };
}

/// A call at its bucket.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) outcome: Result<TakenByKey, Short>,
    pub(crate) look: Look,
    /// Whether a bucket that was not full has given up its place.
    pub(crate) displaced: bool,
}

impl Places {
    pub(crate) fn new(quota: Quota, most: NonZeroUsize, strict: bool) -> Self {
        let set = || Mutex::new(Set { pace: quota.into(), lost: 0, places: [Place::default(); WAYS] });
        Self {
            sets: (0..most.get().min(MOST).div_ceil(WAYS)).map(|_| set()).collect(),
            hasher: RandomState::new(),
            began: OnceLock::new(),
            quota: Mutex::new(quota),
            strict,
            displaced: AtomicU64::new(0),
        }
    }

    /// Full buckets, with the same settings.
    pub(crate) fn fresh(&self) -> Self {
        Self::new(self.quota(), self.places(), self.strict)
    }

    pub(crate) fn places(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.sets.len() * WAYS).unwrap_or(NonZeroUsize::MIN)
    }

    pub(crate) fn displaced(&self) -> u64 {
        self.displaced.load(Relaxed)
    }

    pub(crate) fn quota(&self) -> Quota {
        *self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn moment(&self, now: Instant) -> Ticks {
        moment(now, *self.began.get_or_init(|| now))
    }

    #[inline]
    fn set_of(&self, hash: u64) -> MutexGuard<'_, Set> {
        // The high half of the product: any number of sets, evenly, without a division.
        let index = (u128::from(hash) * self.sets.len() as u128) >> 64;
        self.sets[index as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes so many tokens from the bucket of this key, or of all calls that have none.
    #[inline]
    pub(crate) fn take(&self, key: Option<&impl Hash>, now: Instant, cost: u32) -> Visit {
        // Apart from the key, whether there is one would be hashed too.
        let hash = key.map_or(0, |key| self.hasher.hash_one(key));
        let now = self.moment(now);
        let visit = self.set_of(hash).take(hash, now, cost, self.strict);
        if visit.displaced {
            self.displaced.fetch_add(1, Relaxed);
        }
        visit
    }

    /// Gives back what was taken at this very moment, unless somebody has taken something since.
    #[cold]
    pub(crate) fn give_back(&self, taken: TakenByKey, now: Instant) {
        if self.moment(now) != taken.at {
            return;
        }
        let mut set = self.set_of(taken.hash);
        // By the pace of now: the same number of tokens.
        let price = set.pace.interval.saturating_mul(taken.cost.into());
        let held = |place: &&mut Place| place.hash == taken.hash && place.full_at == taken.after;
        if let Some(place) = set.places.iter_mut().find(held) {
            place.full_at = place.full_at.saturating_sub(price);
        }
    }

    /// How the bucket of this key stands; if it has no place, how it would begin.
    pub(crate) fn look(&self, key: &impl Hash, now: Instant) -> Look {
        let (hash, now) = (self.hasher.hash_one(key), self.moment(now));
        let set = self.set_of(hash);
        Look { pace: set.pace, full_at: set.find(hash, now, self.strict).full_at, now }
    }

    /// How many buckets are not full.
    pub(crate) fn in_use(&self, now: Instant) -> usize {
        let now = self.moment(now);
        let in_set = |set: &Mutex<Set>| {
            let set = set.lock().unwrap_or_else(PoisonError::into_inner);
            set.places.iter().filter(|place| place.full_at > now).count()
        };
        self.sets.iter().map(in_set).sum()
    }

    /// Goes on at another pace, set by set. Each bucket keeps the tokens that it has.
    pub(crate) fn change(&self, quota: Quota, now: Instant) {
        // Held to the end, so that of two changes one is the last everywhere.
        let mut held = self.quota.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, pace) = (self.moment(now), Pace::from(quota));
        for set in &self.sets {
            let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
            let from = std::mem::replace(&mut set.pace, pace);
            let Set { lost, places, .. } = &mut *set;
            let buckets = places.iter_mut().map(|place| &mut place.full_at).chain([lost]);
            for full_at in buckets.filter(|full_at| **full_at > now) {
                *full_at = pace.convert(from, *full_at, now);
            }
        }
        *held = quota;
    }
}

impl Set {
    #[inline]
    fn find(&self, hash: u64, now: Ticks, strict: bool) -> Found {
        match self.places.iter().position(|place| place.hash == hash) {
            Some(index) => Found { index, known: true, full_at: self.places[index].full_at },
            None => self.newcomer(now, strict),
        }
    }

    #[inline(never)]
    fn newcomer(&self, now: Ticks, strict: bool) -> Found {
        // The one that is the first to be full has the least to lose.
        let by_time = |index: &usize| self.places[*index].full_at;
        let index = (0..WAYS).min_by_key(by_time).unwrap_or(0);
        // Whoever comes may have been here before, so it has no more than what those had who have lost their places.
        let least = self.lost.max(self.places[index].full_at);
        // But it has one token, be its call as costly as it may.
        let full_at = if strict { least } else { least.min(now + self.pace.refill - self.pace.interval) };
        Found { index, known: false, full_at }
    }

    #[inline]
    fn take(&mut self, hash: u64, now: Ticks, cost: u32, strict: bool) -> Visit {
        let pace = self.pace;
        let Found { index, known, full_at: before } = self.find(hash, now, strict);
        let after = match pace.take(before, now, cost) {
            Ok(after) => after,
            Err(short) => {
                // Kept, or it would begin again with each call, and never fill.
                self.places[index].full_at = pace.sane(self.places[index].full_at, now);
                self.lost = pace.sane(self.lost, now);
                return Visit { outcome: Err(short), look: Look { pace, full_at: before, now }, displaced: false };
            }
        };
        let held = std::mem::replace(&mut self.places[index], Place { hash, full_at: after });
        let displaced = !known && held.full_at > now;
        if displaced {
            self.lost = self.lost.max(held.full_at);
            // Of those that are full at the same moment the first goes first.
            self.places[index..].rotate_left(1);
            self.keep_sane(now);
        }
        let outcome = Ok(TakenByKey { at: now, hash, after, cost });
        Visit { outcome, look: Look { pace, full_at: after, now }, displaced }
    }

    /// After a clock that went back, so that the time which it goes through again counts.
    #[cold]
    fn keep_sane(&mut self, now: Ticks) {
        for place in &mut self.places {
            place.full_at = self.pace.sane(place.full_at, now);
        }
        self.lost = self.pace.sane(self.lost, now);
    }
}
