//! When a connection did what, and when it has waited for its client long enough.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::Limits;

/// What became of a connection since it was opened. Written by the stream and the requests, read by the one timer of
/// the connection, so that a request costs two clock readings and no timer.
#[derive(Debug)]
pub(crate) struct Activity {
    opened: Instant,
    /// Milliseconds after `opened` of the last byte read or written.
    last_io: AtomicU64,
    /// Milliseconds after `opened`, plus one, at which the head now being read began; 0 if none is.
    head_since: AtomicU64,
    in_flight: AtomicUsize,
    eof: AtomicBool,
}

/// What the timer of a connection has to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing before this point.
    Wait(Instant),
    /// Idle for too long: begin to close.
    Idle,
    /// The head, or the end, took too long: close now.
    Late,
}

impl Activity {
    /// A connection opened now; the time for its first head runs from here.
    pub(crate) fn new() -> Self {
        Self {
            opened: Instant::now(),
            last_io: AtomicU64::new(0),
            head_since: AtomicU64::new(1),
            in_flight: AtomicUsize::new(0),
            eof: AtomicBool::new(false),
        }
    }

    /// Bytes arrived. On HTTP/1, bytes that arrive while no request runs are the beginning of a head.
    pub(crate) fn read(&self, may_begin_head: bool) {
        let now = self.elapsed();
        self.last_io.store(now, Relaxed);
        if may_begin_head && self.is_quiet() && self.head_since.load(Relaxed) == 0 {
            self.head_since.store(now + 1, Relaxed);
        }
    }

    /// Bytes were taken by the operating system.
    pub(crate) fn wrote(&self) {
        self.last_io.store(self.elapsed(), Relaxed);
    }

    /// The head being read is complete, or there is none.
    pub(crate) fn head_done(&self) {
        self.head_since.store(0, Relaxed);
    }

    /// The client will send nothing more.
    pub(crate) fn ended(&self) {
        self.eof.store(true, Relaxed);
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.eof.load(Relaxed)
    }

    pub(crate) fn request_began(&self) {
        self.in_flight.fetch_add(1, Relaxed);
        self.head_done();
    }

    pub(crate) fn request_ended(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// No request runs.
    pub(crate) fn is_quiet(&self) -> bool {
        self.in_flight.load(Relaxed) == 0
    }

    /// Judges the connection; `closing` if it was told to close already, so that what is left may take no longer than
    /// a head.
    pub(crate) fn next(&self, now: Instant, limits: &Limits, closing: bool) -> Next {
        // A head can begin right after this judgement, so never look away for longer than one may take.
        let next_look = now + limits.head_timeout;
        if !self.is_quiet() {
            return Next::Wait(next_look);
        }
        let head_since = self.head_since.load(Relaxed);
        if head_since > 0 {
            let due = self.at(head_since - 1) + limits.head_timeout;
            return if now >= due { Next::Late } else { Next::Wait(due) };
        }
        let patience = if closing { limits.head_timeout } else { limits.idle_timeout };
        let due = self.at(self.last_io.load(Relaxed)) + patience;
        match (now >= due, closing) {
            (false, _) => Next::Wait(due.min(next_look)),
            (true, false) => Next::Idle,
            (true, true) => Next::Late,
        }
    }

    fn at(&self, millis: u64) -> Instant {
        self.opened + Duration::from_millis(millis)
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}
