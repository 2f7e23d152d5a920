//! How a connection is made.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use h2::Reason;
use http::uri::Authority;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kit_base::{Endpoint, FromService, ServiceError};
use tonic::body::Body;

use super::ConnectionError;
use super::settings::{Settings, Target};
use crate::client::BoxError;

/// Makes connections to one service.
pub(super) struct Dial {
    pub(super) target: Target,
    connector: FromService<HttpConnector>,
    timeout: Duration,
    pub(super) max_age: Option<Duration>,
    keep_alive: Option<Duration>,
    keep_alive_timeout: Duration,
    /// How often the service has said that there are too many PINGs.
    calmed: AtomicU32,
}

impl Dial {
    pub(super) fn new(target: Target, settings: &Settings) -> Self {
        Self {
            target,
            connector: FromService::new(settings.connector()),
            timeout: settings.connect_timeout,
            max_age: settings.max_age,
            keep_alive: settings.keep_alive,
            keep_alive_timeout: settings.keep_alive_timeout,
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

    pub(super) async fn connect(self: &Arc<Self>) -> Result<SendRequest<Body>, ConnectionError> {
        let made = tokio::time::timeout(self.timeout, self.make()).await.unwrap_or_else(|_| {
            let what = format!("no connection within {:?}", self.timeout);
            Err(io::Error::new(io::ErrorKind::TimedOut, what).into())
        });
        made.map_err(|error| ConnectionError::connect(self.authority(), error))
    }

    async fn make(self: &Arc<Self>) -> Result<SendRequest<Body>, BoxError> {
        let stream = self.connector.call(self.target.uri.clone()).await.map_err(|error| match error {
            ServiceError::Inner(error) => BoxError::from(error),
            ServiceError::Refused(error) => error.into(),
        })?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.target.tls {
            let stream = tls.shake_hands(stream.into_inner()).await?;
            return self.speak(hyper_util::rt::TokioIo::new(stream)).await;
        }
        self.speak(stream).await
    }

    /// Begins HTTP/2. The connection lives on a task that ends with it: when the peer closes it, or when the last sender is
    /// dropped and no call is open.
    async fn speak<T>(self: &Arc<Self>, io: T) -> Result<SendRequest<Body>, BoxError>
    where
        T: Read + Write + Unpin + Send + 'static,
    {
        let (sender, connection) = self.http2().handshake(io).await?;
        let dial = Arc::clone(self);
        tokio::spawn(async move {
            // The calls on it tell of its end.
            if let Err(error) = connection.await {
                dial.ended(&error);
            }
        });
        Ok(sender)
    }

    fn http2(&self) -> Builder<TokioExecutor> {
        let mut http2 = Builder::new(TokioExecutor::new());
        http2.timer(TokioTimer::new());
        // Said here, and in the documentation, since hyper may change its own.
        http2.initial_stream_window_size(2 * 1024 * 1024).initial_connection_window_size(5 * 1024 * 1024);
        http2.max_header_list_size(16 * 1024).max_send_buf_size(1024 * 1024);
        if let Some(silence) = self.keep_alive {
            let factor = 1 << self.calmed.load(Ordering::Relaxed);
            http2.keep_alive_interval(silence.saturating_mul(factor)).keep_alive_timeout(self.keep_alive_timeout);
            http2.keep_alive_while_idle(false);
        }
        http2
    }

    /// Twice the silence before a PING on later connections, if this one ended by a `GOAWAY` that asks for calm: a day and a
    /// half at most. Source: gRFC A8.
    fn ended(&self, error: &hyper::Error) {
        let h2 = error.source().and_then(|error| error.downcast_ref::<h2::Error>());
        let asks = |h2: &h2::Error| h2.is_go_away() && h2.is_remote() && h2.reason() == Some(Reason::ENHANCE_YOUR_CALM);
        if h2.is_some_and(asks) {
            let _ = self
                .calmed
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |times| (times < 9).then_some(times + 1));
        }
    }
}
