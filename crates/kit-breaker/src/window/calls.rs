//! The last so many calls: a ring of bits.

use crate::sync::{AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::SeqCst, fence};
use crate::window::Tally;
use crate::word::is_older;

/// How many outcomes a word holds, beside the generation that they belong to.
const BITS: u32 = 32;

/// A ring of outcomes. A call takes the next place, and writes its bits there; what is in the ring is counted only when
/// somebody fails. Each word says of which generation it is: one of an older generation counts as empty, and nobody of an
/// older generation writes into a newer one.
#[derive(Debug)]
pub(crate) struct Calls {
    size: u32,
    /// The generation, and how many calls it had: up to `size`, then round and round from `size` to twice that.
    head: AtomicU64,
    failed: Box<[AtomicU64]>,
    /// Empty where nobody asks how many were slow.
    slow: Box<[AtomicU64]>,
}

impl Calls {
    pub(crate) fn new(size: u32) -> Self {
        Self { size, head: AtomicU64::new(0), failed: empty(size), slow: empty(0) }
    }

    /// The same, which counts slow calls too.
    pub(crate) fn and_slow(self) -> Self {
        Self { slow: empty(self.size), ..self }
    }

    pub(crate) fn record(&self, generation: u32, failed: bool, slow: bool) {
        if let Some(place) = self.take_place(generation) {
            write(&self.failed, generation, place, failed);
            write(&self.slow, generation, place, slow);
        }
    }

    pub(crate) fn tally(&self, generation: u32) -> Tally {
        // Of two that fail at once, at least one sees both.
        fence(SeqCst);
        let (failures, slow) = (ones(&self.failed, generation), ones(&self.slow, generation));
        // After the ones, so that a share is never taken of fewer calls than there were.
        let (of, count) = split(self.head.load(Acquire));
        let calls = if of == generation { count.min(self.size) } else { 0 };
        Tally { calls, failures, slow }
    }

    fn take_place(&self, generation: u32) -> Option<u32> {
        loop {
            let head = self.head.load(Acquire);
            let (of, count) = split(head);
            let next = if of == generation {
                if count + 1 == 2 * self.size { self.size } else { count + 1 }
            } else if is_older(generation, of) {
                return None;
            } else {
                1
            };
            if self.head.compare_exchange_weak(head, join(generation, next), AcqRel, Acquire).is_ok() {
                let place = next - 1;
                return Some(if place < self.size { place } else { place - self.size });
            }
        }
    }
}

fn empty(size: u32) -> Box<[AtomicU64]> {
    (0..size.div_ceil(BITS)).map(|_| AtomicU64::new(0)).collect()
}

fn write(words: &[AtomicU64], generation: u32, place: u32, bit: bool) {
    let Some(word) = words.get((place / BITS) as usize) else { return };
    let mask = 1 << (place % BITS);
    loop {
        let old = word.load(Acquire);
        let (of, bits) = split(old);
        let bits = if of == generation {
            bits
        } else if !bit || is_older(generation, of) {
            return;
        } else {
            0
        };
        let new = join(generation, if bit { bits | mask } else { bits & !mask });
        if new == old || word.compare_exchange_weak(old, new, AcqRel, Acquire).is_ok() {
            return;
        }
    }
}

fn ones(words: &[AtomicU64], generation: u32) -> u32 {
    let of_generation = |word: &AtomicU64| {
        let (of, bits) = split(word.load(Acquire));
        if of == generation { bits.count_ones() } else { 0 }
    };
    words.iter().map(of_generation).sum()
}

const fn split(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

const fn join(generation: u32, rest: u32) -> u64 {
    (generation as u64) << 32 | rest as u64
}
