//! Services that tonic has generated, behind our server.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use kit_base::{Kind, Request, Response};
use kit_transport_grpc::GrpcServer;
use tokio::sync::mpsc;
use tonic::Code;

use crate::generated::{HealthCheckRequest, HealthCheckResponse, HealthClient, Told, ask, check, client};
use crate::support::{HANGS, by, serve};

const SHORT: Duration = Duration::from_millis(200);

fn timed(service: &str) -> tonic::Request<HealthCheckRequest> {
    let mut request = tonic::Request::new(ask(service));
    request.set_timeout(SHORT);
    request
}

#[tokio::test]
async fn a_service_is_served_with_its_streams() {
    let told = Told::default();
    let server = serve(GrpcServer::new().add_service(told.service())).await;
    let mut client = client(&server.url());
    assert_eq!(client.check(ask("abc")).await.expect("an answer").into_inner().status, 3);
    let status = client.check(ask("5")).await.expect_err("an error");
    assert_eq!((status.code(), status.message()), (Code::NotFound, "no"));
    let mut items = client.watch(ask("abcd")).await.expect("a stream").into_inner();
    assert_eq!(items.message().await.expect("an item").map(|item| item.status), Some(0));
    assert_eq!(items.message().await.expect("an item").map(|item| item.status), Some(4));
    assert!(items.message().await.expect("an end").is_none());
    let mut items = client.watch(ask("14")).await.expect("a stream").into_inner();
    items.message().await.expect("an item");
    assert_eq!(items.message().await.expect_err("an error").code(), Code::Unavailable);
}

#[tokio::test]
async fn an_endpoint_that_is_bound_wins_over_the_method_of_a_service() {
    let told = Told::default();
    let endpoint = by(async |_: Request<HealthCheckRequest>| {
        Ok::<_, kit_base::Error>(Response::new(HealthCheckResponse { status: 77 }))
    });
    for server in [
        GrpcServer::new().add_service(told.service()).endpoint(check(), endpoint),
        GrpcServer::new()
            .endpoint(
                check(),
                by(async |_: Request<HealthCheckRequest>| {
                    Ok::<_, kit_base::Error>(Response::new(HealthCheckResponse { status: 77 }))
                }),
            )
            .add_service(told.service()),
    ] {
        let server = serve(server).await;
        let mut client = client(&server.url());
        assert_eq!(client.check(ask("abc")).await.expect("an answer").into_inner().status, 77);
        assert_eq!(told.calls.swap(0, SeqCst), 0);
        // The other method is the service's still.
        client.watch(ask("abc")).await.expect("a stream");
        assert_eq!(told.calls.swap(0, SeqCst), 1);
    }
}

#[tokio::test]
async fn a_method_that_the_service_does_not_have_is_its_own_to_refuse() {
    let server = serve(GrpcServer::new().add_service(Told::default().service())).await;
    let nothing = kit_base::Operation::new("grpc.health.v1.Health", "Nothing");
    let call = server.client().endpoint::<HealthCheckRequest, HealthCheckResponse>(nothing);
    let error = kit_base::Endpoint::call(&call, Request::new(ask(""))).await.expect_err("no such method");
    // Ours would give a reason.
    assert_eq!((error.kind(), error.reason()), (Kind::Unimplemented, None));
}

#[tokio::test]
async fn two_services_of_one_name_are_refused() {
    let told = Told::default();
    let error = GrpcServer::new().add_service(told.service()).add_service(told.service()).build().expect_err("two");
    assert!(error.to_string().contains("grpc.health.v1.Health"), "{error}");
}

#[tokio::test]
async fn the_deadline_holds_for_a_service_and_its_stream() {
    let told = Told::default();
    let (errors, mut heard) = mpsc::unbounded_channel();
    let server = GrpcServer::new().add_service(told.service()).error_handler(move |context, error| {
        let _ = errors.send((context.operation().to_string(), error.kind()));
    });
    // In this process, so that no timer of a channel is first.
    let mut client = HealthClient::new(server.build().expect("a service"));
    for told_to in ["hang", "endless"] {
        let started = Instant::now();
        let mut items = client.watch(timed(told_to)).await.expect("a stream").into_inner();
        let error = loop {
            assert!(started.elapsed() < HANGS, "{told_to} goes on");
            match tokio::time::timeout(HANGS, items.message()).await.expect("no hang") {
                Ok(Some(_)) => {}
                Ok(None) => panic!("an end without an error"),
                Err(status) => break status,
            }
        };
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
        assert!(started.elapsed() >= SHORT && started.elapsed() < HANGS);
        let heard = tokio::time::timeout(HANGS, heard.recv()).await.expect("no hang");
        assert_eq!(heard, Some(("grpc.health.v1.Health/unmatched".to_owned(), Kind::DeadlineExceeded)));
    }
    let call = tokio::time::timeout(HANGS, client.check(timed("hang")));
    let error = call.await.expect("no hang").expect_err("too late");
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
    assert_eq!(told.over.load(SeqCst), 3, "all calls are over");
}

#[tokio::test]
async fn what_is_late_or_malformed_never_reaches_the_service() {
    let told = Told::default();
    let server = serve(GrpcServer::new().add_service(told.service())).await;
    let mut client = client(&server.url());
    let mut request = tonic::Request::new(ask("abc"));
    request.metadata_mut().insert("grpc-timeout", "soon".parse().expect("ASCII"));
    assert_eq!(client.check(request).await.expect_err("malformed").code(), Code::InvalidArgument);
    assert_eq!(told.calls.load(SeqCst), 0);
}

#[tokio::test]
async fn a_panic_is_internal_and_is_told() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let server =
        GrpcServer::new().add_service(Told::default().service()).observer(move |event: &kit_base::Event<'_>| {
            let _ = told.send((event.source, event.what, event.key.to_owned()));
        });
    let server = serve(server).await;
    let mut client = client(&server.url());
    let mut expect = |status: tonic::Status| {
        assert_eq!((status.code(), status.message()), (Code::Internal, "internal error"), "{status:?}");
        let heard = heard.try_recv().expect("it was told");
        assert_eq!(heard, ("grpc_server", "panicked", "grpc.health.v1.Health/unmatched".to_owned()));
    };
    expect(client.check(ask("panic")).await.expect_err("a panic"));
    let mut items = client.watch(ask("panic")).await.expect("a stream").into_inner();
    items.message().await.expect("an item");
    expect(items.message().await.expect_err("a panic"));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_has_stopped_does_not_hold_a_stream_beyond_its_deadline() {
    let told = Told::default();
    let errors = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&errors);
    let server = GrpcServer::new().add_service(told.service()).error_handler(move |_, error| {
        assert_eq!(error.kind(), kit_base::Kind::DeadlineExceeded);
        seen.fetch_add(1, SeqCst);
    });
    let mut client = HealthClient::new(server.build().expect("a service"));
    let mut items = client.watch(timed("hang")).await.expect("a stream").into_inner();
    items.message().await.expect("an item");
    tokio::time::sleep(SHORT / 2).await;
    assert_eq!(told.over.load(SeqCst), 0);
    tokio::time::sleep(SHORT).await;
    assert_eq!((told.over.load(SeqCst), errors.load(SeqCst)), (1, 1), "nobody asks, and it is over");
    assert_eq!(items.message().await.expect_err("too late").code(), Code::DeadlineExceeded);
}
