//! Connections that clients break off with a reset, at each point of a request.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use kit_serve::RequestBody;
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tower::service_fn;

use super::wellbehaved::WellBehaved;
use crate::support::{GET, Raw, bind, start, text, until};

/// Closes with a reset instead of an end.
fn break_off(raw: Raw) {
    SockRef::from(&raw.0).set_linger(Some(Duration::ZERO)).unwrap();
}

#[tokio::test]
async fn a_reset_in_the_head_or_the_body_ends_the_request_with_an_error_for_who_reads_it() {
    let (told, mut errors) = tokio::sync::mpsc::unbounded_channel();
    let server = start!(
        bind().await,
        service_fn(move |request: Request<RequestBody>| {
            let told = told.clone();
            async move {
                if let Err(error) = request.into_body().collect().await {
                    told.send(error.to_string()).unwrap();
                }
                Ok::<_, Infallible>(text("read"))
            }
        })
    );
    let others = WellBehaved::start(server.addr);
    for bytes in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: t\r\n"] {
        let mut raw = Raw::connect(server.addr).await;
        raw.send(bytes).await;
        break_off(raw);
    }
    for bytes in ["content-length: 9\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc"] {
        let before = server.stats.requests_total();
        let mut raw = Raw::connect(server.addr).await;
        raw.send(format!("POST / HTTP/1.1\r\nhost: t\r\n{bytes}")).await;
        until(|| server.stats.requests_total() > before).await;
        break_off(raw);
        assert!(errors.recv().await.is_some());
    }
    others.was_served().await;
    until(|| server.stats.connections_open() == 0 && server.stats.requests_open() == 0).await;
    assert_eq!((server.stats.panics(), server.stats.service_errors()), (0, 0));
}

/// A body that never ends, and tells when it is dropped.
struct Endless(tokio::sync::mpsc::UnboundedSender<()>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 4096])))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test]
async fn a_reset_in_the_answer_drops_what_produces_it() {
    let (told, mut dropped) = tokio::sync::mpsc::unbounded_channel();
    let server = start!(
        bind().await,
        service_fn(move |_: Request<RequestBody>| {
            let told = told.clone();
            async move { Ok::<_, Infallible>(Response::new(Endless(told))) }
        })
    );
    for reads in [false, true] {
        let mut raw = Raw::connect(server.addr).await;
        raw.send(GET).await;
        until(|| server.stats.requests_open() == 1).await;
        if reads {
            raw.0.read_exact(&mut [0; 100_000]).await.unwrap();
        }
        break_off(raw);
        dropped.recv().await.unwrap();
        until(|| server.stats.connections_open() == 0 && server.stats.requests_open() == 0).await;
    }
    assert_eq!(server.stats.service_errors(), 0);
}
