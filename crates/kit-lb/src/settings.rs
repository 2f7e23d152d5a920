//! Settings of a live set.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kit_base::{Backoff, Observer};

/// Settings of an [`Endpointer`](crate::Endpointer).
#[derive(Clone)]
pub struct Settings {
    pub(crate) first_wait: Duration,
    /// None where the default makes no sense, which a test sees.
    pub(crate) retry: Option<Backoff>,
    pub(crate) observer: Arc<dyn Observer>,
}

impl Settings {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a call waits for the first set, where its deadline does not end it before; 5 s by default. Later calls never
    /// wait: without an instance they fail at once.
    #[must_use]
    pub fn first_wait(mut self, wait: Duration) -> Self {
        self.first_wait = wait;
        self
    }

    /// The pauses between tries to make the connections that the factory has failed to make, all of them at a time; by default up
    /// to 100 ms at first, then twice as long each time, up to 10 s.
    #[must_use]
    pub fn retry(mut self, backoff: Backoff) -> Self {
        self.retry = Some(backoff);
        self
    }

    /// Is told what happens to the set; see the [events](crate#events-and-log-fields).
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Arc::new(observer);
        self
    }
}

impl Default for Settings {
    fn default() -> Self {
        let retry = Backoff::new(Duration::from_millis(100), Duration::from_secs(10)).ok();
        Self { first_wait: Duration::from_secs(5), retry, observer: Arc::new(()) }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first_wait, retry, .. } = self;
        f.debug_struct("Settings").field("first_wait", first_wait).field("retry", retry).finish_non_exhaustive()
    }
}
