//! The hooks of a client, and what they get to see.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use kit_base::{Context, Error, caught};

use super::Settings;
use crate::within::now;

type Before = Arc<dyn Fn(&Context, &mut HeaderMap) + Send + Sync>;
type After = Arc<dyn Fn(&Context, &HeaderMap, &HeaderMap) + Send + Sync>;
type Finalizer = Arc<dyn Fn(&FinishedCall<'_>) + Send + Sync>;

#[derive(Clone, Default)]
pub(super) struct Hooks {
    pub(super) before: Vec<Before>,
    pub(super) after: Vec<After>,
    pub(super) finalizers: Vec<Finalizer>,
}

/// What a finalizer gets to see.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FinishedCall<'a> {
    /// The context that the endpoint was called with, under the operation that it calls.
    pub context: &'a Context,
    /// Why the call failed; nothing for a success, and when the caller left.
    pub error: Option<&'a Error>,
    /// Whether the caller left before the outcome was known.
    pub left: bool,
    /// The time that the call took, to the end of the answer where that streams.
    pub duration: Duration,
}

/// Runs the finalizers once: with the outcome, or on drop without one. An answer that streams takes it along.
pub(super) struct Finalizing {
    settings: Arc<Settings>,
    pub(super) context: Context,
    /// When it began, if finalizers are due; nobody else wants to know.
    due: Option<Instant>,
}

impl Finalizing {
    pub(super) fn new(settings: &Arc<Settings>, context: Context) -> Self {
        let due = (!settings.hooks.finalizers.is_empty()).then(now);
        Self { settings: Arc::clone(settings), context, due }
    }

    /// Shows headers and trailers to the after hooks.
    pub(super) fn show(&self, headers: &HeaderMap, trailers: &HeaderMap) {
        for hook in &self.settings.hooks.after {
            hook(&self.context, headers, trailers);
        }
    }

    pub(super) fn finish(mut self, error: Option<&Error>) {
        self.run(error, false);
    }

    fn run(&mut self, error: Option<&Error>, left: bool) {
        let Some(started) = self.due.take() else { return };
        let duration = now().saturating_duration_since(started);
        let finished = FinishedCall { context: &self.context, error, left, duration };
        for hook in &self.settings.hooks.finalizers {
            // A panic in a drop during a panic would end the process. It has been told by the panic hook.
            let _ = caught(|| hook(&finished));
        }
    }
}

impl Drop for Finalizing {
    fn drop(&mut self) {
        self.run(None, true);
    }
}
