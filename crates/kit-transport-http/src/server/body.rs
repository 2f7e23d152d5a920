//! The body of an answer, and the reading of a request's body within its limits.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{LengthLimitError, Limited};
use kit_base::{Deadline, Error, Streaming, caught};

use super::Settings;
use super::answer::Refused;
use super::hooks::Riding;
use super::streamed::Streamed;
use crate::Pieces;
use crate::codec::TOO_LARGE;
use crate::gathered::{Gathered, TooLong};
use crate::pieces::{BoxError, Reading, Timely, has_cause, is_timed_out};
use crate::within::Timer;

/// The body of an answer: whole bytes, or a stream.
///
/// Its error is that of a stream whose form has no place for errors; it breaks the transfer off. All other errors are in
/// the body. *Cancellation:* dropping it drops the stream of the endpoint.
#[derive(Debug)]
pub struct Body(Content);

#[derive(Debug)]
enum Content {
    Whole(Bytes),
    Stream(Box<Streamed>),
}

impl Body {
    pub(super) fn stream(streamed: Streamed) -> Self {
        Self(Content::Stream(Box::new(streamed)))
    }

    pub(super) const fn streams(&self) -> bool {
        matches!(self.0, Content::Stream(_))
    }

    /// The length of a body that is whole.
    pub(super) const fn len(&self) -> usize {
        match &self.0 {
            Content::Whole(bytes) => bytes.len(),
            Content::Stream(_) => 0,
        }
    }

    /// Gives a stream its deadline, and what is to be done at its end.
    pub(super) fn ride(&mut self, deadline: Option<Deadline>, riding: Riding) {
        if let Content::Stream(streamed) = &mut self.0 {
            streamed.ride(deadline, riding);
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::from(Bytes::new())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Content::Whole(bytes))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.0 {
            Content::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Stream(streamed) => streamed.poll_bytes(cx).map(|bytes| bytes.map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Stream(streamed) => streamed.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(_) => SizeHint::default(),
        }
    }
}

/// The reason of an error that is answered with 408.
pub(super) const TOO_SLOW: &str = "BODY_TIMEOUT";

/// The whole body, or why there is none. A body that says it is too long is not read at all.
pub(super) async fn read<B>(mut body: Pin<&mut B>, limit: usize, timeout: Duration) -> Result<Bytes, Refused>
where
    B: HttpBody<Error: Into<BoxError>>,
{
    // A panic of the body is caught where it happens: a future around this one would be one more to carry.
    let (ended, least) = caught(|| (body.is_end_stream(), body.size_hint().lower()))?;
    if ended {
        return Ok(Bytes::new());
    }
    if least > limit as u64 {
        return Err(too_large(limit));
    }
    let mut gathered = Gathered::within(limit);
    let mut timer = Timer::After(timeout);
    // One flat wait, without futures in futures: this is part of every request.
    while let Some(frame) = poll_fn(|cx| {
        timer.poll_bound(cx, |cx| match caught(|| body.as_mut().poll_frame(cx)) {
            Ok(frame) => frame.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        })
    })
    .await
    .ok_or_else(|| late(timeout))??
    {
        let frame = frame.map_err(|error| broken(error.into()))?;
        let Ok(mut data) = frame.into_data() else { continue };
        // More than the limit is not even copied.
        if data.remaining() > limit {
            return Err(too_large(limit));
        }
        gathered.push(data.copy_to_bytes(data.remaining())).map_err(|TooLong| too_large(limit))?;
    }
    Ok(gathered.whole())
}

fn late(timeout: Duration) -> Refused {
    let error = Error::deadline_exceeded(format!("the body did not come within {timeout:?}"));
    Refused::from(error.with_reason(TOO_SLOW))
}

/// The body as it comes, within the limits of the server.
pub(super) fn pieces<B>(body: B, settings: &Settings) -> Result<Pieces, Refused>
where
    B: HttpBody<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let item_limit = settings.item_limit.unwrap_or(settings.body_limit);
    let stream = match settings.stream_limit {
        None => Streaming::new(Reading::new(body, |error| broken(error).into_error())),
        Some(limit) if body.size_hint().lower() > limit as u64 => return Err(too_large(limit)),
        Some(limit) => {
            let wrong = move |error: BoxError| match error.is::<LengthLimitError>() {
                true => too_large(limit).into_error(),
                false => broken(error).into_error(),
            };
            Streaming::new(Reading::new(Limited::new(body, limit), wrong))
        }
    };
    Ok(Pieces::new(stream, item_limit))
}

/// The items of a body that streams, none of which may take too long.
pub(super) fn timely<T: Send + 'static>(items: Streaming<T>, timeout: Duration) -> Streaming<T> {
    let late = |timeout| Error::deadline_exceeded(format!("no item came within {timeout:?}")).with_reason(TOO_SLOW);
    Streaming::new(Timely::new(items, timeout, late))
}

/// A body that cannot be read to its end: the caller left, or a limit of whoever serves was met.
fn broken(error: BoxError) -> Refused {
    if has_cause(&*error, |cause| cause.is::<LengthLimitError>()) {
        let error = Error::invalid_argument("the body is longer than the server takes").with_source(error);
        return Refused::from(error.with_reason(TOO_LARGE));
    }
    if has_cause(&*error, is_timed_out) {
        let error = Error::deadline_exceeded("the body came too slowly for the server").with_source(error);
        return Refused::from(error.with_reason(TOO_SLOW));
    }
    Refused::new(StatusCode::BAD_REQUEST, Error::invalid_argument("the body broke off").with_source(error))
}

fn too_large(limit: usize) -> Refused {
    let error = Error::invalid_argument(format!("the body is longer than {limit} bytes")).with_reason(TOO_LARGE);
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, error)
}
