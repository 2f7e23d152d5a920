//! The calls of some time: slices of it, each counted in a word of its own.

use std::time::Duration;

use crate::sync::{AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::SeqCst, fence};
use crate::window::Tally;

const SLICES: usize = 10;

/// The bits of a count. What does not fit any more is halved, both counts of the slice: its share stays what it is.
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
    failed: Box<[Slice]>,
    /// Empty where nobody asks how many were slow.
    slow: Box<[Slice]>,
}

/// From the lowest bit: how many of the calls it was, all calls, which slice it is.
type Slice = AtomicU64;

impl Slices {
    pub(crate) fn sliding(time: Duration) -> Self {
        let width = time.as_nanos() / SLICES as u128;
        Self { width: u64::try_from(width).unwrap_or(u64::MAX).max(1), failed: empty(SLICES), slow: empty(0) }
    }

    /// One slice that never ends.
    pub(crate) fn whole() -> Self {
        Self { width: u64::MAX, failed: empty(1), slow: empty(0) }
    }

    /// The same, which counts slow calls too.
    pub(crate) fn and_slow(self) -> Self {
        Self { slow: empty(self.failed.len()), ..self }
    }

    /// The number of the present slice.
    fn number(&self, generation: u32, now: u64) -> u64 {
        now / self.width + u64::from(generation) * (self.failed.len() as u64 + 1)
    }

    fn place(&self, number: u64) -> usize {
        // There are so many, or one; to divide by what is known is cheap.
        if self.failed.len() == SLICES { (number % SLICES as u64) as usize } else { 0 }
    }

    pub(crate) fn record(&self, generation: u32, now: u64, failed: bool, slow: bool) {
        let number = self.number(generation, now);
        let place = self.place(number);
        // First, so that a share is never taken of fewer calls than there were.
        if let Some(slice) = self.slow.get(place) {
            add(slice, number, slow);
        }
        add(&self.failed[place], number, failed);
    }

    pub(crate) fn tally(&self, generation: u32, now: u64) -> Tally {
        // Of two that fail at once, at least one sees both.
        fence(SeqCst);
        let present = self.number(generation, now);
        let mut tally = Tally::default();
        for age in 0..self.failed.len() as u64 {
            let number = present.wrapping_sub(age);
            let place = self.place(number);
            let (calls, failures) = counts(&self.failed[place], number);
            tally.calls += calls as u32;
            tally.failures += failures as u32;
            if let Some(slice) = self.slow.get(place) {
                let (of, slow) = counts(slice, number);
                // Both are halved, though not at the very same moment.
                tally.slow += (slow * calls).div_ceil(of.max(1)) as u32;
            }
        }
        tally
    }
}

fn empty(slices: usize) -> Box<[Slice]> {
    (0..slices).map(|_| AtomicU64::new(0)).collect()
}

/// All calls of a word, and how many of them it was, if it is of this slice.
fn counts(word: &Slice, number: u64) -> (u64, u64) {
    let word = word.load(Acquire);
    if word >> TAG_SHIFT == number & TAG { (word >> COUNT & MOST, word & MOST) } else { (0, 0) }
}

/// Counts in a slice, which begins anew if it was another before. What comes too late for its slice is lost; for one that has
/// counted nothing yet, nothing comes too late.
fn add(word: &Slice, number: u64, one: bool) {
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
        let (calls, ones) = (before >> COUNT, before & MOST);
        let (calls, ones) = if calls == MOST { (calls / 2, ones / 2) } else { (calls, ones) };
        let new = tag << TAG_SHIFT | (calls + 1) << COUNT | (ones + u64::from(one));
        if word.compare_exchange_weak(old, new, AcqRel, Acquire).is_ok() {
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
