//! The place of one connection: it is made when a call needs it, and again when it has broken or is old.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::dial::Dial;
use super::life::Open;
use super::line::Line;
use super::{ConnectionError, later};
use crate::within::now;

/// What an attempt to connect has come to, once it has.
pub(super) type Outcome = watch::Receiver<Option<Result<Line, ConnectionError>>>;

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
    /// How many attempts have failed before this one, and how long this one stands for a next one, if it fails too.
    failures: u32,
    stands: Instant,
    _attempt: JoinSet<()>,
}

enum Stage {
    /// Being made, or failed a moment ago: all calls share the outcome.
    Shared,
    Ready(Line),
    Over,
}

impl Slot {
    pub(super) fn load(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// One more call here.
    pub(super) fn open(&self, line: &Line) -> Open {
        Open::new(&line.life, &self.calls)
    }

    /// The connection, if it is there.
    pub(super) fn ready(&self) -> Option<Line> {
        match self.lock().current.as_ref()?.stage() {
            Stage::Ready(line) => Some(line),
            Stage::Shared | Stage::Over => None,
        }
    }

    /// The connection, or the attempt to make it, which begins here if need be.
    pub(super) fn take(&self, dial: &Arc<Dial>) -> Result<Line, Outcome> {
        let mut state = self.lock();
        state.renew(dial);
        if let Some(connection) = &state.current {
            match connection.stage() {
                Stage::Ready(line) => return Ok(line),
                Stage::Shared => return Err(connection.outcome.clone()),
                Stage::Over => {}
            }
        }
        // What was to take its place may be on its way.
        let next = state.next.take().filter(|next| !matches!(next.stage(), Stage::Over));
        let next = next.unwrap_or_else(|| Connection::begin(dial, state.failures()));
        Err(state.current.insert(next).outcome.clone())
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
            None => self.next = Some(Connection::begin(dial, 0)),
            Some(next) => match next.stage() {
                Stage::Shared => self.next = Some(next),
                Stage::Ready(_) => self.current = Some(next),
                Stage::Over => *due = later(now, dial.pause()),
            },
        }
    }

    /// How many attempts have failed, one after the other.
    fn failures(&self) -> u32 {
        match &self.current {
            Some(current) if matches!(*current.outcome.borrow(), Some(Err(_))) => current.failures.saturating_add(1),
            Some(_) | None => 0,
        }
    }
}

impl Connection {
    /// Begins to make one. The attempt goes on without those who wait for it.
    fn begin(dial: &Arc<Dial>, failures: u32) -> Self {
        let (tell, outcome) = watch::channel(None);
        // Up to a tenth early, so that not all processes of a service connect at once.
        let now = now();
        let due = dial.max_age.map(|age| later(now, age - (age / 10).mul_f64(fastrand::f64())));
        let stands = later(now, pause(failures));
        let mut attempt = JoinSet::new();
        let dial = Arc::clone(dial);
        attempt.spawn(async move {
            let made = dial.connect().await;
            tell.send_replace(Some(made));
        });
        Self { outcome, due, failures, stands, _attempt: attempt }
    }

    fn stage(&self) -> Stage {
        match &*self.outcome.borrow() {
            Some(Ok(line)) if !line.life.is_closed() => Stage::Ready(line.clone()),
            Some(Err(_)) if now() < self.stands => Stage::Shared,
            Some(_) => Stage::Over,
            // The runtime that it ran on has ended.
            None if self.outcome.has_changed().is_err() => Stage::Over,
            None => Stage::Shared,
        }
    }
}

/// The least time from the beginning of one attempt to that of the next, after so many failures before: 20 ms, then twice as
/// long each time, up to 1 s, and up to a fifth less. A server that is down is not asked by each call, and found soon.
fn pause(failures: u32) -> Duration {
    let most = Duration::from_millis(20).saturating_mul(1 << failures.min(6)).min(Duration::from_secs(1));
    most - (most / 5).mul_f64(fastrand::f64())
}
