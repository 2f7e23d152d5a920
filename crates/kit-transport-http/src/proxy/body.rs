//! The body that a proxy passes on, in either direction.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::failure::BoxError;
use super::upload::UploadBody;

/// A body on its way through a proxy, to the backend or to the client: frame by frame, trailers included, as fast as it
/// is read and no faster.
///
/// *Cancellation:* dropping the body of an answer ends the backend's request.
#[derive(Default)]
pub struct ProxyBody(Inner);

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Whole(Bytes),
    // The mutex makes the body `Sync`, which some clients ask for. Frames are read without locking it.
    Streamed(Mutex<Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>>),
}

impl ProxyBody {
    /// Any body.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        if body.is_end_stream() {
            return Self::default();
        }
        Self::streamed(UploadBody::new(body, None))
    }

    pub(super) fn streamed(body: impl HttpBody<Data = Bytes, Error = BoxError> + Send + 'static) -> Self {
        Self(Inner::Streamed(Mutex::new(Box::pin(body))))
    }

    fn look<T>(&self, look: impl FnOnce(&dyn HttpBody<Data = Bytes, Error = BoxError>) -> T, other: T) -> T {
        match &self.0 {
            Inner::Streamed(body) => look(&**body.lock().unwrap_or_else(PoisonError::into_inner)),
            Inner::Empty | Inner::Whole(_) => other,
        }
    }
}

impl From<Bytes> for ProxyBody {
    fn from(bytes: Bytes) -> Self {
        Self(if bytes.is_empty() { Inner::Empty } else { Inner::Whole(bytes) })
    }
}

impl HttpBody for ProxyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Inner::Empty => Poll::Ready(None),
            Inner::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Inner::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Inner::Streamed(body) => body.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.look(|body| body.is_end_stream(), matches!(self.0, Inner::Empty))
    }

    fn size_hint(&self) -> SizeHint {
        let length = if let Inner::Whole(bytes) = &self.0 { bytes.len() } else { 0 };
        self.look(|body| body.size_hint(), SizeHint::with_exact(length as u64))
    }
}

impl fmt::Debug for ProxyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Empty => f.write_str("ProxyBody(empty)"),
            Inner::Whole(bytes) => write!(f, "ProxyBody({} bytes)", bytes.len()),
            Inner::Streamed(_) => f.write_str("ProxyBody(streamed)"),
        }
    }
}

/// For a `reqwest::Client` as the backend's client.
#[cfg(feature = "client")]
impl From<ProxyBody> for reqwest::Body {
    fn from(body: ProxyBody) -> Self {
        match body.0 {
            Inner::Whole(bytes) => bytes.into(),
            inner => Self::wrap(ProxyBody(inner)),
        }
    }
}
