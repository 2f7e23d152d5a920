//! The body of an answer, and the reading of a request's body within its limits.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Full, LengthLimitError};
use kit_base::Error;
use pin_project_lite::pin_project;

use super::answer::Refused;
use crate::gathered::{Gathered, TooLong};
use crate::within::within;

/// An error of a body, as tower and axum have it.
pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

pin_project! {
    /// The body of an answer.
    #[derive(Debug, Default)]
    pub struct Body {
        #[pin]
        whole: Full<Bytes>,
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { whole: Full::new(bytes) }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.project().whole.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.whole.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.whole.size_hint()
    }
}

/// The whole body, or why there is none. A body that says it is too long is not read at all.
pub(super) async fn read<B>(body: B, limit: usize, timeout: Duration) -> Result<Bytes, Refused>
where
    B: HttpBody<Error: Into<BoxError>>,
{
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    within(timeout, collect(body, limit)).await.unwrap_or_else(|| {
        let error = Error::deadline_exceeded(format!("the body did not come within {timeout:?}"));
        Err(Refused::new(StatusCode::REQUEST_TIMEOUT, error))
    })
}

async fn collect<B>(body: B, limit: usize) -> Result<Bytes, Refused>
where
    B: HttpBody<Error: Into<BoxError>>,
{
    let mut body = pin!(body);
    let mut gathered = Gathered::within(limit);
    while let Some(frame) = body.frame().await {
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

/// A body that cannot be read to its end: the caller left, or a limit of whoever serves was met.
fn broken(error: BoxError) -> Refused {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&*error);
    while let Some(inner) = cause {
        if inner.is::<LengthLimitError>() {
            let error = Error::invalid_argument("the body is longer than the server takes").with_source(error);
            return Refused::new(StatusCode::PAYLOAD_TOO_LARGE, error.with_reason(TOO_LARGE));
        }
        cause = inner.source();
    }
    Refused::new(StatusCode::BAD_REQUEST, Error::invalid_argument("the body broke off").with_source(error))
}

const TOO_LARGE: &str = "BODY_TOO_LARGE";

fn too_large(limit: usize) -> Refused {
    let error = Error::invalid_argument(format!("the body is longer than {limit} bytes")).with_reason(TOO_LARGE);
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, error)
}
