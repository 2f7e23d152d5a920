//! Reading the one message of a call.

use std::error::Error as StdError;
use std::future::poll_fn;
use std::pin::Pin;

use bytes::{Buf, Bytes};
use http_body::Body as HttpBody;
use kit_base::{Error, caught};

use crate::frame::Deframer;
use crate::protocol::miscounted;

/// An error of a body, as tower and axum have it.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// The one message of a body.
///
/// # Errors
/// There is none, or more than one; it is too long; or the body broke off.
pub(super) async fn read<B>(mut body: Pin<&mut B>, mut frames: Deframer) -> Result<Bytes, Error>
where
    B: HttpBody<Error: Into<BoxError>>,
{
    let mut message = None;
    loop {
        // A panic of the body is caught where it happens: a future around this one would be one more to carry.
        let frame = poll_fn(|cx| match caught(|| body.as_mut().poll_frame(cx)) {
            Ok(frame) => frame.map(Ok),
            Err(panic) => std::task::Poll::Ready(Err(panic)),
        });
        let Some(frame) = frame.await? else { break };
        let Ok(mut data) = frame.map_err(|error| left(error.into()))?.into_data() else { continue };
        frames.push(data.copy_to_bytes(data.remaining()));
        while let Some(next) = frames.next()? {
            if message.replace(next).is_some() {
                return Err(miscounted("two messages came, and the method takes one"));
            }
        }
        if message.is_some() && frames.is_empty() && body.is_end_stream() {
            break;
        }
    }
    frames.end()?;
    message.ok_or_else(|| miscounted("no message came, and the method takes one"))
}

/// A body that cannot be read to its end: the caller left, or its connection broke.
pub(super) fn left(error: BoxError) -> Error {
    Error::cancelled("the request broke off").with_source(error)
}
