//! Streams and connections that end at each point of a call, or never, and what a client makes of it.

use std::error::Error as _;
use std::time::{Duration, Instant};

use kit_base::{Context, Deadline, Endpoint, Error, Kind, Origin, Request, ServiceError, Timeout};
use kit_transport_grpc::GrpcClient;
use tokio::time::timeout;
use tonic::body::Body;

use super::script::{Did, Script, Scripted, Step, answer, called, data, head, ok, only};
use crate::support::{HANGS, Note, echo, echoing, note, serve};

const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;

/// Codes of HTTP/2 with their names, and what gRPC makes of them.
const CODES: [(u32, &str, Kind); 15] = [
    (0, "NO_ERROR", Kind::Internal),
    (1, "PROTOCOL_ERROR", Kind::Internal),
    (2, "INTERNAL_ERROR", Kind::Internal),
    (3, "FLOW_CONTROL_ERROR", Kind::Internal),
    (4, "SETTINGS_TIMEOUT", Kind::Internal),
    (5, "STREAM_CLOSED", Kind::Unknown),
    (6, "FRAME_SIZE_ERROR", Kind::Internal),
    (REFUSED_STREAM, "REFUSED_STREAM", Kind::Unavailable),
    (CANCEL, "CANCEL", Kind::Cancelled),
    (9, "COMPRESSION_ERROR", Kind::Internal),
    (10, "CONNECT_ERROR", Kind::Internal),
    (11, "ENHANCE_YOUR_CALM", Kind::ResourceExhausted),
    (12, "INADEQUATE_SECURITY", Kind::PermissionDenied),
    (13, "HTTP_1_1_REQUIRED", Kind::Unknown),
    (99, "Reason(63)", Kind::Internal),
];

#[tokio::test]
async fn a_stream_that_is_reset_has_the_status_of_its_code() {
    for (code, name, kind) in CODES {
        for early in [true, false] {
            for before in [vec![], vec![head()], vec![head(), data("a")]] {
                let steps = [before.clone(), vec![Step::Reset(code)]].concat();
                let outcome = called(Script { early, ..steps.into() }).await;
                if code == REFUSED_STREAM && before.is_empty() {
                    // It was not begun, and is sent once more.
                    assert_eq!(outcome.expect("an answer").message().text, "next");
                    continue;
                }
                let error = outcome.expect_err("a reset");
                assert_eq!(error.kind(), kind, "{name} {before:?}: {error:?}");
                assert_eq!(error.origin(), Origin::Remote, "{name} {before:?}: {error:?}");
                assert_eq!(error.message(), format!("the stream was reset: {name}"), "{before:?}");
                assert!(error.source().is_some(), "{error:?}");
            }
        }
        // The answer was whole.
        let steps = vec![head(), data("a"), ok(), Step::Reset(code)];
        assert_eq!(called(steps).await.expect("an answer").message().text, "a");
    }
}

#[tokio::test]
async fn a_connection_that_goes_away_serves_what_it_has_begun() {
    for (code, _, _) in [CODES[0], CODES[2], CODES[11]] {
        // It says that it has not served the call, and so the next connection is asked.
        for steps in [vec![Step::GoAway(0, code)], vec![Step::GoAway(0, code), Step::Cut]] {
            assert_eq!(called(steps).await.expect("an answer").message().text, "next");
        }
        let error = called(vec![head(), Step::GoAway(0, code), Step::Cut]).await.expect_err("broken off");
        assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::Remote), "{error:?}");
        // It says that it serves it.
        for last in [1, 3, 0x7fff_ffff] {
            let steps = vec![Step::GoAway(last, code), head(), data("a"), ok()];
            assert_eq!(called(steps).await.expect("an answer").message().text, "a");
            let steps = vec![head(), Step::GoAway(last, code), data("a"), ok(), Step::Cut];
            assert_eq!(called(steps).await.expect("an answer").message().text, "a");
            for before in [vec![], vec![head()], vec![head(), data("a")]] {
                let steps = [before, vec![Step::GoAway(last, code), Step::Cut]].concat();
                let error = called(steps).await.expect_err("broken off");
                assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::Remote), "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_unavailable_at_each_point() {
    let half = vec![0, 0, 0];
    let points = [
        vec![Step::Cut],
        vec![Step::Raw(half.clone()), Step::Cut],
        vec![head(), Step::Cut],
        vec![head(), Step::PartOfData(9, half), Step::Cut],
        vec![head(), data("a"), Step::Cut],
        vec![head(), data("a"), Step::Raw(vec![0, 0, 20, 1, 5]), Step::Cut],
    ];
    for early in [true, false] {
        for steps in points.clone() {
            let error = called(Script { early, ..steps.clone().into() }).await.expect_err("cut");
            let text = "the connection broke off";
            assert_eq!((error.kind(), error.message()), (Kind::Unavailable, text), "{steps:?}: {error:?}");
            assert_eq!(error.origin(), Origin::Remote, "{steps:?}: {error:?}");
            assert!(error.source().is_some(), "{error:?}");
        }
    }
    assert_eq!(called(vec![head(), data("a"), ok(), Step::Cut]).await.expect("an answer").message().text, "a");
}

#[tokio::test]
async fn what_is_no_http_2_ends_the_connection_and_not_the_client() {
    let raw = |bytes: &[u8]| vec![Step::Raw(bytes.to_vec())];
    let frame = |length: u8, kind: u8, stream: u8, payload: &[u8]| {
        [&[0, 0, length, kind, 0, 0, 0, 0, stream], payload].concat()
    };
    let cases = [
        ("HTTP/1", raw(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")),
        ("TLS", raw(b"\x15\x03\x01\x00\x02\x02\x46 and more of it")),
        ("a frame that is too long", raw(&[0xff; 64])),
        ("data of no stream", raw(&frame(1, 0, 0, b"a"))),
        ("data of a stream that is not there", raw(&frame(1, 0, 9, b"a"))),
        ("data before a head", vec![data("a"), head(), ok()]),
        ("a promise", raw(&frame(4, 5, 1, &[0, 0, 0, 2]))),
        ("a ping that is too short", raw(&frame(1, 6, 0, b"a"))),
        ("a window of zero", raw(&frame(4, 8, 0, &[0; 4]))),
        ("a window that overflows", raw(&frame(4, 8, 0, &[0x7f, 0xff, 0xff, 0xff]).repeat(2))),
        ("settings that are none", raw(&frame(3, 4, 0, &[0, 4, 0]))),
        ("fields that are none", raw(&[0, 0, 2, 1, 5, 0, 0, 0, 1, 0xff, 0xff])),
        ("a head without a status", vec![Step::Fields(vec![("content-type", "application/grpc".to_owned())])]),
        ("a status that is none", vec![Step::Fields(vec![(":status", "abc".to_owned())])]),
        ("names in upper case", vec![Step::Fields(vec![(":status", "200".to_owned()), ("X-Upper", "a".to_owned())])]),
        (
            "trailers without an end",
            vec![head(), data("a"), Step::Fields(vec![("grpc-status", "0".to_owned())]), Step::Cut],
        ),
        ("a content length that is wrong", vec![Step::Fields(answer(&[("content-length", "3")])), data("a"), ok()]),
    ];
    for (case, steps) in cases {
        let error = called(steps).await.expect_err(case);
        let expected = matches!(error.kind(), Kind::Unavailable | Kind::Internal | Kind::ResourceExhausted);
        assert!(expected && error.origin() == Origin::Remote, "{case}: {error:?}");
    }
}

/// A call with this deadline, and the next one.
async fn late(server: &Scripted, request: Note, limit: Duration) -> (Error, Duration) {
    let call = server.client().endpoint::<Note, Note>(echo());
    let started = Instant::now();
    let context = Context::new().with_deadline(Deadline::after(started, limit));
    let error = timeout(HANGS, call.call(Request::from_parts(context, request))).await.expect("no hang");
    let error = error.expect_err("too late");
    let took = started.elapsed();
    assert_eq!((error.kind(), error.message()), (Kind::DeadlineExceeded, "the deadline of the call has passed"));
    assert!(took >= limit, "{took:?}");
    (error, took)
}

#[tokio::test]
async fn a_call_that_is_never_answered_ends_at_its_deadline_and_its_stream_with_it() {
    let limit = Duration::from_millis(200);
    for steps in [vec![], vec![head()], vec![head(), data("a")]] {
        let mut server = Scripted::start(steps).await;
        late(&server, note("a"), limit).await;
        assert!(matches!(server.did().await, Did::Reset(CANCEL) | Did::Close));
    }
    // Not even settings.
    let server = Scripted::start(Script { mute: true, ..vec![].into() }).await;
    late(&server, note("a"), limit).await;
}

#[tokio::test]
async fn a_window_that_is_never_opened_ends_the_call_at_its_deadline() {
    for window in [0, 10] {
        let mut server = Scripted::start(Script { window: Some(window), ..vec![].into() }).await;
        late(&server, note("x".repeat(3 << 20)), Duration::from_millis(300)).await;
        assert!(matches!(server.did().await, Did::Reset(CANCEL) | Did::Close));
    }
    // An early answer counts, though the request was not sent.
    for end in [vec![], vec![Step::Reset(0)]] {
        let full = only(&[("grpc-status", "8"), ("grpc-message", "full")]);
        let steps = [vec![full], end].concat();
        let server = Scripted::start(Script { window: Some(10), early: true, mute: false, steps }).await;
        let call = server.client().endpoint::<Note, Note>(echo());
        let request = Request::new(note("x".repeat(3 << 20)));
        let error = timeout(HANGS, call.call(request)).await.expect("no hang").expect_err("full");
        assert_eq!((error.kind(), error.message()), (Kind::ResourceExhausted, "full"), "{error:?}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn metadata_without_end_is_cut_off() {
    if !kit_testing::memory::alone("hostile::breaks::metadata_without_end_is_cut_off") {
        return;
    }
    let growth = kit_testing::memory::Growth::new();
    let steps = vec![Step::EndlessFields(100 << 20)];
    let error = called(steps).await.expect_err("too much");
    let expected = matches!(error.kind(), Kind::Unavailable | Kind::Internal | Kind::ResourceExhausted);
    assert!(expected && error.origin() == Origin::Remote, "{error:?}");
    let long = answer(&[("x-long", &"x".repeat(60_000)[..])]);
    for steps in [vec![Step::Fields(long.clone()), data("a"), ok()], vec![head(), data("a"), Step::Last(long)]] {
        let error = called(steps).await.expect_err("too much");
        assert_ne!(error.kind(), Kind::DeadlineExceeded, "{error:?}");
        assert_eq!(error.origin(), Origin::Remote, "{error:?}");
    }
    assert!(growth.most() < 16 << 20, "{} bytes", growth.most());
}

/// Cancels each call as soon as its deadline has passed.
struct Punctual;

impl Endpoint<http::Request<Body>> for Punctual {
    type Response = http::Response<Body>;
    type Error = ServiceError<Error>;

    async fn call(&self, request: http::Request<Body>) -> Result<Self::Response, Self::Error> {
        let timeout: Timeout = request.headers()["grpc-timeout"].to_str().expect("a text").parse().expect("a time");
        tokio::time::sleep(timeout.0).await;
        Ok(Error::cancelled("too late").to_grpc_answer().map(|_| Body::empty()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_cancels_what_is_late_has_met_the_deadline() {
    let client = GrpcClient::over("http://test", Punctual).expect("a client");
    let call = client.endpoint::<Note, Note>(echo());
    for ms in [1, 200, 5_000] {
        let now = tokio::time::Instant::now().into_std();
        let context = Context::new().with_deadline(Deadline::after(now, Duration::from_millis(ms)));
        let error = call.call(Request::from_parts(context, note("a"))).await.expect_err("too late");
        assert_eq!((error.kind(), error.origin()), (Kind::DeadlineExceeded, Origin::Remote), "{error:?}");
    }
}

#[tokio::test]
async fn what_a_service_behind_this_one_breaks_is_not_told_to_the_caller() {
    let broken = vec![head(), Step::Data(b"secret".to_vec()), ok()];
    // A reason that only the server itself may give, from elsewhere.
    let details = Error::not_found("secret").with_reason("GRPC_PROTOCOL").to_grpc_answer();
    let details = details.headers()["grpc-status-details-bin"].to_str().expect("base64").to_owned();
    let told = vec![only(&[("grpc-status", "13"), ("grpc-message", "secret"), ("grpc-status-details-bin", &details)])];
    for steps in [broken, told] {
        let behind = Scripted::start(steps).await;
        let call = behind.client().endpoint::<Note, Note>(echo());
        let server = serve(echoing(move |request: Request<Note>| {
            let call = call.clone();
            async move { call.call(Request::new(request.into_message())).await }
        }))
        .await;
        let error = server.echo().call(Request::new(note("a"))).await.expect_err("an error");
        assert_eq!((error.kind(), error.message()), (Kind::Internal, "internal error"), "{error:?}");
        assert_eq!(server.echo().call(Request::new(note("a"))).await.expect("an answer").message().text, "next");
    }
}
