//! A client of HTTP/2 that knows nothing of gRPC, so that it can send what no client of gRPC sends.

use std::future::poll_fn;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::Reason;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use kit_transport_grpc::binary_values;
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::{HANGS, note};

/// A call of `Echo` as gRPC wants it, to be spoiled.
pub(super) fn request() -> Request<()> {
    let request = Request::post("http://test/test.Notes/Echo").header("content-type", "application/grpc");
    request.header("te", "trailers").body(()).expect("a request")
}

/// Bytes in a frame with this flag.
pub(super) fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    announced(flag, u32::try_from(message.len()).expect("a short message"), message)
}

/// The same with any length before them.
pub(super) fn announced(flag: u8, length: u32, message: &[u8]) -> Vec<u8> {
    [&[flag], &length.to_be_bytes()[..], message].concat()
}

/// A note with this text, in its frame.
pub(super) fn framed(text: &str) -> Vec<u8> {
    frame(0, &note(text).encode_to_vec())
}

/// How a call ended, as HTTP/2 has it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Response<()>,
    pub(super) data: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
}

impl Answer {
    fn status(&self) -> &HeaderMap {
        self.trailers.as_ref().unwrap_or(self.head.headers())
    }

    pub(super) fn code(&self) -> Option<&str> {
        self.status().get("grpc-status").map(|code| code.to_str().expect("a number"))
    }

    pub(super) fn details(&self) -> Option<Details> {
        let details = binary_values(self.status(), "grpc-status-details-bin").expect("base64");
        details.first().map(|details| Details::decode(&**details).expect("details"))
    }

    /// The message of the status, decoded.
    pub(super) fn text(&self) -> String {
        let text = self.status().get("grpc-message").map_or(&b""[..], |text| text.as_bytes());
        percent_encoding::percent_decode(text).decode_utf8().expect("a text").into_owned()
    }
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Details {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

/// One connection.
pub(super) struct Peer {
    send: SendRequest<Bytes>,
    connection: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Peer {
    pub(super) async fn connect(addr: SocketAddr) -> Self {
        Self::connect_by(&Builder::new(), addr).await
    }

    pub(super) async fn connect_by(builder: &Builder, addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let (send, connection) = builder.handshake(stream).await.expect("a handshake");
        let connection = tokio::spawn(async move {
            // How it ended is seen by the calls on it.
            let _ = connection.await;
        });
        Self { send, connection }
    }

    /// Sends a head alone.
    pub(super) async fn begin(&self, request: Request<()>, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let mut send = timeout(HANGS, self.send.clone().ready()).await.expect("no hang").expect("a connection");
        send.send_request(request, ends).expect("a request")
    }

    /// Sends these parts of a body as they are, and waits for the end of the answer.
    pub(super) async fn call(&self, request: Request<()>, parts: Vec<Vec<u8>>) -> Result<Answer, h2::Error> {
        self.call_with(request, parts, None).await
    }

    pub(super) async fn call_with(
        &self,
        request: Request<()>,
        parts: Vec<Vec<u8>>,
        trailers: Option<HeaderMap>,
    ) -> Result<Answer, h2::Error> {
        let (answer, mut body) = self.begin(request, parts.is_empty() && trailers.is_none()).await;
        let sending = async move {
            let last = parts.len().wrapping_sub(1);
            for (number, part) in parts.into_iter().enumerate() {
                if send(&mut body, part.into(), number == last && trailers.is_none()).await.is_err() {
                    // An answer has come already.
                    return;
                }
            }
            if let Some(trailers) = trailers {
                let _ = body.send_trailers(trailers);
            }
        };
        let whole = async { tokio::join!(sending, receive(answer)).1 };
        timeout(HANGS, whole).await.expect("no hang")
    }
}

/// Sends data as the windows allow.
pub(super) async fn send(body: &mut SendStream<Bytes>, mut data: Bytes, ends: bool) -> Result<(), h2::Error> {
    while !data.is_empty() {
        body.reserve_capacity(data.len());
        let Some(room) = poll_fn(|cx| body.poll_capacity(cx)).await.transpose()? else { break };
        let part = data.split_to(room.min(data.len()));
        body.send_data(part, ends && data.is_empty())?;
        if data.is_empty() {
            return Ok(());
        }
    }
    body.send_data(data, ends)
}

pub(super) async fn receive(answer: ResponseFuture) -> Result<Answer, h2::Error> {
    let (head, mut body) = answer.await?.into_parts();
    let mut data = Vec::new();
    while let Some(part) = body.data().await {
        let part = match part {
            // The answer is whole, and what is left of the request is not wanted.
            Err(error) if error.reason() == Some(Reason::NO_ERROR) => break,
            part => part?,
        };
        data.extend_from_slice(&part);
        body.flow_control().release_capacity(part.len())?;
    }
    let trailers = trailers(&mut body).await?;
    Ok(Answer { head: Response::from_parts(head, ()), data, trailers })
}

async fn trailers(body: &mut RecvStream) -> Result<Option<HeaderMap>, h2::Error> {
    match body.trailers().await {
        Err(error) if error.reason() == Some(Reason::NO_ERROR) => Ok(None),
        trailers => trailers,
    }
}
