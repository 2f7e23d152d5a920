//! The bucket under the model checker: the files of the crate, with loom's atomics and lock in the place of std's.

// What the models do not ask is no dead code of the crate's.
#[allow(dead_code, unreachable_pub, reason = "the files are the crate's, and the models ask for parts of them")]
#[path = "../../src/bucket.rs"]
mod bucket;
#[allow(dead_code, unreachable_pub, reason = "the files are the crate's, and the models ask for parts of them")]
#[path = "../../src/gcra.rs"]
mod gcra;
#[allow(
    dead_code,
    unreachable_pub,
    unused_macros,
    reason = "the files are the crate's, and the models ask for parts of them"
)]
#[path = "../../src/quota.rs"]
mod quota;
#[allow(dead_code, unreachable_pub, reason = "the files are the crate's, and the models ask for parts of them")]
#[path = "../../src/standing.rs"]
mod standing;

/// loom's atomics.
mod sync {
    pub(crate) use loom::sync::Mutex;
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}

pub(crate) use quota::Quota;
pub(crate) use standing::Standing;

mod changes;
mod giving_back;
mod support;
mod taking;
