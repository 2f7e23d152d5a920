//! The pause after a failed attempt to accept a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

/// Go's pauses: 5 ms, doubling up to 1 s, until an attempt succeeds.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    last: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Backoff {
    /// Ready when the next attempt may be made.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(())
    }

    pub(crate) fn succeeded(&mut self) {
        self.last = Duration::ZERO;
    }

    pub(crate) fn failed(&mut self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        // These are about the one connection that went before it was accepted, and say nothing of the next.
        if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
            self.last = (self.last * 2).clamp(FIRST, LONGEST);
            self.pause = Some(Box::pin(sleep(self.last)));
        }
    }
}
