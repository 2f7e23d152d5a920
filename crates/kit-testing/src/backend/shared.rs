//! What the backend and its connections share: the script, the record, the counts.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::Request;
use tokio::sync::watch;

use super::{Reply, Script};

/// Requests kept.
const MAX_RECORDED: usize = 10_000;

#[derive(Debug)]
pub(super) struct Shared {
    script: Script,
    requests: Mutex<Vec<Request<Bytes>>>,
    counts: watch::Sender<Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) received: usize,
    pub(super) abandoned: usize,
    pub(super) connections: usize,
}

impl Shared {
    pub(super) fn new(script: Script) -> Self {
        Self { script, requests: Mutex::default(), counts: watch::Sender::default() }
    }

    /// Records a request and gives its reply.
    pub(super) fn receive(&self, request: Request<Bytes>) -> Reply {
        let mut index = 0;
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() < MAX_RECORDED {
            requests.push(request.clone());
        }
        // Counted after it is recorded, so that who waits for the count finds the record.
        self.counts.send_modify(|counts| {
            index = counts.received;
            counts.received += 1;
        });
        drop(requests);
        self.script.reply(index, &request)
    }

    pub(super) fn requests(&self) -> Vec<Request<Bytes>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn abandon(&self) {
        self.counts.send_modify(|counts| counts.abandoned += 1);
    }

    pub(super) fn connected(&self) {
        self.counts.send_modify(|counts| counts.connections += 1);
    }

    pub(super) fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    pub(super) async fn until(&self, reached: impl FnMut(&Counts) -> bool) {
        let mut counts = self.counts.subscribe();
        let waited = counts.wait_for(reached).await;
        debug_assert!(waited.is_ok(), "the sender is in `self`");
    }
}
