//! A body that can be sent again: it keeps what it has passed on, up to a cap.

mod shared;

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use shared::{Reader, Shared};

type BoxError = Box<dyn StdError + Send + Sync>;

/// A body that can be sent again, as a retry needs it: what was read of it is kept, up to a cap.
///
/// [`try_clone`](Self::try_clone) gives the same body from its beginning: it replays what was kept, and goes on with the rest
/// of the original, trailers included. It does so also when the first reader was dropped half-way, and when both read at a
/// time. Chunks are shared, not copied. What is longer than the cap, or has failed, cannot be sent again: there is
/// nothing to clone, and whoever reads it goes on unharmed.
///
/// A retry as an `async fn`, which keeps the law that nothing is tried again unless the operation is idempotent, or
/// surely did not start:
///
/// ```
/// use http::{Request, Response};
/// use kit_base::{Endpoint, Origin, RequestParts};
/// use kit_transport_http::Replay;
///
/// struct TwoMoreTries<E>(E);
///
/// impl<E, B, B2> Endpoint<Request<B>> for TwoMoreTries<E>
/// where
///     B: http_body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
///     E: Endpoint<Request<Replay<B>>, Response = Response<B2>, Error = kit_base::Error>,
///     B2: Send,
/// {
///     type Response = Response<B2>;
///     type Error = kit_base::Error;
///
///     async fn call(&self, request: Request<B>) -> Result<Response<B2>, kit_base::Error> {
///         let idempotent = request.operation().is_idempotent();
///         let (head, body) = request.into_parts();
///         let mut body = Replay::new(body);
///         let mut tries = 3;
///         loop {
///             let spare = body.try_clone();
///             let outcome = self.0.call(Request::from_parts(head.clone(), body)).await;
///             let again = match &outcome {
///                 Ok(answer) => idempotent && answer.status() == 503,
///                 Err(error) => idempotent || error.origin() == Origin::NotSent,
///             };
///             tries -= 1;
///             match spare {
///                 Some(spare) if again && tries > 0 && spare.is_replayable() => body = spare,
///                 _ => return outcome,
///             }
///         }
///     }
/// }
/// ```
///
/// Messages of typed endpoints need none of it: the retry is over the [`kit_base::Request`], and each call of an
/// [`HttpClient`](crate::HttpClient) encodes its message into whole bytes.
///
/// *Cancellation:* the original is dropped with the last reader, and with its one reader where it was too long. *Limits:* the
/// cap counts the bytes of the frames and 32 for each frame; 64 KiB by default.
pub struct Replay<B> {
    shared: Arc<Mutex<Shared<B>>>,
    reader: Reader,
}

impl<B: HttpBody> Replay<B> {
    /// A body that keeps at most 64 KiB. One that says that it is longer keeps nothing.
    pub fn new(body: B) -> Self {
        Self::with_cap(body, 64 * 1024)
    }

    /// A body that keeps at most so many bytes.
    pub fn with_cap(body: B, cap: usize) -> Self {
        let (shared, reader) = Shared::new(body, cap);
        Self { shared: Arc::new(Mutex::new(shared)), reader }
    }
}

impl<B> Replay<B> {
    /// The same body from its beginning, unless it has become longer than the cap, or has failed.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        let reader = self.lock().join()?;
        Some(Self { shared: Arc::clone(&self.shared), reader })
    }

    /// Whether it can still be sent again, from the beginning. Of one that was cloned: whether it can be read at all.
    #[must_use]
    pub fn is_replayable(&self) -> bool {
        self.lock().is_replayable()
    }

    fn lock(&self) -> MutexGuard<'_, Shared<B>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: HttpBody<Error: Into<BoxError>>> HttpBody for Replay<B> {
    type Data = Bytes;
    type Error = ReplayError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ReplayError>>> {
        let Self { shared, reader } = &mut *self;
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (polled, others) = shared.poll(reader, cx);
        drop(shared);
        others.into_iter().for_each(|waker| waker.wake());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_over(&self.reader)
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().size_hint(&self.reader)
    }
}

impl<B> Drop for Replay<B> {
    fn drop(&mut self) {
        let (original, others) = self.lock().leave(&self.reader);
        drop(original);
        others.into_iter().for_each(|waker| waker.wake());
    }
}

impl<B> fmt::Debug for Replay<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("replayable", &self.is_replayable()).finish_non_exhaustive()
    }
}

/// A body that is to be sent again goes through a proxy like any other.
#[cfg(feature = "proxy")]
impl<B> From<Replay<B>> for crate::ProxyBody
where
    B: HttpBody<Error: Into<BoxError>> + Send + 'static,
{
    fn from(body: Replay<B>) -> Self {
        Self::new(body)
    }
}

/// And it is one for reqwest.
#[cfg(feature = "client")]
impl<B> From<Replay<B>> for reqwest::Body
where
    B: HttpBody<Error: Into<BoxError>> + Send + 'static,
{
    fn from(body: Replay<B>) -> Self {
        Self::wrap(body)
    }
}

/// Why a [`Replay`] cannot be read on.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplayError {
    /// The original has failed, here.
    Body(BoxError),
    /// The original has failed at another reader.
    Failed,
    /// The body became longer than this cap while another reader read it.
    OverCap(usize),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(error) => error.fmt(f),
            Self::Failed => f.write_str("the body has failed when it was sent first"),
            Self::OverCap(cap) => write!(f, "the body is longer than the {cap} bytes that are kept to send it again"),
        }
    }
}

impl StdError for ReplayError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Body(error) => Some(&**error),
            Self::Failed | Self::OverCap(_) => None,
        }
    }
}
