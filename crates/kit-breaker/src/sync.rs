//! The atomics of the state machine. The tests under loom put loom's in their place.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};
