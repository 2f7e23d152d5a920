//! The calls of some time: slices of it, each counted in a word of its own.

use std::time::Duration;

use crate::sync::{AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::SeqCst, fence};
use crate::window::Tally;

const SLICES: usize = 10;

/// The bits of a count. What does not fit any more is halved, all of the slice: its rates stay what they are.
const COUNT: u32 = 20;
const MOST: u64 = (1 << COUNT) - 1;
const TAG_SHIFT: u32 = 2 * COUNT;
const COUNTS: u64 = (1 << TAG_SHIFT) - 1;
const TAG: u64 = (1 << 24) - 1;
/// A call that ended up to so many slices ago is known to come too late for a slice that has begun anew.
const LATE: u64 = 1 << 12;

/// Slices of time in a ring. Each says which slice it is of, in 24 bits; the numbers of two generations lie further apart
/// than a window, so that none sees what the other has counted.
#[derive(Debug)]
pub(crate) struct Slices {
    width: u64,
    slices: Box<[Slice]>,
}

#[derive(Debug)]
struct Slice {
    /// From the lowest bit: failures, calls, which slice it is.
    calls: AtomicU64,
    /// From the lowest bit: slow calls (twice as wide), which slice it is.
    slow: AtomicU64,
}

impl Slices {
    pub(crate) fn sliding(time: Duration) -> Self {
        let width = time.as_nanos() / SLICES as u128;
        Self::new(u64::try_from(width).unwrap_or(u64::MAX).max(1), SLICES)
    }

    /// One slice that never ends.
    pub(crate) fn whole() -> Self {
        Self::new(u64::MAX, 1)
    }

    fn new(width: u64, slices: usize) -> Self {
        let slice = |_| Slice { calls: AtomicU64::new(0), slow: AtomicU64::new(0) };
        Self { width, slices: (0..slices).map(slice).collect() }
    }

    /// The number of the present slice.
    fn number(&self, generation: u32, now: u64) -> u64 {
        now / self.width + u64::from(generation) * (self.slices.len() as u64 + 1)
    }

    fn slice(&self, number: u64) -> &Slice {
        // There are so many, or one; to divide by what is known is cheap.
        let place = if self.slices.len() == SLICES { number % SLICES as u64 } else { 0 };
        &self.slices[place as usize]
    }

    pub(crate) fn record(&self, generation: u32, now: u64, failed: bool, slow: bool) {
        let number = self.number(generation, now);
        let slice = self.slice(number);
        if slow {
            add(&slice.slow, number, |slow| slow + 1);
        }
        let mut is_full = false;
        add(&slice.calls, number, |counts| {
            let (calls, failures) = (counts >> COUNT, counts & MOST);
            is_full = calls == MOST;
            let (calls, failures) = if is_full { (calls / 2, failures / 2) } else { (calls, failures) };
            (calls + 1) << COUNT | (failures + u64::from(failed))
        });
        if is_full {
            add(&slice.slow, number, |slow| slow / 2);
        }
    }

    pub(crate) fn tally(&self, generation: u32, now: u64) -> Tally {
        // Of two that fail at once, at least one sees both.
        fence(SeqCst);
        let present = self.number(generation, now);
        let mut tally = Tally::default();
        for age in 0..self.slices.len() as u64 {
            let number = present.wrapping_sub(age);
            let slice = self.slice(number);
            let counts = counts(&slice.calls, number);
            let calls = (counts >> COUNT) as u32;
            tally.calls += calls;
            tally.failures += (counts & MOST) as u32;
            // Where the calls were halved this moment, the slow ones are about to be.
            tally.slow += (self::counts(&slice.slow, number) as u32).min(calls);
        }
        tally
    }
}

/// What a word counts, if it is of this slice.
fn counts(word: &AtomicU64, number: u64) -> u64 {
    let word = word.load(Acquire);
    if word >> TAG_SHIFT == number & TAG { word & COUNTS } else { 0 }
}

/// Counts in a slice, which begins anew if it was another before. What comes too late for its slice is lost; for one that has
/// counted nothing yet, nothing comes too late.
fn add(word: &AtomicU64, number: u64, mut count: impl FnMut(u64) -> u64) {
    let tag = number & TAG;
    loop {
        let old = word.load(Acquire);
        let before = if old >> TAG_SHIFT == tag {
            old & COUNTS
        } else if old != 0 && is_older(tag, old >> TAG_SHIFT) {
            return;
        } else {
            0
        };
        if word.compare_exchange_weak(old, tag << TAG_SHIFT | count(before), AcqRel, Acquire).is_ok() {
            return;
        }
    }
}

/// Tags have 24 bits, and wrap around. What is not just before is after, however long nobody called: half of the ring for
/// each would leave a window of 100 ms blind after a quiet day.
const fn is_older(tag: u64, than: u64) -> bool {
    let behind = than.wrapping_sub(tag) & TAG;
    behind != 0 && behind <= LATE
}
