//! Who uses a connection, and what becomes of it when nobody does.

use std::convert::Infallible;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::sync::{Mutex, oneshot};
use tokio::time::Sleep;

use super::pulse::Pulse;

/// How long a connection that nobody uses has for its goodbye. A peer that does not read would hold it for ever.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection is used as long as there is one of these.
#[derive(Debug)]
pub(super) struct Life {
    pulse: Arc<Pulse>,
    /// Held by the call that is the next to have a stream; with what tells when the one before has got it, if that was left.
    pub(super) turn: Mutex<Option<SendRequest<Bytes>>>,
    _used: oneshot::Sender<Infallible>,
}

impl Life {
    pub(super) fn new(pulse: &Arc<Pulse>) -> (Arc<Self>, Unused) {
        let (used, unused) = oneshot::channel();
        (Arc::new(Self { pulse: Arc::clone(pulse), turn: Mutex::new(None), _used: used }), Unused::Not(unused))
    }
}

impl Deref for Life {
    type Target = Pulse;

    fn deref(&self) -> &Pulse {
        &self.pulse
    }
}

/// Whether nobody uses a connection any more.
pub(super) enum Unused {
    Not(oneshot::Receiver<Infallible>),
    For(Pin<Box<Sleep>>),
}

impl Unused {
    /// Ready when it has had time for its goodbye.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Not(unused) = self {
            if Pin::new(unused).poll(cx).is_pending() {
                return Poll::Pending;
            }
            *self = Self::For(Box::pin(tokio::time::sleep(GOODBYE)));
        }
        match self {
            Self::Not(_) => Poll::Pending,
            Self::For(time) => time.as_mut().poll(cx),
        }
    }
}

/// Tells, when it is dropped, that the connection takes no more calls.
pub(super) struct Closing(pub(super) Arc<Pulse>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// One open call of a connection, among those of its slot.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) life: Arc<Life>,
    slot: Arc<AtomicUsize>,
    /// Whether it has a stream, and does not wait for one.
    streaming: bool,
}

impl Open {
    pub(super) fn new(life: &Arc<Life>, slot: &Arc<AtomicUsize>) -> Self {
        life.open();
        slot.fetch_add(1, Ordering::Relaxed);
        Self { life: Arc::clone(life), slot: Arc::clone(slot), streaming: false }
    }

    /// Takes a stream: how many calls have one already. Some of them may be over for HTTP/2, if nobody has read their ends.
    pub(super) fn take_stream(&mut self) -> usize {
        self.streaming = true;
        self.life.take_stream()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.slot.fetch_sub(1, Ordering::Relaxed);
        self.life.end(self.streaming);
    }
}
