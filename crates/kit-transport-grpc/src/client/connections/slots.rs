//! The connections to one service, and which of them a call takes.

use std::iter::repeat_with;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::uri::Uri;
use http::{Request, Response};
use hyper::client::conn::http2::SendRequest;
use tonic::body::Body;

use super::body::Open;
use super::dial::Dial;
use super::settings::{Settings, Target};
use super::slot::{Outcome, Slot};
use super::{ConnectionError, ResponseBody};
use crate::BuildError;

/// A call takes at most so many connections, where each one closes before the request is sent.
const TRIES: usize = 3;

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

    pub(super) async fn call(&self, mut request: Request<Body>) -> Result<Response<ResponseBody>, ConnectionError> {
        let authority = self.dial.authority();
        let mut left = TRIES;
        loop {
            let (mut sender, open) = self.take().await?;
            let sent = sender.try_send_request(request);
            // Nobody holds a connection by waiting for its answer.
            drop(sender);
            let mut error = match sent.await {
                Ok(answer) => return Ok(answer.map(|body| ResponseBody::new(body, authority.clone(), open))),
                Err(error) => error,
            };
            left -= 1;
            request = match error.take_message() {
                Some(unsent) if left > 0 => unsent,
                Some(_) => return Err(ConnectionError::unsent(authority, error.into_error())),
                None => return Err(ConnectionError::broken(authority, error.into_error())),
            };
        }
    }

    /// The connection with the fewest calls. No call waits for one while there is another.
    async fn take(&self) -> Result<(SendRequest<Body>, Open), ConnectionError> {
        let slot = self.by_load(|_| Some(())).map(|(slot, ())| slot);
        let Some(slot) = slot else { return Err(self.given_up()) };
        let open = slot.open();
        let outcome = match slot.take(&self.dial) {
            Ok(sender) => return Ok((sender, open)),
            Err(outcome) => outcome,
        };
        if let Some((other, sender)) = self.by_load(Slot::ready) {
            return Ok((sender, other.open()));
        }
        Ok((self.wait(outcome).await?, open))
    }

    /// The slot with the fewest calls among those where `look` finds something.
    fn by_load<T>(&self, look: impl Fn(&Slot) -> Option<T>) -> Option<(&Slot, T)> {
        let turn = match self.slots.len() {
            1 => 0,
            count => self.turn.fetch_add(1, Ordering::Relaxed) % count,
        };
        let (before, after) = self.slots.split_at(turn);
        let found = after.iter().chain(before).filter_map(|slot| look(slot).map(|found| (slot, found)));
        found.min_by_key(|(slot, _)| slot.load())
    }

    async fn wait(&self, mut outcome: Outcome) -> Result<SendRequest<Body>, ConnectionError> {
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
