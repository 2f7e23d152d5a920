//! The pause after a failed attempt to accept a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use kit_base::Pauses;
use tokio::time::{Sleep, sleep};

const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

/// Go's pauses: 5 ms, doubling up to 1 s, until an attempt succeeds.
#[derive(Debug)]
pub(crate) struct Backoff {
    pauses: Pauses,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Default for Backoff {
    fn default() -> Self {
        let pauses = kit_base::Backoff::new(FIRST, LONGEST).and_then(|pauses| pauses.with_jitter(0.0));
        Self { pauses: pauses.expect("5 ms is less than 1 s, and jitter may be 0").pauses(), pause: None }
    }
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
        self.pauses.reset();
    }

    pub(crate) fn failed(&mut self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        // These are about the one connection that went before it was accepted, and say nothing of the next.
        if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
            self.pause = self.pauses.next().map(|pause| Box::pin(sleep(pause)));
        }
    }
}
