//! Whether this process wants traffic: written by the program, read by health endpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process wants traffic. Clones share it. Not ready at first: a program says when it is.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    ready: Arc<AtomicBool>,
}

impl Readiness {
    /// Not ready yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wants traffic, or no longer. A program that stops says so first.
    pub fn set(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// Whether it wants traffic.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}
