//! The hooks of a proxy, and what they get to see.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{StatusCode, request, response};
use kit_base::{Context, Error};

use crate::RequestInfo;
use crate::within::now;

type Before = Arc<dyn Fn(&mut Context, &mut request::Parts) + Send + Sync>;
type After = Arc<dyn Fn(&Context, &mut response::Parts) + Send + Sync>;
type Finalizer = Arc<dyn Fn(&FinishedProxy<'_>) + Send + Sync>;

#[derive(Clone, Default)]
pub(super) struct Hooks {
    pub(super) before: Vec<Before>,
    pub(super) after: Vec<After>,
    pub(super) finalizers: Vec<Finalizer>,
}

impl Hooks {
    pub(super) fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_empty() && self.finalizers.is_empty()
    }
}

/// What a finalizer of a proxy gets to see.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FinishedProxy<'a> {
    /// Verb, target and version, as the client sent them.
    pub info: &'a RequestInfo,
    /// The context, as the before hooks left it: what arrived, deadline, extensions.
    pub context: &'a Context,
    /// The status that was answered; nothing when the client left before.
    pub status: Option<StatusCode>,
    /// The bytes of the answer's body that were passed on.
    pub bytes: u64,
    /// Why there was no answer of the backend, or why its body broke off.
    pub error: Option<&'a Error>,
    /// Whether the client left before the end.
    pub left: bool,
    /// The time from the head of the request to the end of the answer's body.
    pub duration: Duration,
}

/// Runs the finalizers once: at the end, or on drop before it.
pub(super) struct Finalizing {
    hooks: Arc<Hooks>,
    info: RequestInfo,
    pub(super) context: Context,
    started: Instant,
    pub(super) status: Option<StatusCode>,
    pub(super) bytes: u64,
    due: bool,
}

impl Finalizing {
    pub(super) fn new(hooks: &Arc<Hooks>, info: RequestInfo, context: Context, started: Instant) -> Self {
        let due = !hooks.finalizers.is_empty();
        Self { hooks: Arc::clone(hooks), info, context, started, status: None, bytes: 0, due }
    }

    pub(super) fn info(&self) -> &RequestInfo {
        &self.info
    }

    pub(super) fn finish(mut self, error: Option<&Error>) {
        self.run(error, false);
    }

    fn run(&mut self, error: Option<&Error>, left: bool) {
        if !mem::take(&mut self.due) {
            return;
        }
        let duration = now().saturating_duration_since(self.started);
        let Self { info, context, status, bytes, .. } = self;
        let finished = FinishedProxy { info, context, status: *status, bytes: *bytes, error, left, duration };
        for hook in &self.hooks.finalizers {
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
