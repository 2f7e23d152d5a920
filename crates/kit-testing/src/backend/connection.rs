//! One connection to the backend: a request, its reply, and so on.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderMap, Method, Request, Version};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::reply::{Action, Cut};
use super::shared::Shared;
use crate::wire::Wire;

/// Bytes that are taken from a client which sends the next request before the answer.
const MAX_AHEAD: usize = 1024 * 1024;

/// What comes after a reply.
enum Next {
    Request,
    End,
}

/// Serves a connection until either side ends it. An error is the client's: it broke off, or did not speak HTTP.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Answers are written in one piece, and nobody shall wait for more.
    let _ = stream.set_nodelay(true);
    let mut wire = Wire::new(stream);
    while let Ok(Some(request)) = read(&mut wire).await {
        let bodiless = request.method() == Method::HEAD;
        let last = request.version() == Version::HTTP_10 || says_close(request.headers());
        let reply = shared.receive(request);
        if !reply.delay.is_zero() && left_within(&mut wire, Some(reply.delay)).await {
            return shared.abandon();
        }
        match perform(&mut wire, reply.action, bodiless).await {
            Ok(Next::Request) if !last => {}
            Ok(_) => return,
            Err(_) => return shared.abandon(),
        }
    }
}

async fn read(wire: &mut Wire<TcpStream>) -> io::Result<Option<Request<Bytes>>> {
    let Some(head) = wire.request_head().await? else { return Ok(None) };
    if head.headers().contains_key(EXPECT) {
        wire.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let body = wire.request_body(head.headers()).await?;
    Ok(Some(head.map(|()| body)))
}

/// Does what the reply says. An error means that the client has left.
async fn perform(wire: &mut Wire<TcpStream>, action: Action, bodiless: bool) -> io::Result<Next> {
    match action {
        Action::Answer(answer) => {
            wire.get_mut().write_all(&answer.encode(bodiless)).await?;
            match answer.cut {
                Some(Cut { stall: true, .. }) => hang(wire).await,
                Some(Cut { stall: false, .. }) => Ok(Next::End),
                None if says_close(&answer.headers) => Ok(Next::End),
                None => Ok(Next::Request),
            }
        }
        Action::Raw(bytes) => {
            wire.get_mut().write_all(&bytes).await?;
            Ok(Next::End)
        }
        Action::Hang => hang(wire).await,
        Action::Reset => {
            wire.get_mut().set_zero_linger()?;
            Ok(Next::End)
        }
        Action::Close => Ok(Next::End),
    }
}

async fn hang(wire: &mut Wire<TcpStream>) -> io::Result<Next> {
    left_within(wire, None).await;
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// Waits, for ever if there is no delay, and says whether the client has left in the meantime.
async fn left_within(wire: &mut Wire<TcpStream>, delay: Option<Duration>) -> bool {
    let over = async {
        match delay {
            Some(delay) => sleep(delay).await,
            None => pending().await,
        }
    };
    tokio::select! {
        () = left(wire) => true,
        () = over => false,
    }
}

/// Ends when the client closes its side. What it sends ahead is kept for later.
async fn left(wire: &mut Wire<TcpStream>) {
    loop {
        if wire.buffered() > MAX_AHEAD {
            return pending().await;
        }
        if !wire.fill().await.unwrap_or(false) {
            return;
        }
    }
}

fn says_close(headers: &HeaderMap) -> bool {
    headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}
