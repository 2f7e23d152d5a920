//! What the models share: a bucket at a moment, and threads.

use std::time::{Duration, Instant};

use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

use crate::Quota;
use crate::bucket::{Bucket, Taken};
use crate::gcra::Short;

/// All interleavings of a model.
pub(crate) fn all(model: impl Fn() + Send + Sync + 'static) {
    Builder::new().check(model);
}

/// All interleavings in which threads are interrupted no more than so many times.
pub(crate) fn interrupted(times: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(times);
    builder.check(model);
}

/// A token in so many nanoseconds, so many at once.
pub(crate) fn each(interval: u64, burst: u32) -> Quota {
    let one = const { std::num::NonZeroU32::new(1).unwrap() };
    let quota = Quota::per(one, Duration::from_nanos(interval)).expect("a period");
    quota.with_burst(burst.try_into().expect("not zero"))
}

/// A bucket, and a moment that it knows.
pub(crate) struct At {
    pub(crate) bucket: Bucket,
    pub(crate) now: Instant,
}

impl At {
    /// Of which so many are taken.
    pub(crate) fn with(quota: Quota, taken: u32) -> Arc<Self> {
        let at = Self { bucket: Bucket::new(quota), now: Instant::now() };
        assert!(taken == 0 || at.takes(taken).is_ok());
        assert_eq!(at.left(), quota.burst().get() - taken);
        Arc::new(at)
    }

    pub(crate) fn takes(&self, cost: u32) -> Result<Taken, Short> {
        self.bucket.take(self.now, cost).0
    }

    pub(crate) fn gives_back(&self, taken: Taken) {
        self.bucket.give_back(taken, self.now);
    }

    pub(crate) fn change(&self, quota: Quota) {
        self.bucket.change(quota, self.now);
    }

    /// How many are left.
    pub(crate) fn left(&self) -> u32 {
        self.bucket.look(self.now).standing().remaining
    }
}

/// Runs two at once: one on another thread.
pub(crate) fn both<A: 'static, B>(
    at: &Arc<At>,
    one: impl FnOnce(&At) -> A + 'static,
    other: impl FnOnce(&At) -> B,
) -> (A, B) {
    let shared = Arc::clone(at);
    let one = thread::spawn(move || one(&shared));
    let other = other(at);
    (one.join().expect("it ends"), other)
}

/// Runs three at once: two on other threads.
pub(crate) fn three<A: 'static, B: 'static, C>(
    at: &Arc<At>,
    one: impl FnOnce(&At) -> A + 'static,
    two: impl FnOnce(&At) -> B + 'static,
    three: impl FnOnce(&At) -> C,
) -> (A, B, C) {
    let shared = Arc::clone(at);
    let one = thread::spawn(move || one(&shared));
    let (two, three) = both(at, two, three);
    (one.join().expect("it ends"), two, three)
}
