//! The form of a body that streams: its headers, how an item is written, and how an error is.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};
use kit_base::{Error, Streaming};

type EncodeItem<T> = Box<dyn FnMut(T) -> Result<Bytes, Error> + Send>;
pub(crate) type EncodeError = Box<dyn Fn(&Error) -> Bytes + Send + Sync>;

/// How a stream of messages is written into a body.
///
/// ```
/// use bytes::Bytes;
/// use http::HeaderValue;
/// use kit_base::Error;
/// use kit_transport_http::{Form, HttpServer, Json, Received};
///
/// // Comma-separated values, a row for each item.
/// let csv = |_: &Received<'_>| {
///     let form = Form::new(HeaderValue::from_static("text/csv"), |(a, b): (u32, u32)| Ok(Bytes::from(format!("{a},{b}\n"))));
///     Ok::<_, Error>(form.with_error(|error| Bytes::from(format!("# {}\n", error.kind()))))
/// };
/// let server = HttpServer::with_codec((Json::new(), csv));
/// # let _ = server;
/// ```
pub struct Form<T> {
    pub(crate) headers: HeaderMap,
    pub(crate) encode: EncodeItem<T>,
    pub(crate) error: Option<EncodeError>,
    pub(crate) idle: Option<Bytes>,
}

impl<T> Form<T> {
    /// A body of this type, each item written by the closure.
    ///
    /// An error ends the body as it would end one that is whole: a form without [errors](Self::with_error) of its own has
    /// its transfer broken off, or the other side would take a part for the whole.
    pub fn new(content_type: HeaderValue, encode: impl FnMut(T) -> Result<Bytes, Error> + Send + 'static) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type);
        Self { headers, encode: Box::new(encode), error: None, idle: None }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same with a way to write an error; the body ends after it. Of internal errors only
    /// [`peer_message`](Error::peer_message) may be shown. A client's request has no use for it.
    #[must_use]
    pub fn with_error(mut self, encode: impl Fn(&Error) -> Bytes + Send + Sync + 'static) -> Self {
        self.error = Some(Box::new(encode));
        self
    }

    /// The same with something that is sent to keep the connection alive where no item comes for the server's
    /// `keep_alive`. A client's request has no use for it.
    #[must_use]
    pub fn with_idle(mut self, idle: Bytes) -> Self {
        self.idle = Some(idle);
        self
    }
}

impl<T> fmt::Debug for Form<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form").field("headers", &self.headers).finish_non_exhaustive()
    }
}

/// A stream of messages, encoded.
pub(crate) struct Encoded<T> {
    items: Streaming<T>,
    encode: EncodeItem<T>,
}

impl<T> Encoded<T> {
    pub(crate) const fn new(items: Streaming<T>, encode: EncodeItem<T>) -> Self {
        Self { items, encode }
    }
}

impl<T> Stream for Encoded<T> {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.items).poll_next(cx));
        Poll::Ready(item.map(|item| (self.encode)(item?)))
    }
}
