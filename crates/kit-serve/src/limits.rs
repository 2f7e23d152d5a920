//! The limits of a server, with their defaults.

use std::time::Duration;

use crate::pace::MinRate;

/// The smallest head that every server must take; hyper's buffer cannot be smaller either.
pub(crate) const LEAST_HEAD: usize = 8 * 1024;

/// The number of headers for which hyper parses on the stack; another number costs an allocation per request.
pub(crate) const USUAL_HEADERS: usize = 100;

/// What a client may use of the server.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) head_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) head_bytes: usize,
    pub(crate) headers: usize,
    pub(crate) body_bytes: Option<usize>,
    pub(crate) body_rate: Option<MinRate>,
    pub(crate) answer_rate: Option<MinRate>,
    pub(crate) request_timeout: Option<Duration>,
    pub(crate) connections: usize,
    pub(crate) connection_age: Option<Duration>,
    pub(crate) age_grace: Option<Duration>,
    pub(crate) stop_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(10),
            // Above the 60 s after which common load balancers drop an idle connection: the side that sends
            // requests should be the one that closes, or a request meets a closing connection.
            idle_timeout: Duration::from_secs(75),
            head_bytes: 64 * 1024,
            headers: USUAL_HEADERS,
            body_bytes: None,
            body_rate: Some(MinRate::default()),
            answer_rate: Some(MinRate::default()),
            request_timeout: Some(Duration::from_secs(5 * 60)),
            connections: 10_000,
            connection_age: None,
            age_grace: None,
            stop_within: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// How often to look at a connection, so that no limit is missed by more than the shortest of them.
    pub(crate) fn look(&self) -> Duration {
        let graces = self.answer_rate.map_or(Duration::MAX, MinRate::grace);
        self.head_timeout.min(self.idle_timeout).min(graces)
    }
}

/// A duration that can be added to any instant, and after which a timer makes progress.
pub(crate) fn bounded(duration: Duration) -> Duration {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    duration.clamp(Duration::from_millis(1), YEAR)
}
