//! `grpc-timeout`, and deadlines that pass at each point of a call. Source: gRPC over HTTP/2, "Timeout".

use std::time::{Duration, Instant};

use kit_base::{Context, Deadline, Endpoint, Error, Kind, Origin, Request, Response, ServiceError};
use kit_transport_grpc::GrpcClient;
use tokio::sync::mpsc::unbounded_channel;
use tonic::body::Body;

use super::peer::{Peer, announced, framed, receive, request, send};
use crate::support::{HANGS, Note, echo, echoing, note, serve};

/// The code and the text for a deadline that has passed.
const PASSED: (Option<&str>, &str) = (Some("4"), "the deadline of the call has passed");

#[tokio::test]
async fn each_form_of_a_timeout_is_what_it_should_be() {
    let (left, mut seen) = unbounded_channel();
    let server = serve(echoing(move |request: Request<_>| {
        let _ = left.send(request.context().deadline().map(|deadline: Deadline| deadline.left(Instant::now())));
        async { Ok::<_, Error>(Response::new(note(""))) }
    }))
    .await;
    let peer = Peer::connect(server.addr).await;
    let hour = 3600;
    // Some thirty years are as much as a clock takes.
    let ages = 30 * 365 * 24 * hour;
    let good = [
        ("1H", hour),
        ("99999999H", ages),
        ("20M", 20 * 60),
        ("99999999M", ages),
        ("30S", 30),
        ("00000030S", 30),
        ("99999999S", 99_999_999),
        ("30000m", 30),
        ("99999999m", 99_999),
        ("30000000u", 30),
        ("99999999u", 99),
    ];
    for (timeout, seconds) in good {
        let mut request = request();
        request.headers_mut().insert("grpc-timeout", timeout.parse().expect("a value"));
        let answer = peer.call(request, vec![framed("")]).await.expect("an answer");
        assert_eq!(answer.code(), Some("0"), "{timeout}: {answer:?}");
        let left = seen.recv().await.expect("a call").expect("a deadline");
        assert!(left <= Duration::from_secs(seconds + 1), "{timeout}: {left:?}");
        assert!(left + HANGS > Duration::from_secs(seconds), "{timeout}: {left:?}");
    }
    // No more than a tenth of a second, which is too little on a busy machine.
    for timeout in ["1n", "1u", "99999999n"] {
        let mut request = request();
        request.headers_mut().insert("grpc-timeout", timeout.parse().expect("a value"));
        let answer = peer.call(request, vec![framed("")]).await.expect("an answer");
        match seen.try_recv() {
            Ok(left) => assert!(left.expect("a deadline") <= Duration::from_millis(100), "{timeout}: {left:?}"),
            Err(_) => assert_eq!((answer.code(), answer.text().as_str()), PASSED, "{timeout}"),
        }
    }
    // What has passed is not begun.
    for timeout in ["0n", "0u", "0m", "0S", "0M", "0H", "00000000S"] {
        let mut request = request();
        request.headers_mut().insert("grpc-timeout", timeout.parse().expect("a value"));
        let answer = peer.call(request, vec![framed("")]).await.expect("an answer");
        assert_eq!((answer.code(), answer.text().as_str()), PASSED, "{timeout}: {answer:?}");
        seen.try_recv().expect_err("the method is not called");
    }
    let bad = [
        ("", ""),
        ("S", "S"),
        ("1", "1"),
        ("100000000n", "100000000n"),
        ("000000001S", "000000001S"),
        ("-1S", "-1S"),
        ("+1S", "+1S"),
        ("1.5S", "1.5S"),
        ("1 S", "1 S"),
        ("1s", "1s"),
        ("1h", "1h"),
        ("1ms", "1ms"),
        ("1d", "1d"),
        ("0x1S", "0x1S"),
        ("1S, 2S", "1S, 2S"),
        ("1\u{665}S", "1\u{665}S"),
        ("1\u{20ac}", "1\u{20ac}"),
        ("99999999999999999999999999999999999999S", "99999999999999999999999999999999"),
    ];
    for (timeout, shown) in bad {
        let mut request = request();
        let value = http::HeaderValue::from_bytes(timeout.as_bytes()).expect("a value");
        request.headers_mut().insert("grpc-timeout", value);
        let answer = peer.call(request, vec![framed("")]).await.expect("an answer");
        let text =
            format!("grpc-timeout: invalid timeout {shown:?}: want one to eight digits and a unit, one of H M S m u n");
        assert_eq!((answer.code(), answer.text()), (Some("3"), text), "{timeout}: {answer:?}");
        seen.try_recv().expect_err("the method is not called");
    }
    // Two, and what is no text.
    let mut request = request();
    request.headers_mut().append("grpc-timeout", "1S".parse().expect("a value"));
    request.headers_mut().append("grpc-timeout", "2S".parse().expect("a value"));
    let answer = peer.call(request, vec![framed("")]).await.expect("an answer");
    assert!(answer.text().contains(r#"invalid timeout "1S, 2S""#), "{answer:?}");
    let mut request = self::request();
    let value = http::HeaderValue::from_bytes(b"1\xff").expect("a value");
    request.headers_mut().insert("grpc-timeout", value);
    let answer = peer.call(request, vec![framed("")]).await.expect("an answer");
    assert_eq!(answer.code(), Some("3"), "{answer:?}");
    assert!(answer.text().contains("invalid timeout \"1\u{fffd}\""), "{answer:?}");
}

#[tokio::test]
async fn a_deadline_passes_while_the_message_is_awaited_and_in_the_method() {
    let server = echoing(async |_| std::future::pending().await);
    let (ended, mut seen) = unbounded_channel();
    let server = server.message_timeout(Duration::from_secs(60)).finalizer(move |finished| {
        let _ = ended.send((finished.left, finished.error.map(Error::kind)));
    });
    let server = serve(server).await;
    let peer = Peer::connect(server.addr).await;
    for part in [vec![], vec![0, 0], announced(0, 100, b"half"), framed("whole")] {
        let mut request = request();
        request.headers_mut().insert("grpc-timeout", "200m".parse().expect("a value"));
        let started = Instant::now();
        let (answer, mut body) = peer.begin(request, false).await;
        send(&mut body, part.clone().into(), false).await.expect("room");
        let answer = tokio::time::timeout(HANGS, receive(answer)).await.expect("no hang").expect("an answer");
        assert_eq!((answer.code(), answer.text().as_str()), PASSED, "{part:?}: {answer:?}");
        assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
        assert_eq!(seen.recv().await, Some((false, Some(Kind::DeadlineExceeded))));
    }
    let mut request = request();
    request.headers_mut().insert("grpc-timeout", "200m".parse().expect("a value"));
    let answer = peer.call(request, vec![framed("in the method")]).await.expect("an answer");
    assert_eq!((answer.code(), answer.text().as_str()), PASSED, "{answer:?}");
}

#[tokio::test]
async fn a_message_that_does_not_come_ends_the_call_and_not_the_connection() {
    let server = echoing(async |request| Ok(Response::new(request.into_message())));
    let server = serve(server.message_timeout(Duration::from_millis(200))).await;
    let peer = Peer::connect(server.addr).await;
    let (answer, mut body) = peer.begin(request(), false).await;
    send(&mut body, announced(0, 100, b"half").into(), false).await.expect("room");
    let answer = tokio::time::timeout(HANGS, receive(answer)).await.expect("no hang").expect("an answer");
    let text = "the message did not come within 200ms";
    assert_eq!((answer.code(), answer.text().as_str()), (Some("4"), text), "{answer:?}");
    let answer = peer.call(request(), vec![framed("next")]).await.expect("an answer");
    assert_eq!((answer.code(), &answer.data), (Some("0"), &framed("next")));
}

/// Answers with what `grpc-timeout` it got, as the text of an error.
struct Told;

impl Endpoint<http::Request<Body>> for Told {
    type Response = http::Response<Body>;
    type Error = ServiceError<Error>;

    async fn call(&self, request: http::Request<Body>) -> Result<Self::Response, Self::Error> {
        let timeout = request.headers().get("grpc-timeout").map_or("none", |value| value.to_str().expect("a text"));
        Ok(Error::not_found(timeout.to_owned()).to_grpc_answer().map(|_| Body::empty()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_sends_the_time_that_is_left_and_never_more() {
    let client = GrpcClient::over("http://test", Told).expect("a client");
    let told = async |client: &GrpcClient<Told>, left: Option<Duration>| {
        let now = tokio::time::Instant::now().into_std();
        let context = left.map_or_else(Context::new, |left| Context::new().with_deadline(Deadline::after(now, left)));
        let call = client.endpoint::<Note, Note>(echo());
        call.call(Request::from_parts(context, note(""))).await.expect_err("the time")
    };
    let day = 24 * 3600;
    let cases = [
        (Duration::from_nanos(1), "1n"),
        (Duration::from_nanos(99_999_999), "99999999n"),
        (Duration::from_nanos(100_000_999), "100000u"),
        (Duration::from_millis(99_999), "99999000u"),
        (Duration::from_millis(100_001), "100001m"),
        (Duration::from_secs(day), "86400000m"),
        (Duration::from_secs(2 * day), "172800S"),
        (Duration::from_secs(2000 * day) + Duration::from_secs(59), "2880000M"),
        // As long as a deadline is.
        (Duration::MAX, "15768000M"),
    ];
    for (left, text) in cases {
        assert_eq!(told(&client, Some(left)).await.message(), text, "{left:?}");
    }
    // A unary call without a deadline has the client's.
    assert_eq!(told(&client, None).await.message(), "30000000u");
    assert_eq!(told(&client.clone().timeout(Duration::from_millis(5)), None).await.message(), "5000000n");
    assert_eq!(told(&client.clone().timeout(None), None).await.message(), "none");
    // What has passed is not sent.
    let error = told(&client, Some(Duration::ZERO)).await;
    assert_eq!((error.kind(), error.origin()), (Kind::DeadlineExceeded, Origin::NotSent), "{error:?}");
}
