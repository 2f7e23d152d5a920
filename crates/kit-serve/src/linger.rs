//! The end of a connection that lets the last answer arrive.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

/// How long a client may take to read its last answer and close.
const LINGER: Duration = Duration::from_secs(1);

/// Ends our side, then reads and throws away until the client ends its own, at most for [`LINGER`] (RFC 9112, 9.6).
///
/// A socket closed over unread bytes sends a reset, and a reset can destroy an answer the client has not read yet: the
/// 413 of an upload that is still running, the 431 of a head that is still being sent.
pub(crate) async fn linger(mut stream: TcpStream) {
    if poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx)).await.is_err() {
        return;
    }
    let _ = tokio::time::timeout(LINGER, discard(&stream)).await;
}

async fn discard(stream: &TcpStream) {
    while stream.readable().await.is_ok() {
        if !discard_some(stream) {
            return;
        }
        // A client that sends faster than we read would otherwise keep this thread, and outlast the timeout.
        tokio::task::coop::consume_budget().await;
    }
}

/// Whether there may be more to read. Not `async`, so that no connection carries the buffer in its future.
fn discard_some(stream: &TcpStream) -> bool {
    let mut waste = [0; 16 * 1024];
    match stream.try_read(&mut waste) {
        Ok(read) => read > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}
