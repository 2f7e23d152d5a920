//! One answer of the backend, as data.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// What the backend does with a request.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) delay: Duration,
    pub(super) action: Action,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Answer(Answer),
    /// These bytes, then the end.
    Raw(Bytes),
    Hang,
    Reset,
    Close,
}

#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) cut: Option<Cut>,
}

/// A body that does not come to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) after: usize,
    /// Whether the connection stays open then.
    pub(super) stall: bool,
}

impl Reply {
    /// An answer 200 without a body.
    #[must_use]
    pub fn ok() -> Self {
        Self::status(200)
    }

    /// An answer with a status and no body.
    ///
    /// # Panics
    ///
    /// When the status is not in 200 to 999.
    #[must_use]
    pub fn status(status: u16) -> Self {
        let valid = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
        let Some(status) = valid else { panic!("{status} is not the status of an answer: 200 to 999 are") };
        let answer = Answer { status, headers: HeaderMap::new(), body: Bytes::new(), cut: None };
        Self::new(Action::Answer(answer))
    }

    /// A JSON answer 200 with this text.
    #[must_use]
    pub fn json(text: impl Into<Bytes>) -> Self {
        Self::ok().header("content-type", "application/json").body(text)
    }

    /// Never answers; the connection stays open.
    #[must_use]
    pub fn hang() -> Self {
        Self::new(Action::Hang)
    }

    /// Resets the connection (TCP RST) without an answer.
    #[must_use]
    pub fn reset() -> Self {
        Self::new(Action::Reset)
    }

    /// Closes the connection in order (TCP FIN), without an answer.
    #[must_use]
    pub fn close() -> Self {
        Self::new(Action::Close)
    }

    /// Sends these bytes, whatever they are, and closes the connection.
    #[must_use]
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::new(Action::Raw(bytes.into()))
    }

    /// Adds a header. `content-length` is set by itself, unless it is given here. With `connection: close` the
    /// connection ends after the answer. Without effect on what is no answer (hang, reset, …).
    ///
    /// # Panics
    ///
    /// When the name or the value is not valid in HTTP.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            panic!("`{name}: {value}` is not a valid header");
        };
        self.change(|answer| {
            answer.headers.append(name, value);
        })
    }

    /// Sets the body. Without effect on what is no answer.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        self.change(|answer| answer.body = body.into())
    }

    /// Sends only the first `n` bytes of the body, then closes the connection. `content-length` is that of the whole.
    #[must_use]
    pub fn truncate(self, n: usize) -> Self {
        self.change(|answer| answer.cut = Some(Cut { after: n, stall: false }))
    }

    /// Sends only the first `n` bytes of the body, then nothing more; the connection stays open.
    #[must_use]
    pub fn stall(self, n: usize) -> Self {
        self.change(|answer| answer.cut = Some(Cut { after: n, stall: true }))
    }

    /// Waits before it does anything, on tokio's clock.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn new(action: Action) -> Self {
        Self { delay: Duration::ZERO, action }
    }

    fn change(mut self, change: impl FnOnce(&mut Answer)) -> Self {
        if let Action::Answer(answer) = &mut self.action {
            change(answer);
        }
        self
    }
}

impl Answer {
    /// The bytes to send. An answer to HEAD has the head alone.
    pub(super) fn encode(&self, bodiless: bool) -> Bytes {
        let no_content = matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let mut bytes = BytesMut::new();
        bytes.put_slice(b"HTTP/1.1 ");
        bytes.put_slice(self.status.as_str().as_bytes());
        bytes.put_slice(b" ");
        bytes.put_slice(self.status.canonical_reason().unwrap_or_default().as_bytes());
        for (name, value) in &self.headers {
            put_header(&mut bytes, name, value.as_bytes());
        }
        if !no_content && !self.headers.contains_key(CONTENT_LENGTH) {
            put_header(&mut bytes, &CONTENT_LENGTH, self.body.len().to_string().as_bytes());
        }
        bytes.put_slice(b"\r\n\r\n");
        if !bodiless && !no_content {
            let sent = self.cut.map_or(self.body.len(), |cut| cut.after.min(self.body.len()));
            bytes.put_slice(&self.body[..sent]);
        }
        bytes.freeze()
    }
}

fn put_header(bytes: &mut BytesMut, name: &HeaderName, value: &[u8]) {
    bytes.put_slice(b"\r\n");
    bytes.put_slice(name.as_str().as_bytes());
    bytes.put_slice(b": ");
    bytes.put_slice(value);
}
