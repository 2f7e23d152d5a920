//! When a connection did what, and when it has waited for its client long enough.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{CLOSING, Limits};

/// A head whose first bytes were read just now. Most heads are whole by then, and need no time.
const NEW_HEAD: u64 = u64::MAX;

/// What became of a connection since it was opened. Written by the stream, the requests and their answers, read by the
/// one timer of the connection, so that a request costs a few clock readings and no timer.
#[derive(Debug)]
pub(crate) struct Activity {
    opened: Instant,
    /// Milliseconds after `opened` at which a request last ended, or a part of its answer's body left. Not the last
    /// I/O: over HTTP/2, frames such as PING pass as often as the client pleases.
    last_active: AtomicU64,
    /// Milliseconds after `opened`, plus one, at which the head now being read began; 0 if none is, and [`NEW_HEAD`] until
    /// its bytes have been looked at.
    head_since: AtomicU64,
    in_flight: AtomicUsize,
    /// Parts of bodies that hyper has taken and not yet written.
    unsent: AtomicUsize,
    /// Whether enough has arrived to know the protocol.
    spoken: AtomicBool,
    /// Whether all parts had been written at some time since this was last asked.
    emptied: AtomicBool,
    /// Bytes of parts written so far.
    taken: AtomicU64,
    /// Set for good by a call of gRPC, whose client may pause a stream as long as it likes.
    grpc: AtomicBool,
    /// Set for good by an upgrade or a tunnel, whose bytes hyper does not look at.
    upgraded: AtomicBool,
    eof: AtomicBool,
    /// Over HTTP/2, milliseconds after `opened` at which the client last gave a sign of life.
    heard: AtomicU64,
    /// Whether the client was sent a PING, and has not been heard for too long since.
    unanswered: AtomicBool,
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
            last_active: AtomicU64::new(0),
            head_since: AtomicU64::new(1),
            in_flight: AtomicUsize::new(0),
            unsent: AtomicUsize::new(0),
            spoken: AtomicBool::new(false),
            emptied: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            grpc: AtomicBool::new(false),
            upgraded: AtomicBool::new(false),
            eof: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            unanswered: AtomicBool::new(false),
        }
    }

    /// Bytes arrived. On HTTP/1, bytes that arrive while no request runs are the beginning of a head.
    pub(crate) fn read(&self, may_begin_head: bool) {
        if may_begin_head && self.is_quiet() && self.head_since.load(Relaxed) == 0 {
            self.head_since.store(NEW_HEAD, Relaxed);
        }
    }

    /// No further bytes are there now: if a head has begun, it is not whole.
    pub(crate) fn read_all(&self) {
        if self.head_since.load(Relaxed) == NEW_HEAD {
            self.head_since.store(self.elapsed() + 1, Relaxed);
        }
    }

    /// Bytes other than those of a PING were read or written on an upgraded connection; only there do they mean anything
    /// by themselves.
    pub(crate) fn bytes_passed(&self) {
        self.touch();
    }

    /// The client lives: it has sent something, or made room for what waited to be sent.
    pub(crate) fn hear(&self) {
        self.heard.store(self.elapsed(), Relaxed);
        if self.is_unanswered() {
            self.forget_unanswered();
        }
    }

    /// When it last did.
    pub(crate) fn heard(&self) -> Instant {
        self.at(self.heard.load(Relaxed))
    }

    /// A PING has been without an answer for too long.
    pub(crate) fn set_unanswered(&self) {
        self.unanswered.store(true, Relaxed);
    }

    /// It has been dealt with.
    pub(crate) fn forget_unanswered(&self) {
        self.unanswered.store(false, Relaxed);
    }

    pub(crate) fn is_unanswered(&self) -> bool {
        self.unanswered.load(Relaxed)
    }

    /// The client has said which protocol it speaks.
    pub(crate) fn set_spoken(&self) {
        self.spoken.store(true, Relaxed);
    }

    /// Until when a request is awaited although the connection is to end, since `told`: who has just connected is about
    /// to send one, and who has sent a part of a head the rest. `None` if no request is on its way, or it had its time.
    pub(crate) fn awaited_until(&self, now: Instant, told: Instant, limits: &Limits) -> Option<Instant> {
        let since = if self.spoken.load(Relaxed) { told } else { self.opened };
        let until = since + limits.last_word();
        (self.has_begun_head() && !self.is_ended() && now < until).then_some(until)
    }

    /// The client has connected and not spoken, or sent a part of a head.
    pub(crate) fn has_begun_head(&self) -> bool {
        self.is_quiet() && self.head_since.load(Relaxed) > 0
    }

    /// The client has begun to speak HTTP/2. From here on an idle connection is one without streams.
    pub(crate) fn http2_began(&self) {
        self.touch();
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
        self.head_since.store(0, Relaxed);
    }

    pub(crate) fn request_ended(&self) {
        // In this order, so that whoever sees the connection quiet sees since when.
        self.touch();
        self.in_flight.fetch_sub(1, Release);
    }

    /// A part of a body was handed to hyper.
    pub(crate) fn part_began(&self) {
        self.unsent.fetch_add(1, Relaxed);
    }

    /// Some bytes of a part were written.
    pub(crate) fn part_advanced(&self, bytes: usize) {
        // Only the task of the connection writes, so nobody adds at the same time.
        self.taken.store(self.taken.load(Relaxed).wrapping_add(bytes as u64), Relaxed);
        self.touch();
    }

    /// A part was written, or dropped.
    pub(crate) fn part_ended(&self) {
        if self.unsent.fetch_sub(1, Relaxed) == 1 {
            self.emptied.store(true, Relaxed);
        }
    }

    /// Whether parts wait for the client, and have waited without a break since this was last asked.
    pub(crate) fn has_unsent(&self) -> (bool, bool) {
        let waits = self.unsent.load(Relaxed) > 0;
        (waits, waits && !self.emptied.swap(false, Relaxed))
    }

    /// Bytes of answers' bodies written so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    pub(crate) fn opened(&self) -> Instant {
        self.opened
    }

    /// The connection carries a call of gRPC.
    pub(crate) fn set_grpc(&self) {
        self.grpc.store(true, Relaxed);
    }

    /// Whether it has carried one.
    pub(crate) fn is_grpc(&self) -> bool {
        self.grpc.load(Relaxed)
    }

    /// The service has taken the connection over, or (HTTP/2) a stream of it as a tunnel.
    pub(crate) fn set_upgraded(&self) {
        self.upgraded.store(true, Relaxed);
    }

    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Relaxed)
    }

    /// No request runs.
    pub(crate) fn is_quiet(&self) -> bool {
        self.in_flight.load(Acquire) == 0
    }

    /// A request runs, or parts of an answer wait for the client.
    pub(crate) fn is_answering(&self) -> bool {
        !self.is_quiet() || self.unsent.load(Relaxed) > 0
    }

    /// Judges the connection; `closing` since when, if it was told to close already.
    pub(crate) fn next(&self, now: Instant, limits: &Limits, closing: Option<Instant>) -> Next {
        // What is judged here can change right after, so never look away for longer than the shortest limit.
        let soon = CLOSING.min(limits.head_timeout);
        let next_look = now + if closing.is_some() { soon } else { limits.look() };
        if !self.is_quiet() {
            return Next::Wait(next_look);
        }
        let last_active = self.at(self.last_active.load(Relaxed));
        let head_since = self.head_since.load(Relaxed);
        let head_due =
            (head_since > 0 && head_since != NEW_HEAD).then(|| self.at(head_since - 1) + limits.head_timeout);
        let (due, then) = match (closing, head_due) {
            (Some(closing), head_due) => {
                // An answer on its way, or a tunnel, is more than a formality.
                let busy = self.unsent.load(Relaxed) > 0 || self.is_upgraded();
                let due = last_active.max(closing) + if busy { limits.head_timeout } else { soon };
                (head_due.map_or(due, |head_due| head_due.min(due)), Next::Late)
            }
            (None, Some(head_due)) => (head_due, Next::Late),
            (None, None) => (last_active + limits.idle_timeout, Next::Idle),
        };
        if now >= due { then } else { Next::Wait(due.min(next_look)) }
    }

    fn touch(&self) {
        self.last_active.store(self.elapsed(), Relaxed);
    }

    fn at(&self, millis: u64) -> Instant {
        self.opened + Duration::from_millis(millis)
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Activity;

    #[test]
    fn parts_wait_without_a_break_only_if_all_were_never_written_in_between() {
        let activity = Activity::new();
        assert_eq!(activity.has_unsent(), (false, false));
        activity.part_began();
        assert_eq!(activity.has_unsent(), (true, true));
        activity.part_began();
        activity.part_ended();
        assert_eq!(activity.has_unsent(), (true, true));
        activity.part_ended();
        activity.part_began();
        assert_eq!(activity.has_unsent(), (true, false));
        assert_eq!(activity.has_unsent(), (true, true));
    }
}
