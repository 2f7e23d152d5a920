//! One connection, as its calls see it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use h2::client::SendRequest;
use http::uri::Authority;
use http::{Request, Response};
use http_body::Body as _;
use tonic::body::Body;

use super::pulse::{Open, Pulse};
use super::upload::{Uploading, upload};
use super::{ConnectionError, ResponseBody};

/// One connection. When the last of these is dropped and no call is open, it ends.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) requests: SendRequest<Bytes>,
    pub(super) pulse: Arc<Pulse>,
}

/// What comes of a request.
pub(super) enum Sent {
    Answer(Result<Response<ResponseBody>, ConnectionError>),
    /// The connection takes no more of them.
    Unsent(Request<Body>, h2::Error),
}

impl Line {
    pub(super) async fn send(mut self, request: Request<Body>, open: Open, authority: &Authority) -> Sent {
        if let Err(error) = poll_fn(|cx| self.requests.poll_ready(cx)).await {
            self.pulse.close();
            return Sent::Unsent(request, error);
        }
        let (head, body) = request.into_parts();
        let sent = self.requests.send_request(Request::from_parts(head, ()), body.is_end_stream());
        // Nobody holds a connection by waiting for its answer.
        drop(self);
        let (answer, stream) = match sent {
            Ok(sent) => sent,
            Err(error) => return Sent::Answer(Err(ConnectionError::unsent(authority, error))),
        };
        let uploading = if body.is_end_stream() { None } else { begin(body, stream).await };
        Sent::Answer(match answer.await {
            Ok(answer) => {
                open.pulse.note_answer();
                Ok(answer.map(|body| ResponseBody::new(body, authority.clone(), open, uploading)))
            }
            Err(error) => Err(ConnectionError::broken(authority, error, &open.pulse)),
        })
    }
}

/// Sends a body that is there as a whole; for any other one there is a task.
async fn begin(mut body: Body, mut stream: h2::SendStream<Bytes>) -> Option<Uploading> {
    let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await;
    if let Poll::Ready(Some(Ok(frame))) = &first {
        if let (Some(data), true) = (frame.data_ref(), body.is_end_stream()) {
            // One message, which has memory already: it leaves as the server's windows let it. Where the stream is reset
            // already, the answer tells.
            let _ = stream.send_data(data.clone(), true);
            return None;
        }
    }
    Some(upload(first, body, stream))
}
