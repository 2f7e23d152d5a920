//! The place of one connection: it is made when a call needs it, and again when it has broken or is old.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http2::SendRequest;
use kit_base::Deadline;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::body::Body;

use super::ConnectionError;
use super::body::Open;
use super::dial::Dial;
use crate::within::now;

type Sender = SendRequest<Body>;

/// What an attempt to connect has come to, once it has.
pub(super) type Outcome = watch::Receiver<Option<Result<Sender, ConnectionError>>>;

/// The place of one connection.
#[derive(Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    calls: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    current: Option<Connection>,
    /// What takes the place of one that is old.
    next: Option<Connection>,
}

/// A connection from the attempt on. Dropped, it is given up; calls on it go on.
struct Connection {
    outcome: Outcome,
    due: Option<Instant>,
    _attempt: JoinSet<()>,
}

enum Stage {
    Making,
    Ready(Sender),
    Over,
}

impl Slot {
    pub(super) fn load(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// One more call here.
    pub(super) fn open(&self) -> Open {
        Open::new(&self.calls)
    }

    /// The connection, if it is there.
    pub(super) fn ready(&self) -> Option<Sender> {
        match self.lock().current.as_ref()?.stage() {
            Stage::Ready(sender) => Some(sender),
            Stage::Making | Stage::Over => None,
        }
    }

    /// The connection, or the attempt to make it, which begins here if need be.
    pub(super) fn take(&self, dial: &Arc<Dial>) -> Result<Sender, Outcome> {
        let mut state = self.lock();
        state.renew(dial);
        let stage = state.current.as_ref().map_or(Stage::Over, Connection::stage);
        match (stage, &state.current) {
            (Stage::Ready(sender), _) => Ok(sender),
            (Stage::Making, Some(connection)) => Err(connection.outcome.clone()),
            (Stage::Over | Stage::Making, _) => Err(state.current.insert(Connection::begin(dial)).outcome.clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Sees to the next connection when the present one is old. Until that is there, the present one goes on.
    fn renew(&mut self, dial: &Arc<Dial>) {
        let Some(Connection { due: Some(due), .. }) = &mut self.current else { return };
        let now = now();
        if now < *due {
            return;
        }
        match self.next.take() {
            None => self.next = Some(Connection::begin(dial)),
            Some(next) => match next.stage() {
                Stage::Making => self.next = Some(next),
                Stage::Ready(_) => self.current = Some(next),
                Stage::Over => *due = later(now, dial.pause()),
            },
        }
    }
}

impl Connection {
    /// Begins to make one. The attempt goes on without those who wait for it.
    fn begin(dial: &Arc<Dial>) -> Self {
        let (tell, outcome) = watch::channel(None);
        // Up to a tenth early, so that not all processes of a service connect at once.
        let due = dial.max_age.map(|age| later(now(), age.mul_f64(1.0 - 0.1 * fastrand::f64())));
        let mut attempt = JoinSet::new();
        let dial = Arc::clone(dial);
        attempt.spawn(async move {
            let made = dial.connect().await;
            tell.send_replace(Some(made));
        });
        Self { outcome, due, _attempt: attempt }
    }

    fn stage(&self) -> Stage {
        match &*self.outcome.borrow() {
            Some(Ok(sender)) if !sender.is_closed() => Stage::Ready(sender.clone()),
            Some(_) => Stage::Over,
            // The runtime that it ran on has ended.
            None if self.outcome.has_changed().is_err() => Stage::Over,
            None => Stage::Making,
        }
    }
}

fn later(now: Instant, after: Duration) -> Instant {
    Deadline::after(now, after).instant()
}
