//! The hooks of a client, and what they get to see.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use kit_base::{Context, Error};

use super::Remote;
use super::connections::Place;
use crate::Reply;
use crate::within::now;

type Before = Arc<dyn Fn(&Context, &mut HeaderMap) + Send + Sync>;
type After = Arc<dyn Fn(&Context, StatusCode, &HeaderMap) + Send + Sync>;
type Finalizer = Arc<dyn Fn(&FinishedCall<'_>) + Send + Sync>;
type ErrorDecoder = Arc<dyn Fn(&Reply) -> Option<Error> + Send + Sync>;

#[derive(Clone, Default)]
pub(super) struct Hooks {
    pub(super) before: Vec<Before>,
    pub(super) after: Vec<After>,
    pub(super) finalizers: Vec<Finalizer>,
    pub(super) error_decoder: Option<ErrorDecoder>,
}

/// What a finalizer gets to see.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FinishedCall<'a> {
    /// The context that the endpoint was called with, under the operation that it calls.
    pub context: &'a Context,
    /// The status of the answer, if its head came.
    pub status: Option<StatusCode>,
    /// Why the call failed; nothing for a success, and when the caller left.
    pub error: Option<&'a Error>,
    /// Whether the caller left before the outcome was known.
    pub left: bool,
    /// The time that the call took, to the end of the answer where that streams.
    pub duration: Duration,
}

/// Runs the finalizers once: with the outcome, or on drop without one. An answer that streams takes it along.
pub(super) struct Finalizing {
    remote: Arc<Remote>,
    pub(super) context: Context,
    pub(super) started: Instant,
    pub(super) status: Option<StatusCode>,
    /// Given back at the end of the answer, where calls are counted.
    pub(super) place: Option<Place>,
    done: bool,
}

impl Finalizing {
    pub(super) fn new(remote: &Arc<Remote>, context: Context, started: Instant) -> Self {
        Self { remote: Arc::clone(remote), context, started, status: None, place: None, done: false }
    }

    pub(super) fn finish(mut self, error: Option<&Error>) {
        self.run(error, false);
    }

    fn run(&mut self, error: Option<&Error>, left: bool) {
        let finalizers = &self.remote.settings.hooks.finalizers;
        if std::mem::replace(&mut self.done, true) || finalizers.is_empty() {
            return;
        }
        let duration = now().saturating_duration_since(self.started);
        let finished = FinishedCall { context: &self.context, status: self.status, error, left, duration };
        for hook in finalizers {
            // A panic in a drop during a panic would end the process. It has been told by the panic hook.
            let _ = catch_unwind(AssertUnwindSafe(|| hook(&finished)));
        }
    }
}

impl Drop for Finalizing {
    fn drop(&mut self) {
        self.run(None, true);
    }
}
