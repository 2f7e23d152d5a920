//! A body that can be sent again: replaying, the cap, failures.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use kit_transport_http::{Replay, ReplayError};
use tokio::sync::mpsc;

use crate::support::{Frames, HANGS, Notes, OnDrop};

type Item = Result<Frame<Bytes>, std::io::Error>;

/// A body that the test sends.
struct Sent(mpsc::UnboundedReceiver<Item>, Option<OnDrop>);

impl Body for Sent {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        self.0.poll_recv(cx)
    }
}

fn sent() -> (mpsc::UnboundedSender<Item>, Sent) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Sent(receiver, None))
}

fn data(text: &'static str) -> Item {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

fn trailers() -> Item {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "7".parse().unwrap());
    Ok(Frame::trailers(trailers))
}

/// The frames of a body, as text.
async fn all<B: Body<Data = Bytes, Error = ReplayError> + Unpin>(body: B) -> Vec<String> {
    let mut body = pin!(body);
    let mut frames = Vec::new();
    while let Some(frame) = tokio::time::timeout(HANGS, body.frame()).await.expect("the next frame comes") {
        frames.push(match frame {
            Ok(frame) => match frame.into_data() {
                Ok(data) => String::from_utf8_lossy(&data).into_owned(),
                Err(frame) => format!("{:?}", frame.into_trailers().unwrap()),
            },
            Err(error) => format!("error: {error}"),
        });
    }
    frames
}

async fn next(body: &mut Replay<Sent>) -> Bytes {
    body.frame().await.unwrap().unwrap().into_data().unwrap()
}

#[tokio::test]
async fn a_clone_replays_and_goes_on_where_the_first_reader_was_dropped() {
    let (sender, body) = sent();
    let mut first = Replay::new(body);
    let second = first.try_clone().unwrap();
    sender.send(data("one")).unwrap();
    sender.send(data("two")).unwrap();
    assert_eq!(next(&mut first).await, "one");
    drop(first);
    sender.send(trailers()).unwrap();
    drop(sender);
    let third = second.try_clone().unwrap();
    let frames = ["one", "two", r#"{"x-sum": "7"}"#];
    assert_eq!(all(second).await, frames);
    assert_eq!(all(third).await, frames, "trailers are replayed");
}

#[tokio::test]
async fn a_body_that_has_ended_is_replayed_whole() {
    let first = Replay::new(Full::new(Bytes::from_static(b"hello")));
    let second = first.try_clone().unwrap();
    let third = second.try_clone().unwrap();
    for body in [first, second, third] {
        assert_eq!(body.size_hint().exact(), Some(5));
        assert!(!body.is_end_stream());
        assert_eq!(all(body).await, ["hello"]);
    }
    let empty = Replay::new(Full::<Bytes>::default());
    assert!(empty.is_end_stream() && empty.try_clone().unwrap().is_end_stream());
}

#[tokio::test]
async fn readers_at_a_time_all_get_everything() {
    let (sender, body) = sent();
    let first = Replay::new(body);
    let readers: Vec<_> = (0..4).map(|_| tokio::spawn(all(first.try_clone().unwrap()))).collect();
    let first = tokio::spawn(all(first));
    for text in ["one", "two", "three"] {
        tokio::task::yield_now().await;
        sender.send(data(text)).unwrap();
    }
    drop(sender);
    for reader in readers.into_iter().chain([first]) {
        assert_eq!(reader.await.unwrap(), ["one", "two", "three"]);
    }
}

#[tokio::test]
async fn a_reader_that_leaves_while_it_waits_leaves_the_original_to_the_others() {
    let (sender, body) = sent();
    let mut first = Replay::new(body);
    let second = tokio::spawn(all(first.try_clone().unwrap()));
    tokio::task::yield_now().await;
    // Now the first one is woken by the original, and never polls again.
    assert!(pin!(first.frame()).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(first);
    tokio::task::yield_now().await;
    let started = std::time::Instant::now();
    sender.send(data("one")).unwrap();
    drop(sender);
    assert_eq!(second.await.unwrap(), ["one"]);
    assert!(started.elapsed() < HANGS / 2, "woken, not found by the time limit");
}

#[tokio::test]
async fn a_body_over_the_cap_passes_unharmed_and_is_kept_no_more() {
    let chunks = || (0..10).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 100])));
    let mut first = Replay::with_cap(Frames(chunks()), 500);
    let second = first.try_clone().unwrap();
    for _ in 0..3 {
        first.frame().await.unwrap().unwrap();
        assert!(first.is_replayable());
    }
    first.frame().await.unwrap().unwrap();
    assert!(!first.is_replayable() && !second.is_replayable());
    assert!(first.try_clone().is_none() && second.try_clone().is_none());
    assert_eq!(all(first).await.len(), 6);
    let mut second = second;
    let error = second.frame().await.unwrap().unwrap_err();
    assert!(matches!(error, ReplayError::OverCap(500)), "{error}");
    assert!(second.frame().await.is_none());
}

#[tokio::test]
async fn what_says_that_it_is_longer_is_not_kept_at_all() {
    let body = Replay::with_cap(Full::new(Bytes::from_static(b"longer than that")), 10);
    assert!(!body.is_replayable() && body.try_clone().is_none());
    assert_eq!(body.size_hint().exact(), Some(16));
    assert_eq!(all(body).await, ["longer than that"]);
}

#[tokio::test]
async fn many_small_frames_are_bounded_too() {
    let chunks = (0..100).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"x")));
    let mut body = Replay::with_cap(Frames(chunks), 1000);
    for _ in 0..100 {
        body.frame().await.unwrap().unwrap();
    }
    assert!(!body.is_replayable());
    // Empty ones cost nothing, and are not replayed.
    let chunks = ["", "a", ""].into_iter().cycle().take(3000).map(|text| Ok::<_, std::io::Error>(Bytes::from(text)));
    let body = Replay::with_cap(Frames(chunks), 100_000);
    let again = body.try_clone().unwrap();
    assert_eq!(all(body).await.len(), 3000);
    assert_eq!(all(again).await.len(), 1000);
}

#[tokio::test]
async fn a_body_that_has_failed_cannot_be_sent_again() {
    let (sender, body) = sent();
    let mut first = Replay::new(body);
    let mut second = first.try_clone().unwrap();
    sender.send(data("one")).unwrap();
    sender.send(Err(std::io::Error::other("the wire is cut"))).unwrap();
    assert_eq!(next(&mut first).await, "one");
    let error = first.frame().await.unwrap().unwrap_err();
    assert!(matches!(&error, ReplayError::Body(_)) && error.to_string() == "the wire is cut", "{error}");
    assert!(first.frame().await.is_none());
    assert!(first.try_clone().is_none() && !second.is_replayable());
    assert_eq!(next(&mut second).await, "one");
    assert!(matches!(second.frame().await.unwrap().unwrap_err(), ReplayError::Failed));
}

#[tokio::test]
async fn chunks_are_shared_and_not_copied() {
    let (sender, body) = sent();
    let mut first = Replay::new(body);
    let mut second = first.try_clone().unwrap();
    let chunk = Bytes::from(vec![b'x'; 1000]);
    sender.send(Ok(Frame::data(chunk.clone()))).unwrap();
    assert_eq!(next(&mut first).await.as_ptr(), chunk.as_ptr());
    assert_eq!(next(&mut second).await.as_ptr(), chunk.as_ptr());
}

#[tokio::test]
async fn the_original_goes_with_its_last_reader_or_with_the_one_that_it_was_left_to() {
    let notes = Notes::default();
    let (sender, mut body) = sent();
    body.1 = Some(OnDrop(notes.clone(), "whole"));
    let first = Replay::new(body);
    let second = first.try_clone().unwrap();
    drop(first);
    assert!(notes.all().is_empty());
    drop(second);
    assert_eq!(notes.all(), ["whole"]);
    drop(sender);
    // Over the cap nobody else can read it.
    let (sender, mut body) = sent();
    body.1 = Some(OnDrop(notes.clone(), "too long"));
    let mut first = Replay::with_cap(body, 40);
    let second = first.try_clone().unwrap();
    sender.send(data("more than that")).unwrap();
    next(&mut first).await;
    drop(first);
    assert_eq!(notes.all(), ["whole", "too long"]);
    drop(second);
}

#[tokio::test]
async fn what_is_left_is_known_at_each_step() {
    let (sender, body) = sent();
    let mut first = Replay::new(body);
    sender.send(data("one")).unwrap();
    next(&mut first).await;
    let second = first.try_clone().unwrap();
    assert_eq!((first.size_hint().lower(), second.size_hint().lower()), (0, 3));
    assert_eq!((second.size_hint().upper(), second.is_end_stream()), (None, false));
    drop(sender);
    assert!(first.frame().await.is_none());
    assert_eq!(second.size_hint().exact(), Some(3));
    assert!(first.is_end_stream() && !second.is_end_stream());
}
