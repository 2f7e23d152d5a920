//! A message on its way out.

use http::{Extensions, HeaderMap};

/// A message and what goes with it: headers and trailers, to be sent or as they were received.
///
/// One word more than the message; the rest is allocated when it is used.
#[derive(Clone, Debug, Default)]
pub struct Response<T> {
    message: T,
    parts: Option<Box<ResponseParts>>,
}

/// What goes with the message of a [`Response`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ResponseParts {
    /// Metadata before the message.
    pub headers: HeaderMap,
    /// Metadata after it, where the transport has such.
    pub trailers: HeaderMap,
    /// Values for the transport: an [`http::StatusCode`] is the HTTP status of a success.
    pub extensions: Extensions,
    /// Whether they were received by a client. They speak of the exchange with that peer (a cookie, a date, another
    /// encoding), so a server that answers with such a response sends its message and none of its parts.
    pub received: bool,
}

impl<T> Response<T> {
    /// A response without metadata.
    pub const fn new(message: T) -> Self {
        Self { message, parts: None }
    }

    /// A response from its message and parts.
    pub fn from_parts(message: T, parts: ResponseParts) -> Self {
        Self { message, parts: Some(Box::new(parts)) }
    }

    /// The message alone.
    pub fn into_message(self) -> T {
        self.message
    }

    /// The message and its parts.
    pub fn into_parts(self) -> (T, ResponseParts) {
        (self.message, self.parts.map(|parts| *parts).unwrap_or_default())
    }

    /// The message.
    pub const fn message(&self) -> &T {
        &self.message
    }

    /// The message, to change it.
    pub fn message_mut(&mut self) -> &mut T {
        &mut self.message
    }

    /// The parts, where there are any.
    pub fn parts(&self) -> Option<&ResponseParts> {
        self.parts.as_deref()
    }

    /// The parts, made now if there were none.
    pub fn parts_mut(&mut self) -> &mut ResponseParts {
        self.parts.get_or_insert_default()
    }

    /// The same with one more header; it replaces one of the same name.
    pub fn with_header(mut self, name: http::HeaderName, value: http::HeaderValue) -> Self {
        self.parts_mut().headers.insert(name, value);
        self
    }

    /// The same with this HTTP status; other transports take no notice of it.
    pub fn with_status(mut self, status: http::StatusCode) -> Self {
        self.parts_mut().extensions.insert(status);
        self
    }

    /// The same with another message.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Response<U> {
        Response { message: change(self.message), parts: self.parts }
    }
}
