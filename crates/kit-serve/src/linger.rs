//! The end of a connection that lets the last answer arrive.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::time::timeout;

use crate::stream::Stream;

/// How long a client may take to read its last answer and close.
const LINGER: Duration = Duration::from_secs(1);

/// Ends our side, then reads and throws away until the client ends its own, at most for [`LINGER`] (RFC 9112, 9.6).
///
/// A socket closed over unread bytes sends a reset, and a reset can destroy an answer the client has not read yet: the
/// 413 of an upload that is still running, the 431 of a head that is still being sent. Over TLS our end is a
/// `close_notify`, and what comes after it is not decrypted any more.
pub(crate) async fn linger(mut stream: Stream) {
    let end = async {
        if poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx)).await.is_ok() {
            stream.socket().discard().await;
        }
    };
    let _ = timeout(LINGER, end).await;
}
