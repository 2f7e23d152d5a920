//! One connection, as its calls see it.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, SendStream};
use http::uri::Authority;
use http::{Request, Response};

use super::life::{Life, Open};
use super::outgoing::{Content, Outgoing};
use super::upload::{Uploading, upload};
use super::{ConnectionError, ResponseBody};

/// One connection. When the last of these is dropped and no call is open, it ends.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) requests: SendRequest<Bytes>,
    pub(super) life: Arc<Life>,
}

/// What comes of a request.
pub(super) enum Sent {
    Answer(Result<Response<ResponseBody>, ConnectionError>),
    /// It surely was not taken, and may go again.
    Unsent(Outgoing, h2::Error),
}

impl Line {
    pub(super) async fn send(mut self, mut request: Outgoing, mut open: Open, authority: &Authority) -> Sent {
        let life = Arc::clone(&self.life);
        let mut turn = match life.turn.try_lock() {
            Ok(turn) => turn,
            Err(_) => {
                request.waits();
                life.turn.lock().await
            }
        };
        let ready = match &mut *turn {
            Some(left) => {
                request.waits();
                poll_fn(|cx| left.poll_ready(cx)).await
            }
            None => Ok(()),
        };
        let ready = match ready {
            Ok(()) => poll_fn(|cx| self.requests.poll_ready(cx)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = ready {
            life.close();
            return Sent::Unsent(request, error);
        }
        *turn = None;
        // One that is sent and reset at once looks like an attack.
        if let Err(passed) = request.tell_time_left() {
            return Sent::Answer(Err(ConnectionError::unsent(authority, passed)));
        }
        let whole = match &request.body {
            Content::Whole(data) => Some(data.clone()),
            Content::Streamed(..) => None,
        };
        let mut head = Request::new(());
        *head.method_mut() = request.head.method.clone();
        *head.uri_mut() = request.head.uri.clone();
        *head.version_mut() = request.head.version;
        // Kept, to be sent again if the server does not take it.
        *head.headers_mut() = request.head.headers.clone();
        let writes = life.writes();
        let sent = self.requests.send_request(head, whole.as_ref().is_some_and(Bytes::is_empty));
        let (answer, mut stream) = match sent {
            Ok(sent) => sent,
            // The connection has ended since the look at it; or HTTP/2 has no such request.
            Err(error) if error.is_go_away() || error.is_io() => return Sent::Unsent(request, error),
            Err(error) => return Sent::Answer(Err(ConnectionError::unsent(authority, error))),
        };
        let is_whole = whole.is_some();
        if let Some(data) = whole.filter(|data| !data.is_empty()) {
            // It has memory already, and leaves as the server's windows let it. At once, also where there is no stream yet: behind
            // a head that stands open, the answer of a server that closes right after it would be lost. Where the stream is reset,
            // the answer tells.
            let _ = stream.send_data(data, true);
        }
        if open.take_stream() >= self.requests.current_max_send_streams() {
            let requests = turn.insert(self.requests);
            let mut waiting = Waiting { stream: &mut stream, over: false };
            // If there will be none, the answer says why.
            let _ = poll_fn(|cx| requests.poll_ready(cx)).await;
            waiting.over = true;
            drop(waiting);
            *turn = None;
        } else {
            // Nobody holds a connection by waiting for its answer.
            drop(self);
        }
        drop(turn);
        drop(life);
        let mut uploading: Option<Uploading> = None;
        if is_whole {
            drop(stream);
        } else {
            let empty = Content::Whole(Bytes::new());
            if let Content::Streamed(first, body) = std::mem::replace(&mut request.body, empty) {
                uploading = Some(upload(first, body, stream));
            }
        }
        Sent::Answer(match answer.await {
            Ok(answer) => {
                open.life.note_answer();
                Ok(answer.map(|body| ResponseBody::new(body, authority.clone(), open, uploading)))
            }
            // Where nothing was written since, the connection had ended, and nobody had heard of it.
            Err(error) if is_untaken(&error) || open.life.writes() == writes => match uploading {
                None => return Sent::Unsent(request, error),
                Some(_) => Err(ConnectionError::unsent(authority, error)),
            },
            Err(error) => Err(ConnectionError::broken(authority, error, &open.life)),
        })
    }
}

/// A head that waits for a stream, and all calls behind it. Dropped, it is reset: HTTP/2 sends it once there is a stream, and
/// would go on to queue any number of those that were left, which servers take for an attack.
struct Waiting<'a> {
    stream: &'a mut SendStream<Bytes>,
    over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.stream.send_reset(Reason::CANCEL);
        }
    }
}

/// Whether the server says that it has not begun the call: the stream is refused, or is none of those that a `GOAWAY` says it
/// has seen. Source: RFC 9113, sections 6.8 and 8.7.
fn is_untaken(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    error.is_remote() && (refused || error.is_go_away())
}
