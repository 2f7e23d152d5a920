//! What all connections of one server share: limits, counters, and who is told.

use std::any::Any;
use std::fmt;

use crate::error::Problem;
use crate::events::Events;
use crate::forwarded::Forwarding;
use crate::limits::Limits;
use crate::stats::Stats;

/// The user's hook for problems.
pub(crate) type Hook = Box<dyn Fn(&Problem) + Send + Sync>;

/// The common part of all connections of a server.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) forwarding: Option<Forwarding>,
    pub(crate) stats: Stats,
    pub(crate) events: Events,
    pub(crate) hook: Option<Hook>,
}

impl Shared {
    /// Counts the problem and tells the user.
    pub(crate) fn report(&self, problem: &Problem) {
        match problem {
            Problem::Accept(_) => {
                self.stats.accept_failed();
                self.events.tell("accept_failed", "");
            }
            Problem::Service(_) => {
                self.stats.service_failed();
                self.events.tell("service_failed", "head");
            }
            Problem::Body(_) => {
                self.stats.service_failed();
                self.events.tell("service_failed", "body");
            }
            Problem::Panic(_) => {
                self.stats.panicked();
                self.events.tell("panicked", "");
            }
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
        f.debug_struct("Shared")
            .field("limits", &self.limits)
            .field("forwarding", &self.forwarding)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}
