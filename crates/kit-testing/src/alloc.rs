//! Counting allocations, in a program with one running thread.
//!
//! The program decides on its allocator: a bench, example or test binary that wants to count installs the counting one
//! at its root, and nothing else in the build is touched. No `unsafe` is needed.
//!
//! ```standalone_crate
//! use kit_testing::alloc::{self, CountingAllocator};
//!
//! #[global_allocator]
//! static ALLOCATOR: CountingAllocator = alloc::counting();
//!
//! # fn main() {
//! let counts = alloc::count(|| vec![1_u64, 2, 3]);
//! assert_eq!((counts.allocations, counts.bytes), (1, 24));
//! # }
//! ```
//!
//! # Where counts are right
//!
//! The counters are the process's: what *any* thread allocates during a count is in it. So count where one thread
//! runs: in a bench on one thread, in a `[[test]]` with `harness = false`, on a current-thread
//! runtime. Other threads may exist as long as they wait.
//!
//! Under the usual test harness, put a test that counts into a binary of its own, with no other test: tests run at the
//! same time, and what one allocates would be found in another's count. Even then the harness has a thread of its own,
//! which may allocate while the test starts.
//!
//! Counts wait for each other: one thread counts at a time in a process, so that code which only counts (on several
//! threads, say) is counted rightly. A count within a count of the same thread does not wait, and is part of the outer
//! one. But counted code must not wait for another thread that counts: neither would end.
//!
//! The cost is two additions to process-wide atomics at each allocation, and at each release.

mod turn;

use std::alloc::System;
use std::fmt;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::ops::AddAssign;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use self::turn::Turn;

/// The system's allocator, counting.
pub type CountingAllocator = &'static StatsAlloc<System>;

/// Gives the allocator, for a `static` under `#[global_allocator]`. There is one in a process.
#[must_use]
pub const fn counting() -> CountingAllocator {
    &INSTRUMENTED_SYSTEM
}

/// What was allocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Counts {
    /// New blocks, and blocks that were grown or shrunk.
    pub allocations: u64,
    /// Bytes asked for; a block that is grown counts with what it grew by, one that is shrunk with nothing.
    pub bytes: u64,
}

impl Counts {
    /// What the process allocated so far.
    fn so_far() -> Self {
        let stats = INSTRUMENTED_SYSTEM.stats();
        Self { allocations: stats.allocations as u64 + stats.reallocations as u64, bytes: stats.bytes_allocated as u64 }
    }

    /// What was allocated since `earlier`.
    fn since(earlier: Self) -> Self {
        let now = Self::so_far();
        Self { allocations: now.allocations - earlier.allocations, bytes: now.bytes - earlier.bytes }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.allocations += other.allocations;
        self.bytes += other.bytes;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} allocations, {} bytes", self.allocations, self.bytes)
    }
}

/// Counts what is allocated while `run` runs, by it and by whatever other thread runs then.
///
/// Waits for the counts of other threads. A first run may fill caches and thread-locals: run once before, where that
/// does not matter to you.
///
/// # Panics
///
/// When the program has not installed [`CountingAllocator`]: a count of zero would mean nothing.
pub fn count<R>(run: impl FnOnce() -> R) -> Counts {
    count_with(run).1
}

/// As [`count`], and returns the result too.
///
/// # Panics
///
/// As [`count`].
pub fn count_with<R>(run: impl FnOnce() -> R) -> (R, Counts) {
    let turn = Turn::wait();
    assert!(
        is_installed(),
        "allocations are not counted in this program: put `#[global_allocator] static ALLOCATOR: \
         kit_testing::alloc::CountingAllocator = kit_testing::alloc::counting();` at its root"
    );
    let before = Counts::so_far();
    let result = run();
    let counts = Counts::since(before);
    drop(turn);
    (result, counts)
}

/// Whether an allocation moves the counters. Tried once: a program cannot change its allocator.
fn is_installed() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        let before = Counts::so_far();
        drop(black_box(Box::new(0_u8)));
        Counts::since(before).allocations > 0
    })
}

/// Counts a future: what making it allocates, and each of its polls, wherever the task runs by then.
///
/// What other tasks do while it waits is not counted, and other threads may count meanwhile. On a runtime of several
/// threads, what the other workers do during a poll is in the count: use a current-thread runtime.
///
/// ```standalone_crate
/// use kit_testing::alloc;
///
/// # #[global_allocator]
/// # static ALLOCATOR: alloc::CountingAllocator = alloc::counting();
/// # fn main() { tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (sum, counts) = alloc::count_async(|| Box::pin(async { 1 + 2 })).await;
/// assert_eq!((sum, counts.allocations), (3, 1));
/// # }) }
/// ```
///
/// # Panics
///
/// As [`count`].
pub async fn count_async<F: Future>(make: impl FnOnce() -> F) -> (F::Output, Counts) {
    let (future, mut counts) = count_with(make);
    let mut future = pin!(future);
    let output = poll_fn(|cx| {
        let (poll, more) = count_with(|| future.as_mut().poll(cx));
        counts += more;
        poll
    });
    let output = output.await;
    (output, counts)
}

/// Counts a future that does not wait: makes it and polls it once, without a runtime.
///
/// # Panics
///
/// When the future is not ready at its first poll, and as [`count`].
pub fn count_ready<F: Future>(make: impl FnOnce() -> F) -> (F::Output, Counts) {
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(count_async(make)).poll(&mut cx) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("the future is not ready at its first poll: use `count_async`"),
    }
}
