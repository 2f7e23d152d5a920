//! What is to be registered and how, but for the instance.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kit_base::{Backoff, InvalidBackoff, Observer, Readiness};

use crate::Check;

/// The longest that makes sense for a setting; sums with it do not overflow.
pub(crate) const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// The settings of a registrar, for its registrations.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) check: Check,
    pub(crate) critical_after: Option<Duration>,
    pub(crate) poll: Duration,
    pub(crate) backoff: Result<Backoff, InvalidBackoff>,
    pub(crate) readiness: Option<Readiness>,
    pub(crate) observer: Arc<dyn Observer>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, check, critical_after, poll, backoff, readiness, observer: _ } = self;
        f.debug_struct("Plan")
            .field("service", name)
            .field("check", check)
            .field("deregister_critical_after", critical_after)
            .field("poll_interval", poll)
            .field("backoff", backoff)
            .field("readiness", readiness)
            .finish()
    }
}
