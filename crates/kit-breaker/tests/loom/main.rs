//! The state machine under the model checker: the files of the crate, with loom's atomics in the place of std's.

// What the models do not ask is no dead code of the crate's.
#[allow(dead_code, unreachable_pub, reason = "the files are the crate's, and the models ask for parts of them")]
#[path = "../../src/circuit.rs"]
mod circuit;
#[allow(dead_code, unreachable_pub, reason = "the files are the crate's, and the models ask for parts of them")]
#[path = "../../src/word.rs"]
mod word;

/// The windows, without what chooses among them.
mod window {
    pub(crate) use crate::calls::Calls;
    pub(crate) use crate::slices::Slices;
    pub(crate) use crate::tally::Tally;
}
#[allow(dead_code, unreachable_pub, reason = "the files are the crate's, and the models ask for parts of them")]
#[path = "../../src/window/calls.rs"]
mod calls;
#[allow(dead_code, unreachable_pub, reason = "the files are the crate's, and the models ask for parts of them")]
#[path = "../../src/window/slices.rs"]
mod slices;
#[allow(unreachable_pub, reason = "the crate exports it")]
#[path = "../../src/window/tally.rs"]
mod tally;

/// loom's atomics.
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
}

/// A model of three threads: quick with few interruptions, and long with more.
macro_rules! three_threads {
    ($name:ident, $few:literal, $more:literal, $model:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn with_few_interruptions() {
                interrupted($few, $model);
            }

            #[test]
            #[ignore = "takes up to a minute: runs with --deep"]
            fn with_more_interruptions() {
                interrupted($more, $model);
            }
        }
    };
}

mod clearing;
mod forced;
mod leases;
mod opening;
mod probes;
mod support;
mod windows;
