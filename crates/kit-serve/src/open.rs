//! An open connection, as it is counted and told.

use std::sync::Arc;

use crate::events::Why;
use crate::shared::Shared;

/// Counts a connection as open until it is dropped, and tells the observer of both ends.
#[derive(Debug)]
pub(crate) struct Open {
    shared: Arc<Shared>,
    why: Why,
}

impl Open {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        shared.stats.connection_opened();
        shared.events.tell("connection_opened", "");
        // Whoever ends it says why; who is cut has no time to.
        Self { shared: Arc::clone(shared), why: Why::Cut }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The connection has ended.
    pub(crate) fn close(mut self, why: Why) {
        self.why = why;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.stats.connection_closed();
        self.shared.events.tell("connection_closed", self.why.as_str());
    }
}
