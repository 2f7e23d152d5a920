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

#[derive(Debug)]
pub(crate) struct Places {
    sets: Box<[Mutex<Set>]>,
    hasher: RandomState,
    began: OnceLock<Instant>,
    quota: Mutex<Quota>,
    /// Whether a key that has no place takes over all that is missing in the bucket whose place it takes.
    strict: bool,
    displaced: AtomicU64,
}

#[derive(Debug)]
struct Set {
    /// That of all buckets here.
    pace: Pace,
    places: [Place; WAYS],
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
        let set = || Mutex::new(Set { pace: quota.into(), places: [Place::default(); WAYS] });
        Self {
            sets: (0..most.get().div_ceil(WAYS)).map(|_| set()).collect(),
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

    pub(crate) fn is_strict(&self) -> bool {
        self.strict
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
        let pace = set.pace;
        if let Some(place) = set.places.iter_mut().find(|place| place.hash == taken.hash) {
            if place.full_at == taken.after {
                // By the pace of now: the same number of tokens.
                place.full_at = taken.after.saturating_sub(pace.interval.saturating_mul(taken.cost.into()));
            }
        }
    }

    /// How the bucket of this key stands; a full one if it has no place.
    pub(crate) fn look(&self, key: &impl Hash, now: Instant) -> Look {
        let (hash, now) = (self.hasher.hash_one(key), self.moment(now));
        let set = self.set_of(hash);
        let held = set.places.iter().find(|place| place.hash == hash);
        Look { pace: set.pace, full_at: held.map_or(0, |place| place.full_at), now }
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
            for place in set.places.iter_mut().filter(|place| place.full_at > now) {
                place.full_at = pace.convert(from, place.full_at, now);
            }
        }
        *held = quota;
    }
}

impl Set {
    #[inline]
    fn take(&mut self, hash: u64, now: Ticks, cost: u32, strict: bool) -> Visit {
        let pace = self.pace;
        let held = self.places.iter_mut().find(|place| place.hash == hash);
        let (place, before, displaced) = match held {
            Some(place) => {
                // Kept, or it would begin again with each call, and never fill.
                place.full_at = pace.sane(place.full_at, now);
                let before = place.full_at;
                (place, before, false)
            }
            None => {
                for place in &mut self.places {
                    place.full_at = pace.sane(place.full_at, now);
                }
                // The one that is the first to be full has the least to lose.
                let place = self.places.iter_mut().min_by_key(|place| place.full_at).expect("there are eight");
                if place.full_at <= now {
                    (place, 0, false)
                } else {
                    let price = if strict { 0 } else { pace.price(cost).unwrap_or(0) };
                    let before = place.full_at.min(now + pace.refill - price);
                    (place, before, true)
                }
            }
        };
        match pace.take(before, now, cost) {
            Ok(after) => {
                *place = Place { hash, full_at: after };
                let outcome = Ok(TakenByKey { at: now, hash, after, cost });
                Visit { outcome, look: Look { pace, full_at: after, now }, displaced }
            }
            Err(short) => Visit { outcome: Err(short), look: Look { pace, full_at: before, now }, displaced: false },
        }
    }
}
