//! Counters of a server, readable while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

/// Counters of one server: a handle that stays readable after the server was moved into
/// [`serve`](crate::Server::serve), and after it stopped. Clones read the same counters.
///
/// | method | kind | moves |
/// |---|---|---|
/// | [`connections_open`](Self::connections_open) | gauge | when a connection is accepted, and when its last answer is sent or its upgraded stream is dropped |
/// | [`connections_total`](Self::connections_total) | counter | when a connection is accepted |
/// | [`requests_open`](Self::requests_open) | gauge | when a request's head is read, and when its response's body ends or is dropped |
/// | [`requests_total`](Self::requests_total) | counter | when a request's head is read |
/// | [`panics`](Self::panics) | counter | when the service or its response's body panics |
/// | [`service_errors`](Self::service_errors) | counter | when the service or its response's body returns an error |
/// | [`accept_errors`](Self::accept_errors) | counter | when no connection could be accepted |
#[derive(Clone, Debug, Default)]
pub struct Stats(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    connections_open: AtomicU64,
    connections_total: AtomicU64,
    requests_total: AtomicU64,
    requests_ended: AtomicU64,
    panics: AtomicU64,
    service_errors: AtomicU64,
    accept_errors: AtomicU64,
}

impl Stats {
    /// The connections that are open now, upgraded ones included.
    #[must_use]
    pub fn connections_open(&self) -> u64 {
        self.0.connections_open.load(Relaxed)
    }

    /// The connections accepted so far.
    #[must_use]
    pub fn connections_total(&self) -> u64 {
        self.0.connections_total.load(Relaxed)
    }

    /// The requests that run now: head read, response not yet handed over to its end.
    #[must_use]
    pub fn requests_open(&self) -> u64 {
        // In this order, so that what ends in between is not missing from the other number.
        let ended = self.0.requests_ended.load(Acquire);
        self.0.requests_total.load(Relaxed).saturating_sub(ended)
    }

    /// The requests begun so far, those refused by a limit of the server included.
    #[must_use]
    pub fn requests_total(&self) -> u64 {
        self.0.requests_total.load(Relaxed)
    }

    /// The panics caught so far.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.0.panics.load(Relaxed)
    }

    /// The errors so far that the service returned instead of a response, or in the body of one.
    #[must_use]
    pub fn service_errors(&self) -> u64 {
        self.0.service_errors.load(Relaxed)
    }

    /// The failed attempts so far to accept a connection.
    #[must_use]
    pub fn accept_errors(&self) -> u64 {
        self.0.accept_errors.load(Relaxed)
    }

    pub(crate) fn connection_opened(&self) {
        self.0.connections_open.fetch_add(1, Relaxed);
        self.0.connections_total.fetch_add(1, Relaxed);
    }

    pub(crate) fn connection_closed(&self) {
        self.0.connections_open.fetch_sub(1, Relaxed);
    }

    pub(crate) fn request_began(&self) {
        self.0.requests_total.fetch_add(1, Relaxed);
    }

    pub(crate) fn request_ended(&self) {
        self.0.requests_ended.fetch_add(1, Release);
    }

    pub(crate) fn panicked(&self) {
        self.0.panics.fetch_add(1, Relaxed);
    }

    pub(crate) fn service_failed(&self) {
        self.0.service_errors.fetch_add(1, Relaxed);
    }

    pub(crate) fn accept_failed(&self) {
        self.0.accept_errors.fetch_add(1, Relaxed);
    }
}
