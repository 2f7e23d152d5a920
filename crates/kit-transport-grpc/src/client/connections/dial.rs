//! How a connection is made.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::client::{Builder, Connection};
use http::uri::{Authority, Scheme};
use hyper_util::client::legacy::connect::HttpConnector;
use kit_base::{Endpoint, FromService, ServiceError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use super::ConnectionError;
use super::keep_alive::{KeepAlive, Pings};
use super::life::{Closing, Life, Unused};
use super::line::Line;
use super::pulse::{Heard, Pulse};
use super::settings::{Settings, Target};
use crate::client::BoxError;
use crate::within::now;

/// Makes connections to one service.
pub(super) struct Dial {
    pub(super) target: Target,
    connector: FromService<HttpConnector>,
    timeout: Duration,
    pub(super) max_age: Option<Duration>,
    pings: Option<Pings>,
    /// How often the service has asked for calm.
    calmed: AtomicU32,
}

impl Dial {
    pub(super) fn new(target: Target, settings: &Settings) -> Self {
        Self {
            target,
            connector: FromService::new(settings.connector()),
            timeout: settings.connect_timeout,
            max_age: settings.max_age,
            pings: settings.pings(),
            calmed: AtomicU32::new(0),
        }
    }

    pub(super) fn authority(&self) -> &Authority {
        &self.target.authority
    }

    /// How long an old connection goes on before it is tried again to replace it.
    pub(super) fn pause(&self) -> Duration {
        self.timeout.max(Duration::from_secs(1))
    }

    pub(super) async fn connect(self: &Arc<Self>) -> Result<Line, ConnectionError> {
        let begun = now();
        let made = tokio::time::timeout(self.timeout, self.make()).await;
        let late = now().saturating_duration_since(begun) >= self.timeout;
        let made = made.unwrap_or_else(|_| Err("there was no answer".into())).map_err(|error| {
            // Also where a busy process looks so late that the limit of the last address has passed too.
            let what = || format!("no connection within {:?}: {error}", self.timeout);
            if late { io::Error::new(io::ErrorKind::TimedOut, what()).into() } else { error }
        });
        made.map_err(|error| ConnectionError::connect(self.authority(), error))
    }

    async fn make(self: &Arc<Self>) -> Result<Line, BoxError> {
        let stream = self.connector.call(self.target.uri.clone()).await.map_err(|error| match error {
            ServiceError::Inner(error) => BoxError::from(error),
            ServiceError::Refused(error) => error.into(),
        })?;
        let pulse = Arc::new(Pulse::new());
        // Below TLS, which may write a part and then fail.
        let stream = Heard::new(stream.into_inner(), &pulse);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.target.tls {
            return self.speak(tls.shake_hands(stream).await?, pulse).await;
        }
        self.speak(stream, pulse).await
    }

    /// Begins HTTP/2, and waits until the server does: for its SETTINGS. The connection lives on a task that ends with it: when the server
    /// closes it, or when the last line is dropped and no call is open.
    async fn speak<T>(self: &Arc<Self>, stream: T, pulse: Arc<Pulse>) -> Result<Line, BoxError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (requests, connection) = http2().handshake(stream).await?;
        let (greet, greeting) = oneshot::channel();
        let (life, unused) = Life::new(&pulse);
        let ended = tokio::spawn(Arc::clone(self).drive(connection, pulse, unused, greet));
        let line = Line { requests, life };
        if greeting.await.is_ok() {
            return Ok(line);
        }
        // What a server of another kind says is no frame of HTTP/2, or it hangs up.
        let tls = if self.target.scheme == Scheme::HTTPS { "" } else { " without TLS" };
        Err(match ended.await? {
            Ok(()) => format!("the server closed the connection before it spoke HTTP/2{tls}"),
            Err(error) if error.is_io() => {
                format!("the connection broke off before the server spoke HTTP/2{tls}: {error}")
            }
            Err(error) => format!("the server does not speak HTTP/2{tls}: {error}"),
        }
        .into())
    }

    /// Lets the connection go on until it ends. After its beginning, that is told by the calls on it.
    async fn drive<T>(
        self: Arc<Self>,
        connection: Connection<T, Bytes>,
        pulse: Arc<Pulse>,
        mut unused: Unused,
        greet: oneshot::Sender<()>,
    ) -> Result<(), h2::Error>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let times = 1 << self.calmed.load(Ordering::Relaxed);
        let pings = self.pings.map(|pings| Pings {
            silence: pings.silence.saturating_mul(times),
            interval: pings.interval.saturating_mul(times),
            ..pings
        });
        // Told when the connection is gone, however that comes: so it is dropped first.
        let _closing = Closing(Arc::clone(&pulse));
        let mut connection = connection;
        let line = connection.ping_pong();
        let mut keep_alive = pings.zip(line).map(|(pings, line)| KeepAlive::new(pings, &pulse, line));
        let mut greet = Some(greet);
        let end = poll_fn(|cx| {
            if keep_alive.as_mut().is_some_and(|keep_alive| keep_alive.poll(cx).is_ready()) {
                pulse.lose();
                return Poll::Ready(Ok(()));
            }
            let end = Pin::new(&mut connection).poll(cx);
            // There is room for calls once the server's SETTINGS have come.
            if end.is_pending() && greet.is_some() && connection.max_concurrent_send_streams() > 0 {
                let _ = greet.take().map(|greet| greet.send(()));
            }
            if end.is_pending() && unused.poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            end
        });
        let end = end.await;
        if let Err(error) = &end {
            self.note_end(error);
        }
        end
    }

    /// PINGs on later connections wait twice as long, if this one ended by a `GOAWAY` that asks for calm: 512 times at most.
    /// Source: gRFC A8.
    fn note_end(&self, end: &h2::Error) {
        if end.is_go_away() && end.is_remote() && end.reason() == Some(Reason::ENHANCE_YOUR_CALM) {
            let twice = |times| (times < 9).then_some(times + 1);
            let _ = self.calmed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, twice);
        }
    }
}

fn http2() -> Builder {
    let mut http2 = Builder::new();
    // The server says how many calls it takes before any goes out: it would refuse the others.
    http2.initial_max_send_streams(0).enable_push(false);
    // Streams have limits of their own; one for all of them would let answers that nobody reads hold up the others. As grpc-go.
    http2.initial_window_size(2 * 1024 * 1024).initial_connection_window_size(1 << 30);
    // What a server sends before it hears of a reset is no attack of its. By default, 1024 such frames end a connection.
    http2.max_local_error_reset_streams(None);
    http2.max_header_list_size(16 * 1024).max_send_buffer_size(1024 * 1024);
    // RFC 9113's own and smallest: a longer one holds up the other calls.
    http2.max_frame_size(16 * 1024);
    http2
}
