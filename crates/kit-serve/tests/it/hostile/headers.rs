//! Heads that are small on the wire and large in memory, and large ones.

use tower::service_fn;

use super::wellbehaved::WellBehaved;
use crate::frames::{
    CONTINUATION, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frames, GET, HEADERS, Sent, field, frame, get, integer,
};
use crate::support::{Raw, bind, hello, start};

/// What comes of a head on stream 1, and whether the connection lives.
async fn outcome(frames: &mut Frames) -> (Sent, bool) {
    let sent = frames.until(|sent| matches!(sent, Sent::Head { .. } | Sent::Reset { .. } | Sent::GoAway { .. })).await;
    frames.send(get(101)).await;
    let last = frames.until(|sent| matches!(sent, Sent::Head { stream: 101, .. })).await;
    (sent, last != Sent::End)
}

#[tokio::test]
async fn an_entry_of_the_table_named_a_thousand_times_is_answered_431_unseen() {
    let server = start!(bind().await, service_fn(hello));
    let others = WellBehaved::start(server.addr);
    // As large as the table allows, with the name it takes.
    let mut entry = vec![0x40, 1, b'x'];
    integer(&mut entry, 0, 7, 4000);
    entry.extend([b'y'; 4000]);
    for (references, expected) in [
        // 80 KB, over the limit of 64 KiB.
        (20, (Sent::Head { stream: 1, status: 431 }, true)),
        // 48 MB in 12 KB: more than four times the limit is taken as an attack.
        (12_000, (Sent::GoAway { code: ENHANCE_YOUR_CALM }, false)),
    ] {
        let mut frames = Frames::connect(server.addr).await;
        let block = [GET, &entry, &vec![0xbe; references]].concat();
        frames.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, block)).await;
        assert_eq!(outcome(&mut frames).await, expected, "{references} references");
    }
    others.was_served().await;
}

#[tokio::test]
async fn a_head_over_many_frames_is_answered_431() {
    let server = start!(bind().await, service_fn(hello));
    let mut frames = Frames::connect(server.addr).await;
    frames.send(frame(HEADERS, END_STREAM, 1, GET)).await;
    for number in 0..5 {
        let flags = if number == 4 { END_HEADERS } else { 0 };
        frames.send(frame(CONTINUATION, flags, 1, field("x", vec![b'y'; 16_000]))).await;
    }
    assert_eq!(outcome(&mut frames).await, (Sent::Head { stream: 1, status: 431 }, true));
    assert_eq!(server.stats.requests_total(), 1);
}

#[tokio::test]
async fn ten_thousand_fields_are_answered_431_over_both_protocols() {
    let server = start!(bind().await, service_fn(hello));
    let mut raw = Raw::connect(server.addr).await;
    // Below the limit for the size.
    raw.send(format!("GET / HTTP/1.1\r\nhost: t\r\n{}\r\n", "x:\r\n".repeat(10_000))).await;
    let answer = raw.rest().await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let mut frames = Frames::connect(server.addr).await;
    frames.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, [GET, &field("x", "").repeat(1_900)].concat())).await;
    assert_eq!(outcome(&mut frames).await, (Sent::Head { stream: 1, status: 431 }, true));
}

#[tokio::test]
async fn a_target_that_is_too_long_is_answered_414_or_431() {
    let server = start!(bind().await.head_limit(128 * 1024), service_fn(hello));
    for (length, status) in [(60_000, 200), (66_000, 414), (200_000, 431)] {
        let mut raw = Raw::connect(server.addr).await;
        raw.send(format!("GET /{} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n", "x".repeat(length))).await;
        let answer = raw.rest().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{length}: {answer}");
    }
}
