//! What is kept of an instance while it lives: its connection, and how its calls went.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use kit_base::{End, Error, Gate, Guard, Now, Origin, RetryHint, Verdict};

use crate::methods::Methods;

/// tokio's clock, so that paused time counts too.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A clock as a type that can be named.
pub(crate) type TokioClock = fn() -> Instant;

/// A connection with its record, behind the gate that keeps the record. Clones share it.
pub(crate) type Live<C, K> = Guard<Record<C>, K, TokioClock>;

/// The longest time for which an instance is passed over; what a peer asks for beyond is cut.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// After the first call that could not be sent; twice as long each time that it is tried in vain after a rest.
const FIRST_REST: Duration = Duration::from_millis(100);

/// The connection to an instance and the record of its calls.
#[derive(Debug)]
pub struct Record<C> {
    pub(crate) connection: C,
    pub(crate) methods: Methods,
    pub(crate) stats: Stats,
}

impl<C> Record<C> {
    pub(crate) fn new(connection: C, epoch: Instant) -> Self {
        Self { connection, methods: Methods::default(), stats: Stats::new(epoch) }
    }
}

/// How the calls to an instance went.
#[derive(Debug)]
pub(crate) struct Stats {
    started: AtomicU64,
    ended: AtomicU64,
    failed: AtomicU64,
    /// Milliseconds from `epoch` until which it is passed over; 0 for never.
    rests_until: AtomicU64,
    unreached: AtomicU32,
    epoch: Instant,
}

impl Stats {
    fn new(epoch: Instant) -> Self {
        let zero = || AtomicU64::new(0);
        let (started, ended, failed, rests_until) = (zero(), zero(), zero(), zero());
        Self { started, ended, failed, rests_until, unreached: AtomicU32::new(0), epoch }
    }

    pub(crate) fn begin(&self) {
        self.started.fetch_add(1, Relaxed);
    }

    pub(crate) fn end(&self) {
        self.ended.fetch_add(1, Relaxed);
    }

    /// Calls that run, streams that are read included. One that ends just then may make it negative.
    #[inline]
    pub(crate) fn running(&self) -> i64 {
        let ended = self.ended.load(Relaxed);
        self.started.load(Relaxed).wrapping_sub(ended) as i64
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.running().max(0) as u64
    }

    pub(crate) fn started(&self) -> u64 {
        self.started.load(Relaxed)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Whether it is to be passed over now. Reads the clock only if it was asked to rest.
    #[inline]
    pub(crate) fn rests(&self) -> bool {
        let until = self.rests_until.load(Relaxed);
        until != 0 && self.rests_still(until)
    }

    #[cold]
    fn rests_still(&self, until: u64) -> bool {
        let rests = self.since_epoch(now()) < until;
        if !rests {
            // Unless somebody has prolonged it meanwhile.
            let _ = self.rests_until.compare_exchange(until, 0, Relaxed, Relaxed);
        }
        rests
    }

    #[cold]
    fn rest(&self, length: Duration, now: Instant) {
        let until = self.since_epoch(now).saturating_add(length.min(LONGEST_REST).as_millis() as u64);
        self.rests_until.fetch_max(until, Relaxed);
    }

    fn since_epoch(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_millis() as u64
    }

    /// Another call could not be sent. What fails while it rests already says nothing new: calls that wait for one connection
    /// fail together.
    #[cold]
    fn could_not_reach(&self, now: Instant) {
        let (at, until) = (self.since_epoch(now), self.rests_until.load(Relaxed));
        if at < until {
            return;
        }
        let before = self.unreached.load(Relaxed).min(16);
        let longest = FIRST_REST.saturating_mul(1 << before).min(LONGEST_REST);
        // From half of it, so that not everybody comes back at once.
        let rest = longest.mul_f64(0.5 + 0.5 * fastrand::f64()).as_millis() as u64;
        // Of those that fail at the same moment, one counts.
        if self.rests_until.compare_exchange(until, at.saturating_add(rest), Relaxed, Relaxed).is_ok() {
            self.unreached.fetch_add(1, Relaxed);
        }
    }

    fn reached(&self) {
        if self.unreached.load(Relaxed) != 0 {
            self.unreached.store(0, Relaxed);
        }
    }
}

impl<Req, Res, Err, C: Send + Sync + 'static> Gate<Req, Res, Err> for Record<C> {
    const REFUSES: bool = false;
    type Permit = ();

    #[inline]
    fn admit(&self, _: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        self.stats.begin();
        Ok(())
    }

    #[inline]
    fn finish(&self, (): (), end: &End<'_>) {
        let judgement = end.judgement;
        if judgement.verdict == Verdict::Success {
            self.stats.reached();
        } else {
            self.stats.went_wrong(end);
        }
        self.stats.end();
    }
}

impl Stats {
    #[cold]
    fn went_wrong(&self, end: &End<'_>) {
        let judgement = end.judgement;
        if judgement.is_failure() {
            self.failed.fetch_add(1, Relaxed);
        }
        match (judgement.verdict, judgement.origin) {
            (Verdict::Transient, Origin::NotSent) => self.could_not_reach(end.now.get()),
            (Verdict::Overloaded, Origin::Remote | Origin::LocalRefusal) => {
                if let RetryHint::After(after) = judgement.retry_hint {
                    self.rest(after, end.now.get());
                }
            }
            // By what stands around it, for nobody knows how long: a breaker that was forced open.
            (Verdict::Transient, Origin::LocalRefusal) => self.rest(FIRST_REST, end.now.get()),
            _ => {}
        }
        if judgement.origin == Origin::Remote {
            self.reached();
        }
    }
}
