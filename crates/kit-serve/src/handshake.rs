//! The handshake of TLS, and what becomes of those who do not know that it is due.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use kit_base::{Peer, TlsIdentity};
use tokio::io::AsyncWrite;

use crate::door::{Agreed, Entered, Turned};
use crate::socket::Socket;
use crate::stream::Stream;
use crate::tls::Tls;

/// The answer to plain HTTP on a port for TLS; a browser shows it.
const SPEAKS_TLS: &str = "HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain\r\n\
    content-length: 48\r\n\
    connection: close\r\n\
    \r\n\
    this port speaks TLS: use https instead of http\n";

/// Speaks TLS with a client, and notes who it is.
pub(crate) async fn shake_hands(tls: &Tls, mut socket: Socket, mut peer: Peer) -> Result<Entered, Turned> {
    if socket.ahead().is_empty() && !socket.read_ahead(1024).await.unwrap_or(false) {
        return Err(Turned::Tls("handshake", None));
    }
    // A record of TLS begins with its type, for a handshake 22; every method of HTTP begins with a letter.
    if socket.ahead().first().is_some_and(u8::is_ascii_uppercase) {
        write_all(&mut socket, SPEAKS_TLS.as_bytes()).await;
        return Err(Turned::Tls("plain_http", Some(socket)));
    }
    let accepted = tls.acceptor().accept(socket).into_fallible().await;
    // A client that was refused has got an alert, which must not be lost to a reset.
    let stream = accepted.map_err(|(_, socket)| Turned::Tls("handshake", Some(socket)))?;
    let session = stream.get_ref().1;
    let agreed = match session.alpn_protocol() {
        Some(b"h2") => Agreed::Http2,
        Some(b"http/1.1" | b"http/1.0") => Agreed::Http1,
        _ => Agreed::Nothing,
    };
    peer.tls = session
        .peer_certificates()
        .map(|chain| Arc::new(TlsIdentity::new(chain.iter().map(|certificate| certificate.to_vec()).collect())));
    Ok(Entered { stream: Stream::Tls(Box::new(stream)), peer, agreed })
}

async fn write_all(socket: &mut Socket, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match poll_fn(|cx| Pin::new(&mut *socket).poll_write(cx, bytes)).await {
            Ok(written @ 1..) => bytes = bytes.get(written..).unwrap_or_default(),
            Ok(0) | Err(_) => return,
        }
    }
}
