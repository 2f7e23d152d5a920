//! One count at a time in the process, and counts within counts.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by the thread that counts.
static COUNTING: Mutex<()> = Mutex::new(());

thread_local! {
    /// Whether this thread holds [`COUNTING`]. Constant and without a destructor, so that its use allocates nothing.
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}

/// A thread's turn to count, over when dropped, be it by a panic of the counted code.
pub(super) struct Turn {
    /// `None` within a count of the same thread, whose turn it is already.
    outermost: Option<MutexGuard<'static, ()>>,
}

impl Turn {
    /// Waits until no other thread counts.
    pub(super) fn wait() -> Self {
        if HOLDS.replace(true) {
            return Self { outermost: None };
        }
        // Poison tells of counted code that panicked. The lock guards no data that it could have left half written.
        let guard = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
        Self { outermost: Some(guard) }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.outermost.is_some() {
            HOLDS.set(false);
        }
    }
}
