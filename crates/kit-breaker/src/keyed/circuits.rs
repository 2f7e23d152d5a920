//! The circuits of all keys: a table to find them in, and a ring of places with a hand that looks for one to give away.
//!
//! The ring is locked only to come in, a part of the table to be found, and both, in this order, to go. What is let go of, and
//! what is new, is dropped, made and told without a lock.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use hashbrown::HashTable;
use kit_base::{Event, Observer};

use super::entry::{Entry, Fate};
use super::plan::Plan;
use crate::breaker::Breaker;
use crate::circuit::Nanos;
use crate::rules::nanos;
use crate::{InvalidSettings, Settings};

/// How many circuits are looked at to find a place.
const LOOKS: usize = 16;
/// About how many circuits share a lock.
const PER_LOCK: usize = 256;
const LOCKS: (usize, usize) = (16, 4096);
/// How many circuits are walked through at a time, and keep their places meanwhile.
const AT_ONCE: usize = 64;

type Shard<K, O> = RwLock<HashTable<Arc<Entry<K, O>>>>;

pub(crate) struct Circuits<K, O> {
    plan: ArcSwap<Plan>,
    /// Held while all circuits are changed.
    changing: Mutex<()>,
    most: NonZeroUsize,
    idle: Nanos,
    observer: O,
    unguarded: AtomicU64,
    hasher: RandomState,
    shards: Box<[Shard<K, O>]>,
    ring: Mutex<Ring<K, O>>,
}

/// All circuits. Each keeps its place as long as it is there.
struct Ring<K, O> {
    places: Vec<Arc<Entry<K, O>>>,
    hand: usize,
}

/// What comes of asking for a place.
enum Coming<K, O> {
    /// It has come in; this one has gone for it.
    In(Option<(Arc<Entry<K, O>>, Fate)>),
    /// Somebody was faster.
    Found(Arc<Entry<K, O>>),
    Full,
    /// The settings have changed meanwhile.
    Changed,
}

impl<K, O> Circuits<K, O> {
    pub(crate) fn new(settings: Settings, most: NonZeroUsize, idle: Duration, o: O) -> Result<Self, InvalidSettings> {
        Ok(Self::with_plan(Arc::new(Plan::new(settings)?), most, nanos(idle), o))
    }

    fn with_plan(plan: Arc<Plan>, most: NonZeroUsize, idle: Nanos, observer: O) -> Self {
        let shards = (most.get() / PER_LOCK).clamp(LOCKS.0, LOCKS.1).next_power_of_two();
        Self {
            plan: ArcSwap::new(plan),
            changing: Mutex::new(()),
            most,
            idle,
            observer,
            unguarded: AtomicU64::new(0),
            hasher: RandomState::new(),
            shards: (0..shards).map(|_| RwLock::new(HashTable::new())).collect(),
            ring: Mutex::new(Ring { places: Vec::new(), hand: 0 }),
        }
    }

    /// The same settings, and no circuit.
    pub(crate) fn with_most(self, most: NonZeroUsize) -> Self {
        Self::with_plan(self.plan.load_full(), most, self.idle, self.observer)
    }

    pub(crate) fn with_idle(self, idle: Duration) -> Self {
        Self::with_plan(self.plan.load_full(), self.most, nanos(idle), self.observer)
    }

    pub(crate) fn with_observer<P>(&self, observer: P) -> Circuits<K, P> {
        Circuits::with_plan(self.plan.load_full(), self.most, self.idle, observer)
    }

    pub(crate) const fn observer(&self) -> &O {
        &self.observer
    }

    pub(crate) fn unguarded(&self) -> u64 {
        self.unguarded.load(Relaxed)
    }

    pub(crate) fn len(&self) -> usize {
        self.ring().places.len()
    }

    fn ring(&self) -> MutexGuard<'_, Ring<K, O>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By bits of the hash that the table does not use.
    fn shard(&self, hash: u64) -> &Shard<K, O> {
        &self.shards[(hash >> 32) as usize % self.shards.len()]
    }

    /// Sees all circuits; none that stays is left out. No lock is held meanwhile.
    pub(crate) fn for_each(&self, mut see: impl FnMut(&Entry<K, O>)) {
        let mut seen = 0;
        loop {
            let some: Vec<_> = self.ring().places.iter().skip(seen).take(AT_ONCE).cloned().collect();
            if some.is_empty() {
                return;
            }
            seen += some.len();
            some.iter().for_each(|entry| see(entry));
        }
    }
}

impl<K: Hash + Eq + fmt::Display, O: Observer + Clone> Circuits<K, O> {
    pub(crate) fn find(&self, key: &K) -> Option<Arc<Entry<K, O>>> {
        self.find_hashed(self.hasher.hash_one(key), key)
    }

    fn find_hashed(&self, hash: u64, key: &K) -> Option<Arc<Entry<K, O>>> {
        let shard = self.shard(hash).read().unwrap_or_else(PoisonError::into_inner);
        shard.find(hash, |entry| entry.hash == hash && entry.key == *key).map(Arc::clone)
    }

    /// The circuit of this key, or a new one if there is a place for it.
    pub(crate) fn find_or_make(&self, key: K, now: impl FnOnce() -> Instant) -> Option<Arc<Entry<K, O>>> {
        let hash = self.hasher.hash_one(&key);
        match self.find_hashed(hash, &key) {
            Some(entry) => {
                entry.note_call();
                Some(entry)
            }
            None => self.make(hash, key, now()),
        }
    }

    #[cold]
    fn make(&self, hash: u64, key: K, now: Instant) -> Option<Arc<Entry<K, O>>> {
        let mut plan = self.plan.load_full();
        let breaker = Breaker::with_rules(plan.rules(), key.to_string().into(), self.observer.clone());
        let entry = Arc::new(Entry::new(hash, key, breaker, now));
        loop {
            match self.come_in(&entry, &plan, now) {
                Coming::In(gone) => {
                    if let Some((gone, Fate::IsForgotten)) = gone {
                        self.observer.observe(&Event::new("breaker", "forgotten", gone.breaker.name()));
                    }
                    return Some(entry);
                }
                Coming::Found(found) => return Some(found),
                Coming::Full => return None,
                Coming::Changed => {
                    plan = self.plan.load_full();
                    entry.breaker.follow(plan.rules());
                }
            }
        }
    }

    fn come_in(&self, entry: &Arc<Entry<K, O>>, plan: &Arc<Plan>, now: Instant) -> Coming<K, O> {
        let mut ring = self.ring();
        if let Some(found) = self.find_hashed(entry.hash, &entry.key) {
            return Coming::Found(found);
        }
        if !Arc::ptr_eq(&self.plan.load(), plan) {
            return Coming::Changed;
        }
        let gone = if ring.places.len() < self.most.get() {
            ring.places.push(Arc::clone(entry));
            None
        } else {
            let Some((place, fate)) = self.make_room(&mut ring, now) else { return Coming::Full };
            Some((std::mem::replace(&mut ring.places[place], Arc::clone(entry)), fate))
        };
        let mut shard = self.shard(entry.hash).write().unwrap_or_else(PoisonError::into_inner);
        shard.insert_unique(entry.hash, Arc::clone(entry), |entry| entry.hash);
        Coming::In(gone)
    }

    /// Takes a circuit out of the table; its place is free then. One that was called since the hand last came by, and holds
    /// nothing, goes only if there is no other.
    fn make_room(&self, ring: &mut Ring<K, O>, now: Instant) -> Option<(usize, Fate)> {
        let mut second_best = None;
        for _ in 0..LOOKS.min(ring.places.len()) {
            let place = ring.hand;
            ring.hand = (place + 1) % ring.places.len();
            let entry = &ring.places[place];
            match entry.fate(self.idle, now) {
                Fate::Stays => {}
                Fate::Goes if entry.take_call() => second_best = second_best.or(Some(place)),
                _ => {
                    if let Some(fate) = self.take_out(entry, now) {
                        return Some((place, fate));
                    }
                }
            }
        }
        let place = second_best?;
        self.take_out(&ring.places[place], now).map(|fate| (place, fate))
    }

    /// Takes it out, unless somebody has called it meanwhile.
    fn take_out(&self, entry: &Arc<Entry<K, O>>, now: Instant) -> Option<Fate> {
        let mut shard = self.shard(entry.hash).write().unwrap_or_else(PoisonError::into_inner);
        let fate = entry.fate(self.idle, now);
        if fate == Fate::Stays {
            return None;
        }
        shard.find_entry(entry.hash, |other| Arc::ptr_eq(other, entry)).ok()?.remove();
        Some(fate)
    }

    /// A call goes on though there was no place for its key.
    #[cold]
    pub(crate) fn let_by(&self) {
        self.unguarded.fetch_add(1, Relaxed);
        self.observer.observe(&Event::new("breaker", "unguarded", ""));
    }

    pub(crate) fn change(&self, settings: Settings) -> Result<(), InvalidSettings> {
        let plan = Arc::new(Plan::new(settings)?);
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever comes in from here on has it; the others are walked through.
        self.plan.store(Arc::clone(&plan));
        self.for_each(|entry| entry.breaker.follow(plan.rules()));
        Ok(())
    }
}

impl<K, O> fmt::Debug for Circuits<K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circuits").field("most", &self.most).field("unguarded", &self.unguarded).finish_non_exhaustive()
    }
}
