//! What users' code may do wrong, or too much of, and the server goes on.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context as Task, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt as _;
use kit_base::{Endpoint, Error, Kind, Operation, Request, Response, ServerStream};
use kit_transport_grpc::{GrpcServer, IntoTonic, binary_value, status_of};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::streams_support::{Log, answer, arriving, feed, in_time, logging, read, with};
use crate::support::{Note, by, echo, echoing, note, serve, shaped};

/// A value that cannot be dropped in peace.
struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("on drop");
    }
}

/// A server whose method never answers, and panics when it is dropped.
fn stubborn() -> GrpcServer {
    echoing(async |_| {
        let _held = PanicsOnDrop;
        pending().await
    })
}

async fn poll_once(future: Pin<&mut impl Future>) {
    let mut future = future;
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_the_drop_of_a_call_harms_nobody_when_the_caller_leaves() {
    let log = Log::default();
    let routes = logging(stubborn(), &log).routes().expect("routes");
    {
        let mut call = Box::pin(Endpoint::call(&routes, arriving(None)));
        poll_once(call.as_mut()).await;
    }
    assert_eq!(log.all(), ["ok left 0 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_drop_of_a_call_harms_nobody_at_the_deadline() {
    let log = Log::default();
    let answer = answer(logging(stubborn(), &log), Some("1S")).await;
    assert_eq!(answer.headers()["grpc-status"], "4");
    assert_eq!(log.all(), ["DEADLINE_EXCEEDED stayed 0 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_drop_of_a_call_behind_tonic_harms_nobody() {
    let stubborn = by(async |_: Request<Note>| {
        let _held = PanicsOnDrop;
        pending::<Result<Response<Note>, Error>>().await
    });
    let method = IntoTonic::new(echo(), stubborn);
    let mut request = tonic::Request::new(note(""));
    request.set_timeout(Duration::from_secs(1));
    let status = method.unary(request).await.expect_err("too late");
    assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
    let mut call = Box::pin(method.unary(tonic::Request::new(note(""))));
    poll_once(call.as_mut()).await;
    drop(call);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_takes_a_stream_behind_tonic_from_a_caller_who_does_not_read() {
    let log = Log::default();
    let (dropped, second) = (log.clone(), Duration::from_secs(1));
    let method = IntoTonic::new(
        echo(),
        shaped::<ServerStream, _>(move |_: Request<Note, ServerStream>| {
            let (never, stream) = feed();
            let stream = with(stream, (never, dropped.on_drop("dropped")));
            async { Ok::<_, Error>(Response::new(stream)) }
        }),
    );
    let mut request = tonic::Request::new(note(""));
    request.set_timeout(second);
    let mut items = method.server_streaming(request).await.expect("a stream").into_inner();
    tokio::time::sleep(second * 2).await;
    assert_eq!(log.all(), ["dropped"]);
    let end = poll_fn(|cx| items.as_mut().poll_next(cx)).await.expect("an end").expect_err("too late");
    assert_eq!(end.code(), tonic::Code::DeadlineExceeded);
    assert!(poll_fn(|cx| items.as_mut().poll_next(cx)).await.is_none());
}

#[tokio::test]
async fn a_response_that_a_client_received_brings_no_extensions_to_tonic() {
    #[derive(Clone)]
    struct Mark;
    for received in [false, true] {
        let method = IntoTonic::new(
            echo(),
            by(move |request: Request<Note>| async move {
                let mut response = Response::new(request.into_message());
                response.parts_mut().extensions.insert(Mark);
                response.parts_mut().received = received;
                Ok::<_, Error>(response)
            }),
        );
        let answer = method.unary(tonic::Request::new(note(""))).await.expect("an answer");
        assert_eq!(answer.extensions().get::<Mark>().is_some(), !received);
    }
}

#[tokio::test]
async fn after_hooks_see_what_the_method_has_set_and_may_add_to_it() {
    let server = echoing(async |request: Request<Note>| {
        let mut response = Response::new(request.into_message());
        response.parts_mut().headers.insert("x-head", HeaderValue::from_static("method"));
        response.parts_mut().trailers.insert("x-tail", HeaderValue::from_static("method"));
        Ok(response)
    })
    .after(|_, headers, trailers| {
        assert_eq!((&headers["x-head"], &trailers["x-tail"]), (&"method".parse().unwrap(), &"method".parse().unwrap()));
        headers.append("x-head", HeaderValue::from_static("hook"));
        trailers.append("x-tail", HeaderValue::from_static("hook"));
    });
    let answer = answer(server, None).await;
    assert_eq!(answer.headers().get_all("x-head").iter().collect::<Vec<_>>(), ["method", "hook"]);
    assert_eq!(read(answer.into_body()).await.1, "grpc-status: 0, x-tail: hook, x-tail: method");
}

#[tokio::test]
async fn metadata_without_measure_panics_nowhere() {
    let server = echoing(async |request: Request<Note>| {
        let mut response = Response::new(request.into_message());
        let parts = response.parts_mut();
        for _ in 0..60_000 {
            parts.headers.append("x-many", HeaderValue::from_static("1"));
            parts.trailers.append("x-many", HeaderValue::from_static("1"));
        }
        for index in 0..24_575 {
            parts
                .headers
                .insert(http::HeaderName::try_from(format!("x-{index}")).unwrap(), HeaderValue::from_static("1"));
            parts
                .trailers
                .insert(http::HeaderName::try_from(format!("x-{index}")).unwrap(), HeaderValue::from_static("1"));
        }
        Ok(response)
    });
    let answer = answer(server, None).await;
    assert_eq!(answer.headers().get_all("x-many").iter().count(), 60_000);
    let body = answer.into_body().collect().await.expect("no error");
    let trailers = body.trailers().expect("trailers");
    assert_eq!((trailers.get_all("x-many").iter().count(), &trailers["grpc-status"]), (60_000, &"0".parse().unwrap()));
}

/// Our client takes 16 KiB, as hyper's do.
#[tokio::test]
async fn an_answer_with_more_metadata_than_the_caller_takes_is_an_error_there_and_others_are_served() {
    let server = serve(echoing(async |request: Request<Note>| {
        let mut response = Response::new(request.into_message());
        let long = HeaderValue::try_from("x".repeat(40_000)).expect("a value");
        match response.message().text.as_str() {
            "head" => drop(response.parts_mut().headers.insert("x-long", long)),
            "trailers" => drop(response.parts_mut().trailers.insert("x-long", long)),
            _ => {}
        }
        Ok(response)
    }))
    .await;
    let echo = server.echo();
    for long in ["head", "trailers"] {
        match in_time(echo.call(Request::new(note(long)))).await {
            Err(error) => assert!(matches!(error.kind(), Kind::Internal | Kind::Unavailable), "{error:?}"),
            // h2 cuts trailers off, and the status stands before what is the method's.
            Ok(_) => assert_eq!(long, "trailers"),
        }
        assert_eq!(in_time(echo.call(Request::new(note("next")))).await.expect("an answer").message().text, "next");
    }
}

#[tokio::test]
async fn details_that_no_peer_would_take_are_left_out_and_the_status_stands() {
    let refused = |count: usize| {
        let server = echoing(async |_| Err(Error::invalid_argument("wrong").with_reason("WRONG")));
        server.error_details(move |_| {
            let violations = (0..count).map(|index| FieldViolation::new(format!("field{index}"), "is wrong"));
            Some(ErrorDetails::with_bad_request(violations.collect::<Vec<_>>()))
        })
    };
    for (count, told) in [(50, true), (2000, false)] {
        let server = serve(refused(count)).await;
        let error = in_time(server.echo().call(Request::new(note("")))).await.expect_err("refused");
        assert_eq!((error.kind(), error.message(), error.reason()), (Kind::InvalidArgument, "wrong", Some("WRONG")));
        let details = status_of(&error).expect("a status").get_details_bad_request();
        assert_eq!(details.is_some(), told, "{count}");
    }
}

#[tokio::test]
async fn a_binary_value_that_is_no_base64_is_told_here_and_not_by_callers_who_cannot_read_it() {
    // grpc-go ends the whole call for one.
    for (name, value, right) in [
        ("x-key-bin", HeaderValue::from_static("not base64!"), false),
        ("x-key-bin", binary_value(&[0, 255]), true),
        ("x-key-bin", HeaderValue::from_static("AAE=,AA"), true),
        ("x-key-bin", HeaderValue::from_static(""), true),
        ("x-key", HeaderValue::from_static("not base64!"), true),
    ] {
        for in_head in [true, false] {
            let log = Log::default();
            let told = log.clone();
            let given = value.clone();
            let server = echoing(move |request: Request<Note>| {
                let mut response = Response::new(request.into_message());
                let parts = response.parts_mut();
                let metadata = if in_head { &mut parts.headers } else { &mut parts.trailers };
                metadata.insert(name, given.clone());
                async { Ok(response) }
            });
            let answer = answer(server.error_handler(move |_, error| told.add(error.message())), None).await;
            let status = answer.headers().get("grpc-status");
            assert_eq!(status.map(HeaderValue::as_bytes), (!right).then_some(&b"13"[..]), "{name}: {value:?}");
            assert_eq!(log.all().len(), usize::from(!right));
            assert!(
                log.all().iter().all(|told| told.contains(r#""x-key-bin" has the value "not base64!""#)),
                "{log:?}"
            );
        }
    }
}

/// A body that panics.
struct Panics;

impl HttpBody for Panics {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("in the body")
    }
}

#[tokio::test]
async fn a_panic_in_the_body_of_the_fallback_breaks_it_off_and_is_told() {
    let log = Log::default();
    let told = log.clone();
    let rest = tower::service_fn(async |_| Ok::<_, Infallible>(http::Response::new(Panics)));
    let server = GrpcServer::new().fallback_service(rest).observer(move |event: &kit_base::Event<'_>| {
        told.add(format!("{} {} {}", event.source, event.what, event.key));
    });
    let mut service = server.build().expect("a service");
    let request = http::Request::new(http_body_util::Empty::<Bytes>::new());
    let Ok(answer) = tower::Service::call(&mut service, request).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let mut body = pin!(answer.into_body());
    let error = body.frame().await.expect("a frame").expect_err("a panic");
    assert_eq!(error.reason(), Some("PANIC"));
    assert_eq!(log.all(), [format!("grpc_server panicked {}", Operation::UNMATCHED)]);
}

#[tokio::test]
async fn the_text_of_an_internal_error_is_not_shown_whatever_its_reason() {
    // As from a service behind this one, over another transport.
    let answer = answer(echoing(async |_| Err(Error::internal("secret").with_reason("GRPC_PROTOCOL"))), None).await;
    assert_eq!(answer.headers()["grpc-status"], "13");
    assert!(!format!("{:?}", answer.headers()).contains("secret"), "{answer:?}");
    let details = answer.headers()["grpc-status-details-bin"].clone();
    let status = tonic::Status::from_header_map(answer.headers()).expect("a status");
    assert!(!String::from_utf8_lossy(status.details()).contains("secret"), "{details:?}");
}
