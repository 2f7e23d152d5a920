//! Server-sent events: an item with a name, an id and a time to come back, and how events are written and read.
//! Source: WHATWG HTML, section 9.2.

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use kit_base::Error;

/// An item of a stream with what a server-sent event has beside its data.
///
/// A stream of `Sse<T>` is one of `T` to whoever reads it as newline-delimited JSON: there only the data is sent.
///
/// ```
/// use kit_transport_http::Sse;
///
/// let event = Sse::new(20.5).with_event("temperature").with_id("17");
/// assert_eq!((event.data, event.event.as_deref()), (20.5, Some("temperature")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sse<T> {
    /// The message.
    pub data: T,
    /// The name of the event; a browser calls it `message` where there is none. `problem` is the name of an error.
    pub event: Option<String>,
    /// What a client that comes back says in `Last-Event-ID`.
    pub id: Option<String>,
    /// After what time a client whose connection was lost shall come back.
    pub retry: Option<Duration>,
}

impl<T> Sse<T> {
    /// An event of this data alone.
    pub const fn new(data: T) -> Self {
        Self { data, event: None, id: None, retry: None }
    }

    /// The same under a name, which has no line breaks.
    #[must_use]
    pub fn with_event(mut self, name: impl Into<String>) -> Self {
        self.event = Some(name.into());
        self
    }

    /// The same with an id, which has no line breaks and no NUL.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The same with a time after which to come back, in milliseconds on the wire.
    #[must_use]
    pub const fn with_retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }

    /// The same with other data.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Sse<U> {
        let Self { data, event, id, retry } = self;
        Sse { data: change(data), event, id, retry }
    }
}

/// The event whose data is this JSON, which has no line breaks.
pub(super) fn write(event: &Sse<Vec<u8>>) -> Result<Bytes, Error> {
    let mut out = Vec::with_capacity(event.data.len() + 32);
    let mut field = |name: &str, value: &dyn Display| out.extend_from_slice(format!("{name}: {value}\n").as_bytes());
    for (name, value) in [("event", &event.event), ("id", &event.id)] {
        let Some(value) = value else { continue };
        if value.contains(['\r', '\n', '\0']) {
            return Err(Error::internal(format!(
                "the {name} {value:?} of a server-sent event has a line break or a NUL"
            )));
        }
        field(name, value);
    }
    if let Some(retry) = event.retry {
        field("retry", &retry.as_millis());
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&event.data);
    out.extend_from_slice(b"\n\n");
    Ok(out.into())
}

/// The event that is being read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    event: Sse<Vec<u8>>,
    has_data: bool,
}

impl Reader {
    /// Takes a line; gives the event that it ends. The data may have so many bytes.
    pub(super) fn take(&mut self, line: &[u8], limit: usize) -> Result<Option<Sse<Vec<u8>>>, TooLong> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return Ok(std::mem::take(&mut self.has_data).then_some(event));
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"data" => {
                if self.event.data.len() + usize::from(self.has_data) + value.len() > limit {
                    return Err(TooLong);
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push(b'\n');
                }
                self.event.data.extend_from_slice(value);
            }
            b"event" => self.event.event = Some(text()).filter(|name| !name.is_empty()),
            b"id" if !value.contains(&0) => self.event.id = Some(text()),
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                self.event.retry = text().parse().ok().map(Duration::from_millis);
            }
            // A comment, or a field that nobody knows.
            _ => {}
        }
        Ok(None)
    }
}

/// The data of an event is longer than the limit.
#[derive(Debug)]
pub(super) struct TooLong;
