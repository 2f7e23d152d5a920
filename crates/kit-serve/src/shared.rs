//! What all connections of one server share: limits, counters and the hook for problems.

use std::any::Any;
use std::fmt;

use crate::error::Problem;
use crate::limits::Limits;
use crate::stats::Stats;

/// The user's hook for problems.
pub(crate) type Hook = Box<dyn Fn(&Problem) + Send + Sync>;

/// The common part of all connections of a server.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) stats: Stats,
    pub(crate) hook: Option<Hook>,
}

impl Shared {
    /// Counts the problem and tells the user.
    pub(crate) fn report(&self, problem: &Problem) {
        match problem {
            Problem::Accept(_) => self.stats.accept_failed(),
            Problem::Service(_) | Problem::Body(_) => self.stats.service_failed(),
            Problem::Panic(_) => self.stats.panicked(),
        }
        if let Some(hook) = &self.hook {
            hook(problem);
        }
    }

    /// As [`report`](Self::report), for what a caught panic carried.
    pub(crate) fn report_panic(&self, payload: &(dyn Any + Send)) {
        let message = if let Some(text) = payload.downcast_ref::<&str>() {
            (*text).to_owned()
        } else if let Some(text) = payload.downcast_ref::<String>() {
            text.clone()
        } else {
            "no message".to_owned()
        };
        self.report(&Problem::Panic(message));
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("limits", &self.limits).field("stats", &self.stats).finish_non_exhaustive()
    }
}
