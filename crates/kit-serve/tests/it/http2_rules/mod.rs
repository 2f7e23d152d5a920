//! The rules of HTTP/2 (RFC 9113, RFC 7541), each with the bytes that break or use it and what must come of them.
//!
//! The tables follow the sections of the RFCs and say what the RFC wants. What the server does otherwise stands in
//! [`deviations`] alone, each with its reason.

mod compression;
mod connection;
mod deviations;
mod flow;
mod frame_types;
mod messages;
mod streams;

use std::net::SocketAddr;

use kit_serve::Server;
use tokio::task::JoinSet;
use tower::service_fn;

use crate::frames::{END_HEADERS, END_STREAM, Frames, HEADERS, PING, PREFACE, SETTINGS, Sent, frame, get};
use crate::support::{echo, start};

/// What comes of the bytes of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The connection ends with a GOAWAY of this code: a connection error (5.4.1).
    GoAway(u32),
    /// The stream is reset with this code, and the connection lives: a stream error (5.4.2).
    Reset(u32, u32),
    /// The request on this stream is answered with this status, and the connection lives.
    Answer(u32, u16),
    /// Nothing, and the connection lives.
    Nothing,
    /// The connection ends without a word.
    Closed,
    /// An answer over HTTP/1, and the end.
    Http1(u16),
}
use Outcome::{Answer, Closed, GoAway, Http1, Nothing, Reset};

/// The stream of a request that is sent at the end, to see whether the connection lives.
const PROBE: u32 = 0x7fff_fff1;

/// One rule.
#[derive(Debug)]
struct Case {
    section: &'static str,
    rule: &'static str,
    /// Whether the preface and settings are sent first.
    preface: bool,
    bytes: Vec<u8>,
    /// Sent when the request on stream 1 was answered.
    then: Vec<u8>,
    outcome: Outcome,
}

fn case(section: &'static str, rule: &'static str, bytes: impl Into<Vec<u8>>, outcome: Outcome) -> Case {
    Case { section, rule, preface: true, bytes: bytes.into(), then: Vec::new(), outcome }
}

/// As [`case`], with bytes that are sent after the request on stream 1 was answered.
fn case_then(section: &'static str, rule: &'static str, first: Vec<u8>, then: Vec<u8>, outcome: Outcome) -> Case {
    Case { section, rule, preface: true, bytes: first, then, outcome }
}

/// As [`case`], with nothing sent before.
fn case_raw(section: &'static str, rule: &'static str, bytes: impl Into<Vec<u8>>, outcome: Outcome) -> Case {
    Case { section, rule, preface: false, bytes: bytes.into(), then: Vec::new(), outcome }
}

/// A HEADERS frame with a whole request on stream 1 that has these fields.
fn request(fields: &[&[u8]]) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, 1, fields.concat())
}

async fn run(addr: SocketAddr, case: &Case) -> Outcome {
    let mut frames = Frames::connect_raw(addr).await;
    let mut all = Vec::new();
    if case.preface {
        all.extend([PREFACE, &frame(SETTINGS, 0, 0, [])].concat());
    }
    all.extend(&case.bytes);
    frames.send(all).await;
    let mut outcome = Nothing;
    let note = |outcome: &mut Outcome, sent: &Sent| match (*outcome, sent) {
        (GoAway(_), _) => {}
        (_, Sent::GoAway { code }) => *outcome = GoAway(*code),
        (Reset(..), _) => {}
        (_, Sent::Reset { stream, code }) => *outcome = Reset(*stream, *code),
        (_, Sent::Head { stream, status }) if *stream != PROBE => *outcome = Answer(*stream, *status),
        (_, Sent::Http1 { status }) => *outcome = Http1(*status),
        _ => {}
    };
    if !case.then.is_empty() {
        let sent = frames.until(|sent| matches!(sent, Sent::Head { stream: 1, .. })).await;
        assert!(matches!(sent, Sent::Head { .. }), "{} {}: {sent:?}", case.section, case.rule);
        frames.send(&case.then).await;
    }
    // First a PING, then a request, so that what the bytes brought about is known when the request is answered.
    frames.send(frame(PING, 0, 0, b"is alive")).await;
    loop {
        match frames.next().await {
            Sent::End if outcome == Nothing => return Closed,
            Sent::End => match outcome {
                GoAway(_) | Http1(_) => return outcome,
                _ => panic!("{} {}: {outcome:?}, but the connection ended", case.section, case.rule),
            },
            Sent::Head { stream: PROBE, status } => {
                assert_eq!(status, 200);
                return outcome;
            }
            Sent::Pong(payload) if payload == b"is alive" => {
                frames.send(get(PROBE)).await;
            }
            sent => note(&mut outcome, &sent),
        }
    }
}

/// Runs all cases, each on a connection of its own, against one server.
async fn all(server: Server, cases: Vec<Case>) {
    let server = start!(server, service_fn(echo));
    let (addr, count) = (server.addr, cases.len());
    let mut running = JoinSet::new();
    for case in cases {
        running.spawn(async move {
            let outcome = run(addr, &case).await;
            let Case { section, rule, outcome: wanted, .. } = case;
            let deviation = deviations::of(section, rule);
            let expected = deviation.map_or(wanted, |deviation| deviation.outcome);
            let why = deviation.map_or("", |deviation| deviation.why);
            assert!(deviation.is_none() || expected != wanted, "{section} {rule} is listed and does not deviate");
            (outcome != expected).then(|| format!("{section} {rule}: {outcome:?} instead of {expected:?} {why}\n"))
        });
    }
    let broken: String = running.join_all().await.into_iter().flatten().collect();
    assert!(broken.is_empty(), "of {count} rules these are broken:\n{broken}");
    // Whatever they did, others are served.
    let sent = run(addr, &case("", "a request", get(1), Answer(1, 200))).await;
    assert_eq!(sent, Answer(1, 200));
    assert_eq!(server.stats.panics(), 0);
}
