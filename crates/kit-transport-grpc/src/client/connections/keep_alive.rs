//! PINGs: whether the peer still works, asked so that no server of gRPC takes offence.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use h2::{Ping, PingPong};
use tokio::time::Sleep;

use super::later;
use super::pulse::Pulse;
use crate::within::now;

/// When PINGs are sent, and how long one may go unanswered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pings {
    pub(super) silence: Duration,
    pub(super) timeout: Duration,
    pub(super) interval: Duration,
}

/// Asks a silent peer for a sign of life, while calls are open.
///
/// A server of gRPC counts PINGs that come within 5 minutes of the one before, or without calls, and ends the connection at the
/// third one; but each head and each data that it sends sets its count back to nothing, so the next PING is free. It is sent as
/// soon as the peer is silent for a while; one that is not free waits for its time. What the server sent before it had the last
/// PING does not count: only what comes after the answer to it. Source: gRFC A8, "Server Enforcement"; `handlePing` of grpc-go.
pub(super) struct KeepAlive {
    pings: Pings,
    pulse: Arc<Pulse>,
    line: PingPong,
    /// Looked at when it fires, and not with each poll.
    timer: Pin<Box<Sleep>>,
    state: State,
    last: Option<Instant>,
}

#[derive(Clone, Copy)]
enum State {
    /// No calls are open, as far as is known.
    Idle,
    /// Calls are open, the first of them since then.
    Waiting(Instant),
    /// A PING was sent then, and is not answered.
    Asked(Instant),
}

impl KeepAlive {
    pub(super) fn new(pings: Pings, pulse: &Arc<Pulse>, line: PingPong) -> Self {
        let timer = Box::pin(tokio::time::sleep(Duration::ZERO));
        Self { pings, pulse: Arc::clone(pulse), line, timer, state: State::Idle, last: None }
    }

    /// Ready when the peer is lost.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.state {
                State::Idle if !self.pulse.has_calls() => return Poll::Pending,
                State::Idle => {
                    let now = now();
                    self.state = State::Waiting(now);
                    self.wake_at(later(now, self.pings.silence));
                }
                State::Waiting(since) => {
                    if self.timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    self.look(since);
                }
                State::Asked(at) => {
                    match self.line.poll_pong(cx) {
                        Poll::Ready(Ok(_)) => {
                            self.pulse.forget_answers();
                            self.state = State::Idle;
                            continue;
                        }
                        // The connection has ended, which it tells itself.
                        Poll::Ready(Err(_)) => return Poll::Pending,
                        Poll::Pending => {}
                    }
                    if self.timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    // All that comes is a sign of life.
                    let due = later(self.pulse.heard_at().max(at), self.pings.timeout);
                    if now() >= due {
                        return Poll::Ready(());
                    }
                    self.wake_at(due);
                }
            }
        }
    }

    /// It is time to see whether a PING is due.
    fn look(&mut self, since: Instant) {
        let Pings { silence, timeout, interval } = self.pings;
        if !self.pulse.has_calls() {
            self.state = State::Idle;
            return;
        }
        let now = now();
        let silent = later(self.pulse.heard_at().max(since), silence);
        let due = match self.last {
            Some(last) if !self.pulse.has_answered() => silent.max(later(last, interval)),
            Some(_) | None => silent,
        };
        if now < due {
            // Not for longer than this: an answer that makes it free wakes nobody here.
            self.wake_at(due.min(later(now, silence)));
        } else if self.line.send_ping(Ping::opaque()).is_ok() {
            (self.state, self.last) = (State::Asked(now), Some(now));
            self.wake_at(later(now, timeout));
        } else {
            // The connection is ending.
            self.wake_at(later(now, silence));
        }
    }

    fn wake_at(&mut self, at: Instant) {
        self.timer.as_mut().reset(at.into());
    }
}
