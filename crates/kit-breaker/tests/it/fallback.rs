//! The fallback.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::routing::get;
use http::StatusCode;
use kit_base::{
    Endpoint, Error, Event, FromHttpService, Guard, Judgement, Kind, Origin, Request, Response, ServerStream,
    ServiceError, Streaming, Tower,
};
use kit_breaker::{Breaker, Bulkhead, Fallback, Settings};
use kit_testing::laws::{Fault, Inner, InnerBody, Laws, Readiness};
use kit_testing::mock::MockEndpoint;
use tower::{ServiceExt, service_fn};
use tower_layer::{Layer, layer_fn};

use crate::support::{AsTold, Ask, adds_few_words, guarding};

fn poll<F: Future + Unpin>(call: &mut F) -> Poll<F::Output> {
    Pin::new(call).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn it_is_asked_about_all_failures_and_not_about_the_callers_own() {
    for kind in Kind::ALL {
        let asked = matches!(
            kind,
            Kind::Unavailable
                | Kind::Cancelled
                | Kind::ResourceExhausted
                | Kind::DeadlineExceeded
                | Kind::Internal
                | Kind::Unknown
                | Kind::DataLoss
        );
        let endpoint = Fallback::new(|failed: Result<(), Error>| async move {
            Err(Error::aborted(format!("instead of {}", failed.unwrap_err().kind())))
        })
        .layer(AsTold);
        let error = endpoint.call(Request::new(Ask::Fail(Error::new(kind, "as told")))).await.unwrap_err();
        if asked {
            assert_eq!((error.kind(), error.message()), (Kind::Aborted, &*format!("instead of {kind}")));
        } else {
            assert_eq!((error.kind(), error.message()), (kind, "as told"));
        }
        endpoint.call(Request::new(Ask::Succeed)).await.unwrap();
    }
    // What was cancelled on this side is the caller's doing.
    let endpoint = Fallback::new(|_| async { Ok(()) }).layer(AsTold);
    let own = Error::cancelled("as told").with_origin(Origin::LocalRefusal);
    assert_eq!(endpoint.call(Request::new(Ask::Fail(own))).await.unwrap_err().kind(), Kind::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn what_a_breaker_or_a_bulkhead_inside_refuses_it_answers() {
    let (guard, inner) = guarding(Settings::new().consecutive_failures(1));
    let endpoint = Fallback::new(|_: Result<(), Error>| async { Ok(()) }).layer(inner);
    guard.gate().force_open();
    endpoint.call(Request::new(Ask::Succeed)).await.unwrap();
    assert_eq!(guard.gate().snapshot_at(crate::support::now()).refused, 1);

    let bulkhead = Bulkhead::new(1).unwrap();
    let reasons = Fallback::new(|failed: Result<(), Error>| async move {
        assert_eq!(failed.unwrap_err().reason(), Some("BULKHEAD_FULL"));
        Ok(())
    });
    let endpoint = (reasons, bulkhead.clone()).layer(AsTold);
    let mut inside = Box::pin(endpoint.call(Request::new(Ask::Hang)));
    assert!(poll(&mut inside).is_pending());
    assert_eq!(bulkhead.in_flight(), 1);
    endpoint.call(Request::new(Ask::Succeed)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_breaker_outside_sees_what_the_fallback_answers_and_one_inside_what_failed() {
    let (inside, inner) = guarding(Settings::new().consecutive_failures(10));
    let outside = Guard::new(Breaker::new(Settings::new().consecutive_failures(10)).unwrap());
    let gives = |failed: Result<(), Error>| async move {
        let error = failed.unwrap_err();
        if error.message() == "for good" { Err(Error::internal("no answer either")) } else { Ok(()) }
    };
    let endpoint = outside.layer(Fallback::new(gives).layer(inner));
    endpoint.call(Request::new(Ask::Fail(Error::unavailable("as told")))).await.unwrap();
    let failures = || {
        let now = crate::support::now();
        [inside.gate().snapshot_at(now), outside.gate().snapshot_at(now)].map(|snapshot| snapshot.failures)
    };
    assert_eq!(failures(), [1, 0]);
    endpoint.call(Request::new(Ask::Fail(Error::unavailable("for good")))).await.unwrap_err();
    assert_eq!(failures(), [2, 1]);
    // What the one inside refuses is answered, and no failure of the one outside.
    inside.gate().force_open();
    endpoint.call(Request::new(Ask::Succeed)).await.unwrap();
    assert_eq!(failures(), [2, 1]);
}

#[test]
fn a_call_arrives_when_it_is_made_with_a_fallback_around_it_too() {
    let bulkhead = Bulkhead::new(1).unwrap();
    let endpoint = (Fallback::new(|failed: Result<(), Error>| async { failed }), bulkhead.clone()).layer(AsTold);
    let call = endpoint.call(Request::new(Ask::Succeed));
    assert_eq!(bulkhead.in_flight(), 1);
    drop(call);
    assert_eq!(bulkhead.in_flight(), 0);
}

#[tokio::test]
async fn the_failed_outcome_can_be_given_back_as_it_was() {
    let endpoint = Fallback::new(|failed| async { failed }).layer(AsTold);
    let error = Error::unavailable("as told").with_reason("THIS").with_retry_after(Duration::from_secs(3));
    let error = endpoint.call(Request::new(Ask::Fail(error))).await.unwrap_err();
    assert_eq!((error.message(), error.reason()), ("as told", Some("THIS")));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
}

#[tokio::test]
async fn what_is_kept_of_the_request_comes_back_with_the_failed_outcome() {
    let kept = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&kept);
    let endpoint = Fallback::keeping(
        move |request: &Request<u32>| {
            count.fetch_add(1, SeqCst);
            *request.message()
        },
        |n, failed: Result<u32, Error>| async move { if n > 10 { Ok(n * 2) } else { failed } },
    )
    .layer(MockEndpoint::from_fn(|request: &Request<u32>| match request.message() {
        1 => Ok(1),
        _ => Err(Error::unavailable("as told")),
    }));
    assert_eq!(endpoint.call(Request::new(1)).await.unwrap(), 1);
    assert_eq!(endpoint.call(Request::new(2)).await.unwrap_err().message(), "as told");
    assert_eq!(endpoint.call(Request::new(21)).await.unwrap(), 42);
    assert_eq!(kept.load(SeqCst), 3);
}

#[tokio::test]
async fn another_judgement_asks_it_about_other_outcomes() {
    let empty_is_a_failure = |outcome: &Result<u32, Error>| match outcome {
        Ok(0) => Judgement::of_kind(Kind::Unavailable),
        _ => Judgement::SUCCESS,
    };
    let endpoint = Fallback::new(|_| async { Ok(7) }).judged_by(empty_is_a_failure).layer(
        MockEndpoint::<Request<u32>, u32, Error>::new().then_ok(0).then_ok(1).then_err(Error::internal("as told")),
    );
    let clone = endpoint.clone();
    assert_eq!(clone.call(Request::new(0)).await.unwrap(), 7);
    assert_eq!(endpoint.call(Request::new(0)).await.unwrap(), 1);
    assert_eq!(endpoint.call(Request::new(0)).await.unwrap_err().message(), "as told");
}

#[tokio::test]
async fn it_tells_under_its_name_whether_it_had_an_answer() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let observer = {
        let told = Arc::clone(&told);
        move |event: &Event<'_>| told.lock().unwrap().push(format!("{} {} {}", event.source, event.key, event.what))
    };
    let asked = AtomicUsize::new(0);
    let fallback = Fallback::new(move |failed: Result<(), Error>| {
        let first = asked.fetch_add(1, SeqCst) == 0;
        async move { if first { Ok(()) } else { failed } }
    })
    .named("prices")
    .observed_by(observer);
    let endpoint = fallback.layer(AsTold);
    for _ in 0..2 {
        let _ = endpoint.call(Request::new(Ask::Fail(Error::unavailable("as told")))).await;
    }
    endpoint.call(Request::new(Ask::Succeed)).await.unwrap();
    assert_eq!(fallback.name(), "prices");
    assert_eq!(*told.lock().unwrap(), ["fallback prices answered", "fallback prices failed"]);
}

/// Counts those that are dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn who_leaves_drops_what_runs_and_nothing_is_asked_for_it() {
    let (asked, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, drops) = (Arc::clone(&asked), Arc::clone(&dropped));
    let endpoint = Fallback::new(move |_: Result<(), Error>| {
        count.fetch_add(1, SeqCst);
        let running = Dropped(Arc::clone(&drops));
        async move {
            let _running = running;
            pending().await
        }
    })
    .layer(AsTold);
    // Before the first poll, in the call, and in the fallback.
    drop(endpoint.call(Request::new(Ask::Fail(Error::unavailable("as told")))));
    let mut call = Box::pin(endpoint.call(Request::new(Ask::Hang)));
    assert!(poll(&mut call).is_pending());
    drop(call);
    assert_eq!((asked.load(SeqCst), dropped.load(SeqCst)), (0, 0));
    let mut call = Box::pin(endpoint.call(Request::new(Ask::Fail(Error::unavailable("as told")))));
    assert!(poll(&mut call).is_pending());
    assert_eq!((asked.load(SeqCst), dropped.load(SeqCst)), (1, 0));
    drop(call);
    assert_eq!((asked.load(SeqCst), dropped.load(SeqCst)), (1, 1));
}

#[test]
fn panics_of_the_endpoint_of_the_closure_and_of_its_future_pass_and_harm_no_later_call() {
    let panics = |ask: Ask| {
        let bulkhead = Bulkhead::new(1).unwrap();
        let fallback = Fallback::keeping(
            |request: &Request<Ask>| matches!(request.message(), Ask::Fail(error) if error.kind() == Kind::Internal),
            |at_once: bool, _: Result<(), Error>| {
                assert!(!at_once, "in the closure");
                async { panic!("in its future") }
            },
        );
        let endpoint = (bulkhead.clone(), fallback).layer(AsTold);
        let mut call = Box::pin(endpoint.call(Request::new(ask)));
        let panic = std::panic::catch_unwind(AssertUnwindSafe(|| poll(&mut call))).unwrap_err();
        let text = panic.downcast_ref::<&str>().map_or_else(String::new, |text| (*text).to_owned());
        assert_eq!(bulkhead.in_flight(), 0);
        let mut next = Box::pin(endpoint.call(Request::new(Ask::Succeed)));
        assert!(matches!(poll(&mut next), Poll::Ready(Ok(()))));
        text
    };
    assert_eq!(panics(Ask::Panic), "as told");
    assert_eq!(panics(Ask::Fail(Error::internal("as told"))), "in the closure");
    assert_eq!(panics(Ask::Fail(Error::unavailable("as told"))), "in its future");
}

#[tokio::test]
async fn a_stream_is_judged_by_its_head() {
    struct Breaks;
    impl Endpoint<Request<bool, ServerStream>> for Breaks {
        type Response = Response<Streaming<u32>>;
        type Error = Error;
        async fn call(&self, request: Request<bool, ServerStream>) -> Result<Self::Response, Error> {
            let items = [Ok(1), Err(Error::unavailable("in the middle"))];
            request
                .into_message()
                .then(|| Response::new(Streaming::new(tokio_stream::iter(items))))
                .ok_or_else(|| Error::unavailable("at the head"))
        }
    }
    let endpoint =
        Fallback::new(|_| async { Ok(Response::new(Streaming::new(tokio_stream::iter([Ok(9)])))) }).layer(Breaks);
    let ask = |streams| Request::<bool, ServerStream>::from_parts(Default::default(), streams);
    let mut answer = endpoint.call(ask(false)).await.unwrap().into_message();
    assert_eq!(answer.message().await.unwrap(), Some(9));
    let mut answer = endpoint.call(ask(true)).await.unwrap().into_message();
    assert_eq!(answer.message().await.unwrap(), Some(1));
    assert_eq!(answer.message().await.unwrap_err().message(), "in the middle");
}

/// So that a server in front knows the length beforehand, and an end when there is one.
#[tokio::test]
async fn the_body_of_either_answer_says_how_long_it_is() {
    use http_body::Body as _;
    use http_body_util::Full;

    let inner = service_fn(|request: http::Request<u16>| async move {
        let body = if *request.body() == 204 { "" } else { "the service" };
        let answer =
            http::Response::builder().status(*request.body()).body(Full::new(Bytes::from_static(body.as_bytes())));
        Ok::<_, Infallible>(answer.unwrap())
    });
    let fallback = Fallback::new(|failed: Result<http::Response<_>, _>| async move {
        let body = if failed?.status() == 500 { "" } else { "instead" };
        Ok(http::Response::new(Full::new(Bytes::from_static(body.as_bytes()))))
    });
    let service = Tower::new(fallback).answered().layer(inner);
    for (status, length) in [(200, 11), (204, 0), (503, 7), (500, 0)] {
        let body = service.clone().oneshot(http::Request::new(status)).await.unwrap().into_body();
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(length), length == 0), "{status}");
        let read = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
        assert_eq!(read.len() as u64, length, "{status}");
    }
}

#[test]
fn one_that_changes_nothing_keeps_the_laws_everywhere() {
    Laws::endpoint(|_| Fallback::new(|failed: Result<_, Fault>| async { failed })).pass_through().check();
    Laws::stream(|_| Fallback::new(|failed: Result<_, Fault>| async { failed })).pass_through().check();
    let at_once = |laws: Laws| laws.pass_through().readiness(Readiness::AtOnce).check();
    at_once(Laws::service(|_| Tower::new(Fallback::new(|failed: Result<Response<u64>, _>| async { failed }))));
    at_once(Laws::http_service::<String, _, _, _>(|_| {
        Tower::new(Fallback::new(|failed: Result<http::Response<InnerBody>, _>| async { failed })).answered()
    }));
    at_once(Laws::grpc_service::<String, _, _, _>(|_| {
        Tower::new(Fallback::new(|failed: Result<http::Response<InnerBody>, _>| async { failed })).answered()
    }));
    Laws::http_endpoint::<String, _, _, _>(|_| {
        let fallback = Fallback::new(|failed: Result<http::Response<InnerBody>, _>| async { failed });
        layer_fn(move |inner: Inner| fallback.layer(FromHttpService::<_, http::Request<String>, InnerBody>::new(inner)))
    })
    .pass_through()
    .check();
}

#[test]
fn the_limit_of_a_bulkhead_inside_holds_with_a_fallback_around_it() {
    Laws::endpoint(|_| (Fallback::new(|failed: Result<_, Fault>| async { failed }), Bulkhead::new(3).unwrap()))
        .refusing()
        .at_most(3)
        .check();
}

/// A router whose `/{status}` answers so.
fn router() -> Router {
    let answer = |axum::extract::Path(status): axum::extract::Path<u16>| async move {
        (StatusCode::from_u16(status).expect("a status"), "the service")
    };
    Router::new().route("/{status}", get(answer))
}

async fn ask(router: &Router, status: u16) -> (u16, String) {
    let request = http::Request::get(format!("/{status}")).body(Body::empty()).expect("a request");
    let answer = router.clone().oneshot(request).await.expect("an answer");
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), 1000).await.expect("its body");
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn is(status: u16, text: &str) -> (u16, String) {
    (status, text.to_owned())
}

#[tokio::test]
async fn over_an_axum_router_a_503_becomes_a_200_and_a_404_stays() {
    let fallback = Fallback::new(|failed: Result<http::Response<_>, _>| async {
        match failed {
            Ok(answer) if answer.status() == 504 => Ok(answer.map(Body::new)),
            _ => Ok(http::Response::new(Body::from("the fallback"))),
        }
    });
    let breaker = Breaker::new(Settings::new().consecutive_failures(3)).unwrap();
    let router = router().layer(Tower::new((fallback, Guard::new(breaker))).answered());
    assert_eq!(ask(&router, 200).await, is(200, "the service"));
    assert_eq!(ask(&router, 404).await, is(404, "the service"));
    assert_eq!(ask(&router, 503).await, is(200, "the fallback"));
    assert_eq!(ask(&router, 504).await, is(504, "the service"));
    assert_eq!(ask(&router, 500).await, is(200, "the fallback"));
    // The circuit is open by now.
    assert_eq!(ask(&router, 200).await, is(200, "the fallback"));
}

#[tokio::test]
async fn over_a_router_whose_breaker_has_answered_already_it_sees_the_503() {
    let guard = Guard::new(Breaker::default());
    guard.gate().force_open();
    let fallback = Fallback::keeping(
        |request: &http::Request<Body>| request.uri().path().to_owned(),
        |path, failed: Result<http::Response<Body>, _>| async move {
            assert_eq!(failed?.status(), 503);
            Ok(http::Response::new(Body::from(format!("instead of {path}"))))
        },
    );
    let router = router().layer(Tower::new(guard).answered()).layer(Tower::new(fallback).answered());
    assert_eq!(ask(&router, 200).await, is(200, "instead of /200"));
}

#[tokio::test]
async fn over_a_reqwest_client_a_dead_backend_is_answered_for() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Guard::new(Breaker::new(Settings::new().consecutive_failures(2)).unwrap())
        .layer(FromHttpService::new(reqwest::Client::new()));
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let client = Fallback::new(move |failed: Result<http::Response<_>, ServiceError<reqwest::Error>>| {
        if let Err(ServiceError::Refused(_)) = failed {
            count.fetch_add(1, SeqCst);
        }
        async { Ok(http::Response::new(reqwest::Body::from("the fallback"))) }
    })
    .layer(client);
    for _ in 0..5 {
        let answer = client.call(http::Request::get(format!("http://{dead}/")).body("").unwrap()).await.unwrap();
        let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
        assert_eq!(body, "the fallback");
    }
    assert_eq!(refused.load(SeqCst), 3);
}

#[tokio::test]
async fn over_a_tonic_channel_a_dead_backend_is_answered_for_and_a_stock_client_takes_it() {
    use http_body_util::{BodyExt, Full};
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let channel = tonic::transport::Channel::from_shared(format!("http://{dead}")).unwrap().connect_lazy();
    let fallback = Fallback::new(|failed: Result<http::Response<_>, _>| async move {
        assert!(matches!(failed, Err(ServiceError::Inner(_))));
        // A message in its frame: SERVING.
        let message = Full::from(&[0, 0, 0, 0, 2, 8, 1][..]);
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        let body = tonic::body::Body::new(message.with_trailers(async move { Some(Ok(trailers)) }));
        Ok(http::Response::builder().header("content-type", "application/grpc").body(body).unwrap())
    });
    let mut client = HealthClient::new(Tower::new(fallback).answered().layer(channel));
    let answer = client.check(HealthCheckRequest { service: String::new() }).await.unwrap();
    assert_eq!(answer.into_inner().status, 1);
}

#[test]
fn the_future_is_as_large_as_the_inner_one_and_a_few_words() {
    adds_few_words(&Fallback::new(|_: Result<u8, Error>| async { Ok(0) }));
}
