//! Requests that stream, from bodies and clients of every kind: what is no clean end is none.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason;
use http_body::Frame;
use kit_base::{ClientStream, Endpoint, Error, Request, Response};
use kit_transport_grpc::GrpcServer;
use tokio::net::TcpStream;

use crate::streams_support::{Log, MS, Notes, frame, in_time, logging, read, takes};
use crate::support::{note, serve};

/// A body of these frames. It does not say when it is at its end.
struct Frames<E>(std::vec::IntoIter<Result<Frame<Bytes>, E>>);

impl<E: Unpin> http_body::Body for Frames<E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        Poll::Ready(self.0.next())
    }
}

/// A server that logs what it reads, and how that ends.
fn reading(log: &Log) -> GrpcServer {
    let log = log.clone();
    takes(move |request: Request<Notes, ClientStream>| {
        let log = log.clone();
        async move {
            let mut items = request.into_message();
            loop {
                match items.message().await {
                    Ok(Some(item)) => log.add(item.text),
                    Ok(None) => break log.add("end"),
                    Err(error) => {
                        log.add(format!("{error}"));
                        // It is over.
                        assert!(items.message().await?.is_none());
                        return Err(error);
                    }
                }
            }
            Ok(Response::new(note("read")))
        }
    })
}

/// What is read of this body, and the status of the answer.
async fn read_of<E>(body: Vec<Result<Frame<Bytes>, E>>) -> (Vec<String>, String)
where
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Unpin + Send + 'static,
{
    let log = Log::default();
    let request = http::Request::post("/test.Notes/Echo").header("content-type", "application/grpc");
    let request = request.body(Frames(body.into_iter())).unwrap();
    let Ok(answer) = reading(&log).routes().unwrap().call(request).await;
    let status = answer.headers().get("grpc-status").map(|status| format!("grpc-status: {}", status.to_str().unwrap()));
    let (_, trailers) = read(answer.into_body()).await;
    (log.all(), status.unwrap_or(trailers))
}

fn data(bytes: impl Into<Bytes>) -> Result<Frame<Bytes>, Infallible> {
    Ok(Frame::data(bytes.into()))
}

#[tokio::test]
async fn messages_are_read_whatever_the_pieces_they_come_in() {
    let whole = [frame(&note("a")), frame(&note("")), frame(&note("ccc"))].concat();
    let want = (vec!["a".to_owned(), String::new(), "ccc".to_owned(), "end".to_owned()], "grpc-status: 0".to_owned());
    for size in 1..=whole.len() {
        let pieces = whole.chunks(size).map(|piece| data(piece.to_vec())).collect();
        assert_eq!(read_of(pieces).await, want, "{size}");
    }
    let with_trailers = vec![data(whole), Ok(Frame::trailers(http::HeaderMap::new()))];
    assert_eq!(read_of(with_trailers).await, want);
}

#[tokio::test]
async fn what_is_no_message_is_an_error_after_those_that_are() {
    let garbage = [&frame(&note("a"))[..], &[0, 0, 0, 0, 1, 0xff]].concat();
    for (body, says) in [
        (garbage, "a message cannot be decoded"),
        ([&frame(&note("a"))[..], &[7, 0, 0, 0, 0]].concat(), "flag 7"),
        ([&frame(&note("a"))[..], &[0, 0, 0, 0, 9, 1]].concat(), "ended within a message"),
        ([&frame(&note("a"))[..], &[0, 0]].concat(), "ended within a message"),
        ([&frame(&note("a"))[..], &[1, 0, 0, 0, 0]].concat(), "no grpc-encoding"),
    ] {
        let (all, status) = read_of(vec![data(body)]).await;
        assert_eq!((all.len(), all[0].as_str(), status.as_str()), (2, "a", "grpc-status: 13"), "{all:?}");
        assert!(all[1].contains(says), "{all:?}");
    }
    // More than the limit is not read into memory, let alone waited for.
    let (all, status) = read_of(vec![data(frame(&note("a"))), data(vec![0, 0xff, 0xff, 0xff, 0xff])]).await;
    assert_eq!((all.len(), status.as_str()), (2, "grpc-status: 8"), "{all:?}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_cancelled_and_no_end() {
    let body = vec![Ok(Frame::data(frame(&note("a")))), Err("broken")];
    let (all, status) = read_of(body).await;
    assert_eq!(
        (all, status.as_str()),
        (vec!["a".to_owned(), "CANCELLED: the request broke off".to_owned()], "grpc-status: 1")
    );
}

/// Opens a call on a connection of its own, sends a message, and then does this with the stream.
async fn raw(addr: std::net::SocketAddr, log: &Log, then: impl FnOnce(&mut h2::SendStream<Bytes>)) -> Raw {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = http::Request::post("http://x/test.Notes/Echo")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (answer, mut sends) = client.send_request(request, false).unwrap();
    sends.send_data(frame(&note("1")), false).unwrap();
    log.until(1).await;
    then(&mut sends);
    Raw { _all: (answer, sends), connection }
}

/// What is open until the end of a test.
struct Raw {
    _all: (h2::client::ResponseFuture, h2::SendStream<Bytes>),
    connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

#[tokio::test]
async fn a_stream_that_is_reset_is_no_end_whatever_the_code() {
    for reason in [Reason::CANCEL, Reason::NO_ERROR, Reason::INTERNAL_ERROR, Reason::REFUSED_STREAM] {
        let log = Log::default();
        let server = serve(logging(reading(&log), &log)).await;
        let raw = raw(server.addr, &log, |sends| sends.send_reset(reason)).await;
        log.until(2).await;
        drop(raw);
        // The call is over, and nothing more comes.
        tokio::time::sleep(50 * MS).await;
        let all = log.all();
        assert!(!all.contains(&"end".to_owned()), "{reason}: {all:?}");
        let over = |line: &String| line.starts_with("ok left") || line.starts_with("CANCELLED");
        assert!(all.last().is_some_and(over), "{reason}: {all:?}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_no_end() {
    let log = Log::default();
    let server = serve(logging(reading(&log), &log)).await;
    let raw = raw(server.addr, &log, |_| ()).await;
    raw.connection.abort();
    drop(raw);
    log.until(2).await;
    assert!(!log.all().contains(&"end".to_owned()), "{:?}", log.all());
}

#[tokio::test]
async fn requests_are_read_no_faster_than_they_are_asked_for() {
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    struct Counted(Arc<std::sync::atomic::AtomicUsize>);
    impl http_body::Body for Counted {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Poll::Ready(Some(data(frame(&note("1")))))
        }
    }
    let server = takes(async |request: Request<Notes, ClientStream>| {
        let mut items = request.into_message();
        for _ in 0..3 {
            items.message().await?;
        }
        Err::<Response<_>, Error>(Error::aborted("enough"))
    });
    let request = http::Request::post("/test.Notes/Echo").header("content-type", "application/grpc");
    let request = request.body(Counted(Arc::clone(&asked))).unwrap();
    let Ok(answer) = in_time(server.routes().unwrap().call(request)).await;
    assert_eq!(answer.headers()["grpc-status"], "10");
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 3);
}
