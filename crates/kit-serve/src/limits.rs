//! The limits of a server, with their defaults.

use std::time::Duration;

use crate::keepalive::Keepalive;
use crate::pace::MinRate;

/// The smallest head that every server must take; hyper's buffer cannot be smaller either.
pub(crate) const LEAST_HEAD: usize = 8 * 1024;

/// The number of headers for which hyper parses on the stack; another number costs an allocation per request.
pub(crate) const USUAL_HEADERS: usize = 100;

/// HTTP/2: bytes of a request's body that a stream may send before the service reads them.
pub(crate) const STREAM_WINDOW: u32 = 1024 * 1024;

/// HTTP/2: as much for all streams of a connection together. More than one stream's, or a single upload that its service
/// does not read would stop all others, and their clients be called too slow; not much more, as it bounds the memory.
pub(crate) const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;

/// HTTP/2: bytes of an answer's body that a stream takes from the service before they are written. hyper's default of
/// 400 KiB would let one client hold 80 MiB by not reading 200 answers; four frames are enough to keep a socket busy.
pub(crate) const SEND_BUFFER: usize = 64 * 1024;

/// HTTP/2: streams of one connection that were opened and reset again before the server even looked at them. One more
/// ends the connection (rapid reset, CVE-2023-44487).
pub(crate) const UNSEEN_RESETS: usize = 20;

/// HTTP/2: streams of one connection that the server had to reset because of what the client sent. One more ends the
/// connection (CVE-2025-8671, "MadeYouReset": such streams no longer count as open, but their requests may still run).
pub(crate) const FORCED_RESETS: usize = 1024;

/// How long a connection that was told to close may stay without a running request: time for a head that was half
/// sent, and for an HTTP/2 client to confirm the end. A stop must not wait for those who do neither.
pub(crate) const CLOSING: Duration = Duration::from_secs(1);

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
    pub(crate) streams: u32,
    /// None without an interval; the timeout stays, for an interval that is set later.
    pub(crate) keepalive_interval: Option<Duration>,
    pub(crate) keepalive_timeout: Duration,
    pub(crate) connection_age: Option<Duration>,
    pub(crate) age_grace: Option<Duration>,
    pub(crate) stop_within: Duration,
    pub(crate) half_close: bool,
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
            streams: 200,
            body_rate: Some(MinRate::default()),
            answer_rate: Some(MinRate::default()),
            request_timeout: Some(Duration::from_secs(5 * 60)),
            connections: 10_000,
            // A client that has vanished is gone within half a minute. Home routers forget a silent connection after a
            // minute or more, so these PINGs also keep it known.
            keepalive_interval: Some(Duration::from_secs(20)),
            keepalive_timeout: Duration::from_secs(10),
            connection_age: None,
            age_grace: None,
            stop_within: Duration::from_secs(10),
            half_close: false,
        }
    }
}

impl Limits {
    /// How long a connection that is to end is waited for when its client is about to send a request, or has sent a part of
    /// its head; well within the time of the stop, so that none of these has to be cut.
    pub(crate) fn last_word(&self) -> Duration {
        CLOSING.min(self.head_timeout).min(self.stop_within / 2)
    }

    /// When HTTP/2 clients are sent PINGs, if ever.
    pub(crate) fn keepalive(&self) -> Option<Keepalive> {
        self.keepalive_interval.map(|interval| Keepalive { interval, timeout: self.keepalive_timeout })
    }

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
