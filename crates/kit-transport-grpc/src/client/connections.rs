//! The connections of a client: one or a few, over HTTP/2, made when they are needed and again when they break.

mod body;
mod dial;
mod error;
mod keep_alive;
mod life;
mod line;
mod outgoing;
mod pulse;
mod settings;
mod slot;
mod slots;
#[cfg(feature = "tls")]
mod tls;
mod upload;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http::uri::Uri;
use http::{Request, Response};
use kit_base::{Deadline, Endpoint, Error, Origin, ServiceError};
#[cfg(feature = "tls")]
use tokio_rustls::rustls::ClientConfig;
use tonic::body::Body;

pub use body::ResponseBody;
pub use error::ConnectionError;

use crate::BuildError;
use settings::Settings;
use slots::Slots;

/// Connections over HTTP/2 to one service: one, or [several](Self::count). An endpoint on `http` types. Clones share them.
///
/// A connection is made when a call needs it, and again when it has broken. All calls that wait for it share one attempt
/// and its outcome; the attempt goes on when they leave. After one that failed, calls get its error at once until it is time for
/// the next: 20 ms after the beginning of the first, then each time twice as long, up to 1 s. So a server that comes back is found within 1 s. A request with one message that the server surely did not take, as
/// its connection was ending, goes over the next one; if it refused the stream, it is sent once more (gRFC A6). All else that
/// goes wrong is a [`ConnectionError`], and is for the caller to repeat. Calls beyond the streams that the server allows on a
/// connection wait, as long as their deadline lets them. When a connection ends by `GOAWAY`, its calls finish, and the next
/// one goes over a new connection.
///
/// # How a dead peer is noticed
/// | what has died | how it is noticed | after |
/// |---|---|---|
/// | the process: the connection is closed | at once | 0 s |
/// | the host or the way to it, while something is sent | `TCP_USER_TIMEOUT` (Linux) | 10 s |
/// | the same, while nothing is sent | TCP keep-alive: 10 s of silence, then each 5 s | 15 s |
/// | the process hangs, and its kernel goes on | HTTP/2 PING after 10 s of silence with calls open, answer within 20 s | 30 s |
/// | the same, on a stream that was silent before | as above, 5 min 10 s after the last PING | 5 min 30 s |
///
/// Calls that were under way end as `Unavailable`, and the next one goes over a new connection. The numbers can be set:
/// [`tcp_user_timeout`](Self::tcp_user_timeout), [`keep_alive`](Self::keep_alive),
/// [`keep_alive_timeout`](Self::keep_alive_timeout), [`keep_alive_interval`](Self::keep_alive_interval).
///
/// Servers of gRPC take the third PING within 5 minutes, or without calls, for an attack, and end the connection with `GOAWAY`
/// and `too_many_pings`; but they begin to count anew whenever they send something of an answer. So a PING is sent only while
/// calls are open, and only if something of an answer has come since the last one, or that was 5 min 10 s ago: no server
/// with default settings ever objects. If a stricter one does, connections made later wait twice as long. Source: gRFC A8,
/// A18; grpc-go, `EnforcementPolicy`.
///
/// Where there is no `TCP_USER_TIMEOUT` (outside of Linux, Android and Fuchsia), a dead host is found by the PING too, while
/// calls are open, and by TCP keep-alive while nothing is on its way.
///
/// # Limits
/// What arrives is buffered up to 2 MiB for each call (HTTP/2's window of a stream, which does not grow by itself; that of the
/// connection is 1 GiB, so that answers which nobody reads hold up no others); what leaves, by one message for each call.
/// Headers and trailers of an answer have at most 16 KiB each.
///
/// # Cancellation
/// Dropping the future of a call, or the body of its answer, resets its stream. When the last clone is dropped, an attempt to
/// connect ends, and each connection ends with the last call on it, at most 1 s later. (The resolution of a name, which the system
/// does on a thread of its own, cannot be ended.)
///
/// Connections live on the runtime that made them, and a call from another one needs that runtime to run. When it is shut down,
/// their calls fail, and the next call makes new connections where it runs.
///
/// # Panics
/// A call outside of a tokio runtime, or in one without IO or time, panics.
#[derive(Clone)]
pub struct Connections {
    settings: Settings,
    slots: Arc<OnceLock<Slots>>,
}

impl Connections {
    /// One connection without TLS.
    #[must_use]
    pub fn new() -> Self {
        Self { settings: Settings::default(), slots: Arc::default() }
    }

    /// With another setting, these are connections of their own, also where clones were made before.
    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(&mut self.settings);
        Self { settings: self.settings, slots: Arc::default() }
    }

    /// So many connections, each made when it is needed; 1 by default. A call takes the one with the fewest calls open.
    ///
    /// One connection has no more calls at once than the server allows (often 100), and the work of one core. All go to the
    /// same service, by what its name resolves to when each of them is made: this is no balancing over addresses.
    #[must_use]
    pub fn count(self, count: NonZeroUsize) -> Self {
        self.set(|settings| settings.count = count)
    }

    /// How long making a connection may take, with the name's resolution and TLS; 10 s by default. Several addresses of
    /// a name share the time.
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.set(|settings| settings.connect_timeout = timeout)
    }

    /// How long what was sent may stay without acknowledgement from the peer's kernel (`TCP_USER_TIMEOUT`); and after as much
    /// silence TCP asks by itself whether the peer is there (TCP keep-alive), every half of it. 10 s by default; `None`
    /// leaves both to the system, whose limits are 15 minutes and 2 hours. TCP keep-alive counts in whole seconds, at
    /// least 1.
    ///
    /// It must be several times the round trip: a network that is away for this long loses the connection.
    #[must_use]
    pub fn tcp_user_timeout(self, timeout: impl Into<Option<Duration>>) -> Self {
        let timeout = timeout.into().map(|timeout| timeout.max(Duration::from_millis(1)));
        self.set(|settings| settings.tcp_user_timeout = timeout)
    }

    /// How long a connection with open calls may be silent before an HTTP/2 PING asks whether the peer still works; 10 s by
    /// default, at least 1 s; `None` for never. No PING is sent that a server of gRPC would count, unless
    /// [`keep_alive_interval`](Self::keep_alive_interval) has passed.
    #[doc(alias = "KEEPALIVE_TIME")]
    #[must_use]
    pub fn keep_alive(self, silence: impl Into<Option<Duration>>) -> Self {
        let silence = silence.into().map(|silence| silence.max(Duration::from_secs(1)));
        self.set(|settings| settings.keep_alive = silence)
    }

    /// The least time between two PINGs if the server has sent nothing of an answer between them; 5 min 10 s by default.
    /// Servers of gRPC end a connection with three of them in 5 minutes, unless they are told otherwise: shorten it only
    /// where you know the server's setting (grpc-go: `EnforcementPolicy.MinTime`).
    #[must_use]
    pub fn keep_alive_interval(self, interval: Duration) -> Self {
        self.set(|settings| settings.keep_alive_interval = interval)
    }

    /// How long the answer to a PING may take; 20 s by default, as everywhere in gRPC.
    #[doc(alias = "KEEPALIVE_TIMEOUT")]
    #[must_use]
    pub fn keep_alive_timeout(self, timeout: Duration) -> Self {
        self.set(|settings| settings.keep_alive_timeout = timeout)
    }

    /// How old a connection gets: then a new one takes its place, and the old one ends with the last call on it. So a client
    /// finds servers that came later behind the same name. Up to a tenth less, so that not all of a service connect at once.
    /// `None` by default: servers have a limit of their own (gRFC A9). If no new connection can be made, the old one goes on.
    #[must_use]
    pub fn max_age(self, age: impl Into<Option<Duration>>) -> Self {
        let age = age.into().map(|age| age.max(Duration::from_secs(1)));
        self.set(|settings| settings.max_age = age)
    }

    /// Speaks TLS as this configuration says: for a service whose URL is `https`.
    ///
    /// The configuration is the program's: the roots it trusts, the certificate that it shows (mutual TLS), versions, and the
    /// provider of the cryptography, of which this crate brings none. Only if it names no protocols (`alpn_protocols` is
    /// empty), `h2` is offered; a server that does not agree on `h2` is refused. The certificate must be for the host in the URL.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(self, config: impl Into<Arc<ClientConfig>>) -> Self {
        let config = tls::offering(config.into());
        self.set(|settings| settings.tls = Some(config))
    }

    /// Whether calls of this service can go over these connections.
    ///
    /// # Errors
    /// The scheme does not fit the settings, or they go to another service already.
    pub(super) fn check(&self, service: &Uri) -> Result<(), BuildError> {
        self.slots(service).map(drop)
    }

    /// The connections to this service: they belong to the first one that is asked for.
    fn slots(&self, service: &Uri) -> Result<&Slots, BuildError> {
        let slots = match self.slots.get() {
            Some(slots) => slots,
            None => {
                let slots = Slots::new(self.settings.target(service)?, &self.settings);
                self.slots.get_or_init(|| slots)
            }
        };
        if slots.is_for(service) { Ok(slots) } else { Err(slots.not_for(service)) }
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self::new()
    }
}

impl Endpoint<Request<Body>> for Connections {
    type Response = Response<ResponseBody>;
    type Error = ServiceError<ConnectionError>;

    async fn call(&self, request: Request<Body>) -> Result<Response<ResponseBody>, ServiceError<ConnectionError>> {
        let slots = self.slots(request.uri()).map_err(|error| {
            ServiceError::Refused(Error::failed_precondition(error.to_string()).with_origin(Origin::NotSent))
        })?;
        slots.call(request).await.map_err(ServiceError::Inner)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// This time after that point; the end of time at most.
fn later(point: Instant, after: Duration) -> Instant {
    Deadline::after(point, after).instant()
}
