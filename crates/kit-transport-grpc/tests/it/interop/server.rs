//! Our client to a server on gRPC's C++ core.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue};
use kit_base::{Context, Deadline, Endpoint, Error, Kind, Origin, Request, Response, RetryHint, Streaming};
use kit_testing::ports::free_port;
use kit_testing::process::Signal;
use kit_transport_grpc::{Connected, Connections, GrpcClient, Prost, binary_value, status_of};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic_types::StatusExt;

use crate::peers::{Peer, python_is_here};
use crate::probe::{CountReply, CountRequest, EchoReply, EchoRequest, Fail, HEAD, SumReply, SumRequest, TAIL, method};
use crate::support::HANGS;

const NONE: &[&str] = &[];

type Calls<Req, Res> = Connected<Connections, Prost, Req, Res>;

fn client(peer: &Peer) -> GrpcClient {
    GrpcClient::new(format!("http://{}", peer.addr())).expect("a client")
}

fn echo(client: &GrpcClient) -> Calls<EchoRequest, EchoReply> {
    client.endpoint(method("Echo"))
}

fn failing(fail: Fail) -> Request<EchoRequest> {
    Request::new(EchoRequest { fail: Some(fail), ..EchoRequest::default() })
}

/// The deadline of a call that must end on the way, if something hangs.
fn within(limit: Duration) -> Context {
    Context::new().with_deadline(Deadline::after(Instant::now(), limit))
}

/// Whether the metadata that every server of Probe sends is all there.
fn assert_dressed<T>(response: &Response<T>, tail: bool) {
    let parts = response.parts().expect("parts");
    let binary = |bytes: &[u8]| Some(binary_value(bytes));
    assert_eq!(parts.headers["x-probe-head"], "1");
    assert_eq!(parts.headers.get("x-probe-head-bin").cloned(), binary(&HEAD));
    if tail {
        assert_eq!(parts.trailers["x-probe-tail"], "the end");
        assert_eq!(parts.trailers.get("x-probe-tail-bin").cloned(), binary(&TAIL));
        assert_eq!(parts.trailers.len(), 2, "{parts:?}");
    }
    for metadata in [&parts.headers, &parts.trailers] {
        let ours = metadata.keys().find(|name| name.as_str().starts_with("grpc-") || *name == "content-type");
        assert_eq!(ours, None);
    }
}

#[tokio::test]
async fn message_metadata_and_deadline_arrive_and_come_back() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let echo = echo(&client(&peer).timeout(None));
    let plain = echo.call(Request::new(EchoRequest::default())).await.expect("an answer");
    assert_dressed(&plain, true);
    let EchoReply { text, payload, timeout_ms, .. } = plain.message();
    assert_eq!((text.as_str(), payload.as_slice(), *timeout_ms), ("", &[][..], -1));

    let name = HeaderName::from_static;
    let mut context = within(Duration::from_secs(20))
        .with_outbound(name("x-a"), HeaderValue::from_static("1"))
        .with_outbound(name("x-b-bin"), binary_value(&[0, 255]));
    context.outbound_mut().append("x-a", HeaderValue::from_static("2"));
    context.outbound_mut().append("x-c-bin", binary_value(&[0]));
    context.outbound_mut().append("x-c-bin", binary_value(&[1, 2]));
    context.outbound_mut().append("x-empty", HeaderValue::from_static(""));
    let request = EchoRequest { text: "é".to_owned(), payload: vec![0, 1, 255], ..EchoRequest::default() };
    let reply = echo.call(Request::from_parts(context, request)).await.expect("an answer");
    assert_dressed(&reply, true);
    let EchoReply { text, payload, metadata, timeout_ms } = reply.message();
    assert_eq!((text.as_str(), payload.as_slice()), ("é", &[0, 1, 255][..]));
    assert_eq!((metadata["x-a"].as_str(), metadata["x-b-bin"].as_str()), ("1, 2", "00ff"), "{metadata:?}");
    assert_eq!((metadata["x-c-bin"].as_str(), metadata["x-empty"].as_str()), ("00, 0102", ""), "{metadata:?}");
    assert!(metadata["user-agent"].starts_with("grpc-rust-kit/"), "{metadata:?}");
    assert!((10_000..=20_000).contains(timeout_ms), "{timeout_ms}");
    assert_eq!(peer.calls("Echo").await, 2);
}

#[tokio::test]
async fn each_status_becomes_its_error_with_a_head_and_without() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let echo = echo(&client(&peer));
    let texts = ["100 % wrong:\n\tü ☃ %41 😀", "%", "\u{7f} \"quoted\" \\", " blanks around "];
    for in_trailers in [false, true] {
        for (kind, text) in Kind::ALL.into_iter().zip(texts.into_iter().cycle()) {
            let fail =
                Fail { code: i32::from(kind.grpc_code()), message: text.to_owned(), in_trailers, ..Fail::default() };
            let error = echo.call(failing(fail)).await.expect_err("an error");
            assert_eq!((error.kind(), error.message()), (kind, text), "{error:?}");
            assert_eq!((error.reason(), error.retry_hint(), error.origin()), (None, RetryHint::None, Origin::Remote));
            let status = status_of(&error).expect("a status");
            assert_eq!((status.code() as u8, status.message(), status.details()), (kind.grpc_code(), text, &[][..]));
            // What came with it is there: both heads, or one.
            let metadata = status.metadata();
            assert_eq!(metadata.get("x-probe-tail").expect("a tail"), "the end");
            assert_eq!(metadata.get_bin("x-probe-tail-bin").expect("a tail").to_bytes().expect("base64"), TAIL[..]);
        }
    }
    // No code of gRPC: the server makes one of it.
    let error = echo.call(failing(Fail { code: 99, ..Fail::default() })).await.expect_err("an error");
    assert_eq!(error.kind(), Kind::Unknown);
}

#[tokio::test]
async fn details_and_push_back_become_reason_and_time_to_wait() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let echo = echo(&client(&peer));
    for in_trailers in [false, true] {
        let fail = Fail {
            code: 3,
            message: "100 % wrong:\nü".to_owned(),
            retry_after_ms: 1500,
            reason: "WRONG".to_owned(),
            in_trailers,
            field_violations: BTreeMap::from([("a.b".to_owned(), "is 100 % bäd".to_owned())]),
        };
        let error = echo.call(failing(fail)).await.expect_err("an error");
        assert_eq!((error.kind(), error.message()), (Kind::InvalidArgument, "100 % wrong:\nü"));
        assert_eq!((error.reason(), error.retry_after()), (Some("WRONG"), Some(Duration::from_millis(1500))));
        let status = status_of(&error).expect("a status");
        let details = status.check_error_details().expect("details");
        assert_eq!(details.error_info().expect("info").domain, "probe.kit");
        let violations = &details.bad_request().expect("a bad request").field_violations;
        let told: Vec<_> = violations.iter().map(|field| (field.field.as_str(), field.description.as_str())).collect();
        assert_eq!(told, [("a.b", "is 100 % bäd")]);
        let never = Fail { code: 14, retry_after_ms: u32::MAX, in_trailers, ..Fail::default() };
        let error = echo.call(failing(never)).await.expect_err("an error");
        assert_eq!((error.kind(), error.retry_hint()), (Kind::Unavailable, RetryHint::Never));
        // Servers that know nothing of push-back have their details.
        let name = HeaderName::from_static("x-probe-no-pushback");
        let context = within(HANGS).with_outbound(name, HeaderValue::from_static("1"));
        let later = Fail { code: 8, retry_after_ms: 70, in_trailers, ..Fail::default() };
        let error = echo.call(Request::from_parts(context, failing(later).into_message())).await.expect_err("an error");
        assert!(!status_of(&error).expect("a status").metadata().contains_key("grpc-retry-pushback-ms"));
        assert_eq!(error.retry_hint(), RetryHint::After(Duration::from_millis(70)));
    }
}

#[tokio::test]
async fn a_deadline_and_a_drop_are_seen_by_the_server() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let echo = echo(&client(&peer));
    let slow = EchoRequest { delay_ms: 60_000, ..EchoRequest::default() };
    let started = Instant::now();
    let late = Request::from_parts(within(Duration::from_millis(200)), slow.clone());
    let error = echo.call(late).await.expect_err("too late");
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    assert!(started.elapsed() >= Duration::from_millis(200));
    peer.saw("cancelled /kit.probe.v1.Probe/Echo").await;

    let counting = client(&peer).endpoint::<CountRequest, Streaming<CountReply>>(method("Count"));
    let endless = CountRequest { n: 100_000, pause_ms: 1, fail: None };
    let mut numbers =
        counting.call(Request::from_parts(Context::new(), endless)).await.expect("an answer").into_message();
    assert_eq!(numbers.message().await.expect("a number"), Some(CountReply { i: 1 }));
    drop(numbers);
    peer.saw("cancelled /kit.probe.v1.Probe/Count").await;
    // The connection is as good as before.
    echo.call(Request::new(EchoRequest::default())).await.expect("an answer");
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let echo = echo(&client(&peer));
    let slow = EchoRequest { delay_ms: 60_000, ..EchoRequest::default() };
    let call = tokio::spawn(async move { echo.call(Request::new(slow)).await });
    peer.saw("call /kit.probe.v1.Probe/Echo").await;
    call.abort();
    peer.saw("cancelled /kit.probe.v1.Probe/Echo").await;
}

#[tokio::test]
async fn a_hundred_calls_at_once_share_our_connection() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    hundred_calls(&peer, 1).await;
}

#[tokio::test]
async fn calls_beyond_what_the_server_takes_at_once_wait() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(&["--option", "grpc.max_concurrent_streams=10"]).await;
    // The core counts a call for a moment after its end, so it may refuse one that it has room for.
    hundred_calls(&peer, 50).await;
}

/// Each is sent again when it surely was not begun, up to so many times in all.
async fn hundred_calls(peer: &Peer, tries: u32) {
    let echo = echo(&client(peer));
    // The first hundred have no connection yet.
    for _ in 0..2 {
        let mut calls = JoinSet::new();
        for i in 0..100_u32 {
            let echo = echo.clone();
            let payload = vec![i.to_le_bytes()[0]; (i as usize * 37) % 5000];
            let asked =
                EchoRequest { text: format!("call {i}"), payload, delay_ms: (i * 61) % 100, ..EchoRequest::default() };
            let mut tries = tries;
            calls.spawn(async move {
                let answer = loop {
                    tries -= 1;
                    match echo.call(Request::new(asked.clone())).await {
                        Err(error) if tries > 0 && error.origin() == Origin::NotSent => {}
                        answer => break answer.expect("an answer"),
                    }
                };
                assert_eq!((&answer.message().text, &answer.message().payload), (&asked.text, &asked.payload));
                connection(&answer)
            });
        }
        let connections: BTreeSet<_> = calls.join_all().await.into_iter().collect();
        assert_eq!(connections.len(), 1, "{connections:?}");
    }
    assert_eq!(peer.calls("Echo").await, 200);
}

/// The address that the server has seen.
fn connection<T>(answer: &Response<T>) -> String {
    answer.parts().expect("parts").headers["x-probe-peer"].to_str().expect("a text").to_owned()
}

#[tokio::test]
async fn large_messages_pass_and_larger_ones_are_refused() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let plain = client(&peer);
    let (four, three) = (4 * 1024 * 1024, 3 * 1024 * 1024);
    let sized = |payload: usize, answer_bytes: u32| {
        Request::new(EchoRequest { payload: vec![0; payload], answer_bytes, ..EchoRequest::default() })
    };
    for request in [sized(three, 0), sized(three, 3 * 1024 * 1024), sized(0, 3 * 1024 * 1024)] {
        let reply = echo(&plain).call(request).await.expect("an answer").into_message();
        assert_eq!(reply.payload.len(), three);
    }
    // Their limit, and both of ours.
    let error = echo(&plain).call(sized(four, 1)).await.expect_err("too long");
    assert_eq!((error.kind(), error.origin()), (Kind::ResourceExhausted, Origin::Remote), "{error:?}");
    let calls = peer.calls("Echo").await;
    let limited = plain.clone().max_encoding_message_size(1000);
    let error = echo(&limited).call(sized(1000, 1)).await.expect_err("too long");
    assert_eq!((error.kind(), error.origin()), (Kind::ResourceExhausted, Origin::NotSent), "{error:?}");
    assert_eq!(peer.calls("Echo").await, calls);
    let error = echo(&plain).call(sized(0, 5_000_000)).await.expect_err("too long");
    assert_eq!(error.kind(), Kind::ResourceExhausted, "{error:?}");
    let roomy = plain.max_decoding_message_size(6_000_000);
    let reply = echo(&roomy).call(sized(0, 5_000_000)).await.expect("an answer").into_message();
    assert_eq!(reply.payload.len(), 5_000_000);
}

#[cfg(feature = "gzip")]
#[tokio::test]
async fn messages_are_compressed_both_ways() {
    if !python_is_here() {
        return;
    }
    // Unpacked, a message is as long as it is.
    let peer = Peer::serve(&["--gzip"]).await;
    let (tell, told) = std::sync::mpsc::channel();
    let client = client(&peer).gzip().after(move |_, head, _| {
        let _ = tell.send(head.get("grpc-encoding").cloned());
    });
    let request = EchoRequest { payload: vec![7; 3_000_000], ..EchoRequest::default() };
    let reply = echo(&client).call(Request::new(request)).await.expect("an answer").into_message();
    assert_eq!(reply.payload, vec![7; 3_000_000]);
    assert_eq!(told.recv().expect("a head").expect("a coding"), "gzip");
    let mut numbers = count(&client, 3, None).await.expect("an answer").into_message();
    assert_eq!(all(&mut numbers).await.0, [1, 2, 3]);
    assert_eq!(sum(&client, vec![1, 2]).await.expect("an answer").into_message(), SumReply { total: 3, count: 2 });
    let long = EchoRequest { answer_bytes: 5_000_000, ..EchoRequest::default() };
    let error = echo(&client).call(Request::new(long)).await.expect_err("too long");
    assert_eq!(error.kind(), Kind::ResourceExhausted, "{error:?}");
}

#[tokio::test]
async fn what_the_server_does_not_know_is_unimplemented() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let client = client(&peer);
    let there = [method("Nope"), kit_base::Operation::new("no.such.v1.Service", "Echo")];
    for operation in there {
        let call = client.endpoint::<EchoRequest, EchoReply>(operation);
        let error = call.call(Request::new(EchoRequest::default())).await.expect_err("nobody is there");
        assert_eq!((error.kind(), error.origin()), (Kind::Unimplemented, Origin::Remote), "{error:?}");
    }
}

async fn count(client: &GrpcClient, n: u32, fail: Option<Fail>) -> Result<Response<Streaming<CountReply>>, Error> {
    let counting = client.endpoint::<CountRequest, Streaming<CountReply>>(method("Count"));
    counting.call(Request::from_parts(Context::new(), CountRequest { n, pause_ms: 0, fail })).await
}

async fn sum(client: &GrpcClient, values: Vec<i64>) -> Result<Response<SumReply>, Error> {
    let summing = client.endpoint::<Streaming<SumRequest>, SumReply>(method("Sum"));
    let values = tokio_stream::iter(values).map(|value| Ok(SumRequest { value }));
    summing.call(Request::from_parts(Context::new(), Streaming::new(values))).await
}

/// The numbers of a stream, and what ended it.
async fn all(numbers: &mut Streaming<CountReply>) -> (Vec<u32>, Option<Error>) {
    let mut all = Vec::new();
    loop {
        match numbers.message().await {
            Ok(Some(CountReply { i })) => all.push(i),
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error)),
        }
    }
}

#[tokio::test]
async fn each_kind_of_stream_has_its_messages_and_its_end() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let client = client(&peer);
    let answer = count(&client, 3, None).await.expect("an answer");
    assert_dressed(&answer, false);
    assert_eq!(all(&mut answer.into_message()).await.0, [1, 2, 3]);
    let (none, end) = all(&mut count(&client, 0, None).await.expect("an answer").into_message()).await;
    assert_eq!((none.len(), end.is_none()), (0, true), "{end:?}");

    let fail = Fail { code: 14, message: "gö".to_owned(), reason: "GONE".to_owned(), ..Fail::default() };
    let early = count(&client, 0, Some(fail.clone())).await.expect_err("an error");
    let (two, late) = all(&mut count(&client, 2, Some(fail)).await.expect("an answer").into_message()).await;
    assert_eq!(two, [1, 2]);
    for error in [early, late.expect("an error")] {
        assert_eq!((error.kind(), error.message(), error.reason()), (Kind::Unavailable, "gö", Some("GONE")));
        assert!(status_of(&error).expect("a status").metadata().contains_key("x-probe-tail"));
    }

    let summed = sum(&client, vec![1, 2, -5]).await.expect("an answer");
    assert_dressed(&summed, true);
    assert_eq!(summed.into_message(), SumReply { total: -2, count: 3 });
    let summed = sum(&client, Vec::new()).await.expect("an answer").into_message();
    assert_eq!(summed, SumReply::default());
    let summed = sum(&client, (1..=1000).collect()).await.expect("an answer").into_message();
    assert_eq!(summed, SumReply { total: 500_500, count: 1000 });
    assert_eq!((peer.calls("Count").await, peer.calls("Sum").await), (4, 3));
}

#[tokio::test]
async fn both_directions_of_a_stream_are_open_at_once() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(NONE).await;
    let chatting = client(&peer).endpoint::<Streaming<EchoRequest>, Streaming<EchoReply>>(method("Chat"));
    let (say, said) = tokio::sync::mpsc::channel::<EchoRequest>(1);
    let requests = Streaming::new(ReceiverStream::new(said).map(Ok));
    let answer = chatting.call(Request::from_parts(Context::new(), requests)).await.expect("an answer");
    assert_dressed(&answer, false);
    let mut replies = answer.into_message();
    for text in ["a", "b", "c"] {
        say.send(EchoRequest { text: text.to_owned(), ..EchoRequest::default() }).await.expect("a listener");
        let reply = replies.message().await.expect("a reply").expect("a reply");
        assert_eq!(reply.text, text);
    }
    let fail = Some(Fail { code: 10, message: "enough".to_owned(), ..Fail::default() });
    say.send(EchoRequest { fail, ..EchoRequest::default() }).await.expect("a listener");
    let error = replies.message().await.expect_err("an error");
    assert_eq!((error.kind(), error.message()), (Kind::Aborted, "enough"));
    assert_eq!(replies.message().await.expect("the end"), None);
    // What still would be said has nobody to go to.
    say.closed().await;
}

#[tokio::test]
async fn no_call_fails_while_connections_end_by_their_age() {
    if !python_is_here() {
        return;
    }
    let peer = Peer::serve(&["--max-connection-age-ms", "150"]).await;
    let echo = echo(&client(&peer));
    let end = Instant::now() + Duration::from_millis(1500);
    let mut callers = JoinSet::new();
    for caller in 0..8_u32 {
        let echo = echo.clone();
        callers.spawn(async move {
            let mut connections = BTreeSet::new();
            while Instant::now() < end {
                let request = EchoRequest { delay_ms: caller % 4, ..EchoRequest::default() };
                let answer = echo.call(Request::new(request)).await;
                connections.insert(connection(&answer.unwrap_or_else(|error| panic!("{error:?}"))));
            }
            connections
        });
    }
    let connections: BTreeSet<_> = callers.join_all().await.into_iter().flatten().collect();
    assert!(connections.len() >= 3, "{connections:?}");
}

#[tokio::test]
async fn a_server_that_stops_finishes_open_calls_and_may_come_back() {
    if !python_is_here() {
        return;
    }
    let port = free_port().expect("a port");
    let number = port.number().to_string();
    let peer = Peer::serve(&["--port", &number]).await;
    let echo = Arc::new(echo(&client(&peer)));
    let open = EchoRequest { text: "open".to_owned(), delay_ms: 500, ..EchoRequest::default() };
    let call = tokio::spawn({
        let echo = Arc::clone(&echo);
        async move { echo.call(Request::new(open)).await }
    });
    peer.saw("call /kit.probe.v1.Probe/Echo").await;
    peer.signal(Signal::Terminate);
    let reply = call.await.expect("no panic").expect("an answer");
    assert_eq!(reply.message().text, "open");
    assert!(peer.stop().await.success());
    let error = echo.call(Request::new(EchoRequest::default())).await.expect_err("nobody is there");
    assert_eq!((error.kind(), error.origin()), (Kind::Unavailable, Origin::NotSent), "{error:?}");
    let _again = Peer::serve(&["--port", &number]).await;
    echo.call(Request::new(EchoRequest::default())).await.expect("an answer");
}
