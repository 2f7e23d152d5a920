//! A shared value that is replaced as a whole, and read by many threads that never wait.

use std::array;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// A power of two.
const COPIES: usize = 16;

/// The value, in several copies of the pointer to it, each behind a lock of its own. They are replaced one after the other, so
/// who finds one locked takes the next one; and each thread begins at its own, so that readers do not meet at one counter.
///
/// Replacing it waits for who reads the copy just then. Nobody reads the old value when that is done.
#[derive(Debug)]
pub(crate) struct Swap<T> {
    copies: [Copy<T>; COPIES],
}

/// On a cache line of its own, and on the one that processors fetch with it.
#[derive(Debug)]
#[repr(align(128))]
struct Copy<T>(RwLock<Arc<T>>);

impl<T> Swap<T> {
    pub(crate) fn new(value: T) -> Self {
        let value = Arc::new(value);
        Self { copies: array::from_fn(|_| Copy(RwLock::new(Arc::clone(&value)))) }
    }

    /// Reads the value. A replacement waits for this, so it must be short.
    #[inline]
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Arc<T>> {
        let own = own();
        // No copy is ever poisoned: nothing that is done to it can panic.
        self.copies[own % COPIES].0.try_read().unwrap_or_else(|_| self.read_another(own))
    }

    #[cold]
    fn read_another(&self, own: usize) -> RwLockReadGuard<'_, Arc<T>> {
        let mut others = self.copies.iter().cycle().skip(own % COPIES);
        loop {
            if let Some(value) = others.next().and_then(|Copy(copy)| copy.try_read().ok()) {
                return value;
            }
        }
    }

    /// The value as it is now.
    pub(crate) fn load(&self) -> Arc<T> {
        Arc::clone(&self.read())
    }

    /// Puts another one in its place, and gives back the old one. Not to be called by two at a time.
    pub(crate) fn replace(&self, value: T) -> Arc<T> {
        let (value, mut old) = (Arc::new(value), self.load());
        for Copy(copy) in &self.copies {
            let mut copy = copy.write().unwrap_or_else(PoisonError::into_inner);
            old = std::mem::replace(&mut *copy, Arc::clone(&value));
        }
        old
    }
}

/// The number of this thread.
#[inline]
fn own() -> usize {
    thread_local!(static OWN: Cell<usize> = const { Cell::new(0) });
    let own = OWN.get();
    if own != 0 { own } else { first(&OWN) }
}

#[cold]
fn first(own: &'static std::thread::LocalKey<Cell<usize>>) -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(1);
    own.set(THREADS.fetch_add(1, Relaxed).max(1));
    own.get()
}
