//! The hooks of a server, and what they get to see.

use std::time::{Duration, Instant};

use http::HeaderMap;
use kit_base::{Context, Error, Event, caught};
use tonic_types::ErrorDetails;

use super::{Routes, Settings};
use crate::within::now;

type Before = Box<dyn Fn(&mut Context) + Send + Sync>;
type After = Box<dyn Fn(&Context, &mut HeaderMap, &mut HeaderMap) + Send + Sync>;
type Finalizer = Box<dyn Fn(&FinishedRequest<'_>) + Send + Sync>;
type ErrorHandler = Box<dyn Fn(&Context, &Error) + Send + Sync>;
type Details = Box<dyn Fn(&Error) -> Option<ErrorDetails> + Send + Sync>;

#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) before: Vec<Before>,
    pub(crate) after: Vec<After>,
    pub(crate) finalizers: Vec<Finalizer>,
    pub(crate) error_handlers: Vec<ErrorHandler>,
    pub(crate) error_details: Option<Details>,
}

/// What a finalizer gets to see.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FinishedRequest<'a> {
    /// The context, as the before hooks left it: operation, deadline, metadata, extensions.
    pub context: &'a Context,
    /// The error that the call was answered with; nothing for a success, and when the caller left.
    pub error: Option<&'a Error>,
    /// The bytes of the messages of the answer, with their frames; of one that streams, those that were handed out to be
    /// sent.
    pub bytes: usize,
    /// Whether the caller left before the end of the answer.
    pub left: bool,
    /// The time since the head of the request was there, to the end of the answer where that streams.
    pub duration: Duration,
}

/// A call on its way through the server. It runs the finalizers once: at its end, or on drop without one.
pub(super) struct Exchange {
    routes: Routes,
    pub(super) context: Context,
    /// The bytes that were answered.
    pub(super) bytes: usize,
    /// When it began, if finalizers are due; nobody else wants to know.
    due: Option<Instant>,
}

impl Exchange {
    pub(super) fn new(routes: &Routes, context: Context) -> Self {
        let due = (!routes.settings().hooks.finalizers.is_empty()).then(now);
        Self { routes: routes.clone(), context, bytes: 0, due }
    }

    pub(super) fn settings(&self) -> &Settings {
        self.routes.settings()
    }

    /// Shows the error to the error handlers, and writes its status into a head or trailers.
    pub(super) fn write_error(&self, error: &Error, headers: &mut HeaderMap) {
        self.settings().write_error(&self.context, error, headers);
    }

    /// The call is over, perhaps by an error.
    pub(super) fn finish(&mut self, error: Option<&Error>) {
        self.run(error, false);
    }

    fn run(&mut self, error: Option<&Error>, left: bool) {
        let Some(started) = self.due.take() else { return };
        let duration = now().saturating_duration_since(started);
        let finished = FinishedRequest { context: &self.context, error, bytes: self.bytes, left, duration };
        for hook in &self.settings().hooks.finalizers {
            // A panic in a drop during a panic would end the process.
            if caught(|| hook(&finished)).is_err() {
                self.settings().tell_panic(&self.context);
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.run(None, true);
    }
}

impl Settings {
    /// Shows the error to the error handlers, and writes its status into a head or trailers.
    pub(super) fn write_error(&self, context: &Context, error: &Error, headers: &mut HeaderMap) {
        self.tell(context, error);
        let details = self.hooks.error_details.as_ref().and_then(|details| {
            let given = caught(|| details(error));
            given.inspect_err(|_| self.tell_panic(context)).ok().flatten()
        });
        crate::status::write(error, details, headers);
    }

    /// Shows the error to the error handlers, and to the observer if it is a panic.
    pub(super) fn tell(&self, context: &Context, error: &Error) {
        if is_panic(error) {
            self.tell_panic(context);
        }
        for hook in &self.hooks.error_handlers {
            if caught(|| hook(context, error)).is_err() {
                self.tell_panic(context);
            }
        }
    }

    pub(super) fn tell_panic(&self, context: &Context) {
        let key = context.operation().to_string();
        // Whoever hears of a panic may panic as well: there is nobody left to tell.
        let _ = caught(|| self.observer.observe(&Event::new("grpc_server", "panicked", &key)));
    }
}

/// Whether the error is a panic of this process. One of a service behind this one brings the same reason, but not the
/// text of the panic.
fn is_panic(error: &Error) -> bool {
    error.reason() == Some("PANIC") && error.message().starts_with("panicked: ")
}
