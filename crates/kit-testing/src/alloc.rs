//! Counting allocations, for each thread on its own.
//!
//! The program decides on its allocator: a test binary, bench or example that wants to count installs the counting one
//! at its root, and nothing else in the build is touched. No `unsafe` is needed.
//!
//! ```
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
//! Each thread has its own counters, so neither other tests nor a runtime's workers disturb a count; for the same
//! reason, what other threads allocate for you is not in it. The cost is an addition to a thread-local at each
//! allocation.

use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::AddAssign;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The system's allocator, counting.
pub type CountingAllocator = densa_alloc::CountingAllocator;

/// Makes the allocator, for a `static` under `#[global_allocator]`.
#[must_use]
pub const fn counting() -> CountingAllocator {
    CountingAllocator::system()
}

/// What was allocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Counts {
    /// New blocks, and blocks that were grown or shrunk.
    pub allocations: u64,
    /// Bytes asked for; a block that is grown or shrunk counts with its new size.
    pub bytes: u64,
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

/// Counts what `run` allocates on this thread.
///
/// A first run may fill caches and thread-locals: run once before, where that does not matter to you.
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
    assert!(
        densa_alloc::is_active(),
        "allocations are not counted in this program: put `#[global_allocator] static ALLOCATOR: \
         kit_testing::alloc::CountingAllocator = kit_testing::alloc::counting();` at its root"
    );
    let (result, stats) = densa_alloc::measure(run);
    (result, Counts { allocations: stats.allocs + stats.reallocs, bytes: stats.bytes_allocated })
}

/// Counts a future: what making it allocates, and each of its polls, wherever the task runs by then.
///
/// What other tasks do while it waits is not counted.
///
/// ```
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
