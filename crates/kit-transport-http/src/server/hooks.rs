//! The hooks of a server, and what they get to see.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use kit_base::{Context, Error};

use super::answer::is_panic;
use super::{Body, Routes, Settings};
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
    /// The bytes of the answer's body; of one that streams, those that were handed out to be sent.
    pub bytes: usize,
    /// The error that ended an answer that streams, after its head.
    pub error: Option<&'a Error>,
    /// Whether the caller left before the end of the answer.
    pub left: bool,
    /// The time since the head of the request was there, to the end of the answer where that streams.
    pub duration: Duration,
}

/// A request on its way through the server. It runs the finalizers once: with the answer, or on drop without one.
pub(super) struct Exchange<'a> {
    routes: &'a Routes,
    pub(super) info: RequestInfo,
    pub(super) context: Context,
    /// When it began, if finalizers are due; nobody else wants to know.
    due: Option<Instant>,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(routes: &'a Routes, info: RequestInfo, context: Context, routed: bool) -> Self {
        let due = (routed && !routes.settings().hooks.finalizers.is_empty()).then(now);
        Self { routes, info, context, due }
    }

    /// The answer is ready. One that streams takes the finalizers along.
    pub(super) fn finish(&mut self, answer: &mut http::Response<Body>) {
        let (status, deadline) = (answer.status(), self.context.deadline());
        let due = self.due.take();
        if answer.body().streams() {
            let (routes, info) = (self.routes.clone(), self.info.clone());
            let headers = due.map(|_| answer.headers().clone()).unwrap_or_default();
            let context = mem::take(&mut self.context);
            let riding = Riding { routes, info, context, status, headers, bytes: 0, due };
            answer.body_mut().ride(deadline, riding);
        } else if let Some(started) = due {
            let bytes = answer.body().len();
            let head = (Some(status), Some(answer.headers()));
            self.routes.settings().finalize(&finished(&self.info, &self.context, head, bytes, started));
        }
    }
}

/// A request that has ended well.
fn finished<'a>(
    info: &'a RequestInfo,
    context: &'a Context,
    (status, headers): (Option<StatusCode>, Option<&'a HeaderMap>),
    bytes: usize,
    started: Instant,
) -> FinishedRequest<'a> {
    let duration = now().saturating_duration_since(started);
    FinishedRequest { info, context, status, headers, bytes, error: None, left: false, duration }
}

impl Settings {
    fn finalize(&self, finished: &FinishedRequest<'_>) {
        for hook in &self.hooks.finalizers {
            // A panic in a drop during a panic would end the process.
            if catch_unwind(AssertUnwindSafe(|| hook(finished))).is_err() {
                self.tell_panic(finished.context);
            }
        }
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if let Some(started) = self.due {
            let finished = finished(&self.info, &self.context, (None, None), 0, started);
            self.routes.settings().finalize(&FinishedRequest { left: true, ..finished });
        }
    }
}

impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("context", &self.context).finish_non_exhaustive()
    }
}

/// What rides in an answer that streams: it runs the finalizers once, at the end or on drop.
pub(super) struct Riding {
    routes: Routes,
    info: RequestInfo,
    context: Context,
    status: StatusCode,
    headers: HeaderMap,
    /// The bytes of the body so far.
    pub(super) bytes: usize,
    due: Option<Instant>,
}

impl Riding {
    /// Shows the error within the answer to the error handlers.
    pub(super) fn failed(&self, error: &Error) {
        let settings = self.routes.settings();
        if is_panic(error) {
            settings.tell_panic(&self.context);
        }
        for hook in &settings.hooks.error_handlers {
            if catch_unwind(AssertUnwindSafe(|| hook(&self.context, error))).is_err() {
                settings.tell_panic(&self.context);
            }
        }
    }

    /// The answer is over, perhaps by an error.
    pub(super) fn end(mut self, error: Option<&Error>) {
        self.run(error, false);
    }

    fn run(&mut self, error: Option<&Error>, left: bool) {
        if let Some(started) = self.due.take() {
            let head = (Some(self.status), Some(&self.headers));
            let finished = finished(&self.info, &self.context, head, self.bytes, started);
            self.routes.settings().finalize(&FinishedRequest { error, left, ..finished });
        }
    }
}

impl Drop for Riding {
    fn drop(&mut self) {
        self.run(None, true);
    }
}
