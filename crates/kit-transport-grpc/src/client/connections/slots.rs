//! The connections to one service, and which of them a call takes.

use std::iter::repeat_with;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::uri::Uri;
use http::{Request, Response};
use tonic::body::Body;

use super::dial::Dial;
use super::line::{Line, Sent};
use super::outgoing::Outgoing;
use super::settings::{Settings, Target};
use super::slot::{Outcome, Slot};
use super::{ConnectionError, ResponseBody};
use crate::BuildError;

/// A request takes at most so many connections that end without it, beside those that were there before.
const CONNECTIONS: usize = 10;

/// A request is sent at most so often where it is refused. Source: gRFC A6, "Transparent Retries".
const REFUSALS: usize = 2;

/// The connections to one service.
pub(super) struct Slots {
    dial: Arc<Dial>,
    slots: Box<[Slot]>,
    /// Where the next look for a connection begins.
    turn: AtomicUsize,
}

impl Slots {
    pub(super) fn new(target: Target, settings: &Settings) -> Self {
        Self {
            dial: Arc::new(Dial::new(target, settings)),
            slots: repeat_with(Slot::default).take(settings.count.get()).collect(),
            turn: AtomicUsize::new(0),
        }
    }

    pub(super) fn is_for(&self, service: &Uri) -> bool {
        let Target { scheme, authority, .. } = &self.dial.target;
        service.scheme() == Some(scheme) && service.authority() == Some(authority)
    }

    pub(super) fn not_for(&self, service: &Uri) -> BuildError {
        let Target { scheme, authority, .. } = &self.dial.target;
        BuildError::new(format!(
            "these connections go to {scheme}://{authority}, and not to {service}: make others for it"
        ))
    }

    pub(super) async fn call(&self, request: Request<Body>) -> Result<Response<ResponseBody>, ConnectionError> {
        let authority = self.dial.authority();
        let mut request = Outgoing::of(request).await;
        let (mut connections, mut refusals) = (0, 0);
        loop {
            let (slot, line) = self.take(&mut request).await?;
            let open = slot.open(&line);
            let error = match line.send(request, open, authority).await {
                Sent::Answer(answer) => return answer,
                Sent::Unsent(again, error) => {
                    request = again;
                    request.waits();
                    error
                }
            };
            *if error.is_reset() { &mut refusals } else { &mut connections } += 1;
            if refusals == REFUSALS || connections == CONNECTIONS + self.slots.len() {
                return Err(ConnectionError::unsent(authority, error));
            }
        }
    }

    /// The connection with the fewest calls. No call waits for one while there is another.
    async fn take(&self, request: &mut Outgoing) -> Result<(&Slot, Line), ConnectionError> {
        let turn = match self.slots.len() {
            1 => 0,
            count => self.turn.fetch_add(1, Ordering::Relaxed) % count,
        };
        let Some((slot, ())) = self.by_load(turn, |_| Some(())) else { return Err(self.given_up()) };
        match slot.take(&self.dial) {
            Ok(line) => Ok((slot, line)),
            Err(outcome) => match self.by_load(turn, Slot::ready) {
                Some(other) => Ok(other),
                None => {
                    request.waits();
                    Ok((slot, self.wait(outcome).await?))
                }
            },
        }
    }

    /// The slot with the fewest calls among those where `look` finds something; where they are alike, the first from `turn` on.
    fn by_load<T>(&self, turn: usize, look: impl Fn(&Slot) -> Option<T>) -> Option<(&Slot, T)> {
        let (before, after) = self.slots.split_at(turn);
        let found = after.iter().chain(before).filter_map(|slot| look(slot).map(|found| (slot, found)));
        found.min_by_key(|(slot, _)| slot.load())
    }

    async fn wait(&self, mut outcome: Outcome) -> Result<Line, ConnectionError> {
        match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            Ok(None) | Err(_) => Err(self.given_up()),
        }
    }

    fn given_up(&self) -> ConnectionError {
        ConnectionError::connect(
            self.dial.authority(),
            "the attempt was given up, as the runtime that it ran on has ended",
        )
    }
}
