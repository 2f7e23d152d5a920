//! The hooks of a server, and what they get to see.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use kit_base::{Context, Error};

use super::Settings;
use crate::RequestInfo;
use crate::within::now;

type Before = Box<dyn Fn(&mut Context, &RequestInfo) + Send + Sync>;
type After = Box<dyn Fn(&Context, &mut HeaderMap) + Send + Sync>;
type Finalizer = Box<dyn Fn(&FinishedRequest<'_>) + Send + Sync>;
type ErrorHandler = Box<dyn Fn(&Context, &Error) + Send + Sync>;
type ErrorEncoder = Box<dyn Fn(&Error) -> Option<http::Response<Bytes>> + Send + Sync>;

#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) before: Vec<Before>,
    pub(crate) after: Vec<After>,
    pub(crate) finalizers: Vec<Finalizer>,
    pub(crate) error_handlers: Vec<ErrorHandler>,
    pub(crate) error_encoder: Option<ErrorEncoder>,
}

/// What a finalizer gets to see.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FinishedRequest<'a> {
    /// Verb, target and version.
    pub info: &'a RequestInfo,
    /// The context, as the before hooks left it: operation, deadline, metadata, extensions.
    pub context: &'a Context,
    /// The status of the answer; nothing when the caller left before there was one.
    pub status: Option<StatusCode>,
    /// The headers of the answer.
    pub headers: Option<&'a HeaderMap>,
    /// The bytes of the answer's body.
    pub bytes: usize,
    /// The time since the head of the request was there.
    pub duration: Duration,
}

/// Runs the finalizers once: with the answer, or on drop without one.
pub(super) struct Finalizing<'a> {
    settings: &'a Settings,
    info: &'a RequestInfo,
    pub(super) context: Context,
    started: Instant,
    due: bool,
}

impl<'a> Finalizing<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        info: &'a RequestInfo,
        context: Context,
        started: Instant,
        due: bool,
    ) -> Self {
        Self { settings, info, context, started, due: due && !settings.hooks.finalizers.is_empty() }
    }

    pub(super) fn finish(mut self, answer: &http::Response<Bytes>) {
        self.run(Some(answer));
    }

    fn run(&mut self, answer: Option<&http::Response<Bytes>>) {
        if !mem::take(&mut self.due) {
            return;
        }
        let finished = FinishedRequest {
            info: self.info,
            context: &self.context,
            status: answer.map(http::Response::status),
            headers: answer.map(http::Response::headers),
            bytes: answer.map_or(0, |answer| answer.body().len()),
            duration: now().saturating_duration_since(self.started),
        };
        for hook in &self.settings.hooks.finalizers {
            // A panic in a drop during a panic would end the process.
            if catch_unwind(AssertUnwindSafe(|| hook(&finished))).is_err() {
                self.settings.tell_panic(&self.context);
            }
        }
    }
}

impl Drop for Finalizing<'_> {
    fn drop(&mut self) {
        self.run(None);
    }
}

impl fmt::Debug for Finalizing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finalizing").field("context", &self.context).finish_non_exhaustive()
    }
}
