//! `grpc.health.v1`, asked by the client that tonic has generated.

use std::collections::BTreeMap;
use std::time::Duration;

use kit_base::{Endpoint, Operation, Readiness, Request, Response};
use kit_transport_grpc::GrpcServer;
use tonic::Code;
use tonic_health::pb::HealthCheckResponse;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::generated::{HealthClient, Told, ask, check, client};
use crate::support::{HANGS, Note, by, echoing, serve};

/// `HealthListResponse`: the generated client of this release has no `List` yet.
#[derive(Clone, PartialEq, prost::Message)]
struct Listed {
    #[prost(btree_map = "string, message", tag = "1")]
    statuses: BTreeMap<String, HealthCheckResponse>,
}

fn server(readiness: &Readiness) -> GrpcServer {
    echoing(async |request: Request<Note>| Ok(Response::new(request.into_message()))).health(readiness.clone())
}

#[tokio::test]
async fn the_status_follows_readiness_for_the_whole_and_for_each_service() {
    let readiness = Readiness::new();
    let server = serve(server(&readiness)).await;
    let mut client = client(&server.url());
    for (ready, status) in
        [(false, ServingStatus::NotServing), (true, ServingStatus::Serving), (false, ServingStatus::NotServing)]
    {
        readiness.set(ready);
        for service in ["", "test.Notes"] {
            let answer = client.check(ask(service)).await.expect("an answer").into_inner();
            assert_eq!(answer.status(), status, "{service:?}");
        }
    }
}

#[tokio::test]
async fn a_service_that_is_not_here_is_not_found() {
    let server = serve(server(&Readiness::new())).await;
    let status = client(&server.url()).check(ask("test.Other")).await.expect_err("no such service");
    assert_eq!((status.code(), status.message()), (Code::NotFound, "there is no service \"test.Other\" here"));
    let status = client(&server.url()).check(ask("x".repeat(1 << 20))).await.expect_err("no such service");
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn all_services_are_listed() {
    let readiness = Readiness::new();
    readiness.set(true);
    let server = serve(server(&readiness)).await;
    let list = Operation::new("grpc.health.v1.Health", "List");
    let call = server.client().endpoint::<(), Listed>(list);
    let listed = call.call(Request::new(())).await.expect("an answer").into_message();
    let serving = HealthCheckResponse { status: ServingStatus::Serving.into() };
    assert_eq!(listed.statuses, BTreeMap::from([(String::new(), serving), ("test.Notes".to_owned(), serving)]));
}

#[tokio::test]
async fn a_health_service_of_the_users_own_stays_beside_ours() {
    // Ours is bound, so it wins for its methods; built without it, theirs answers.
    let told = Told::default();
    let server = serve(GrpcServer::new().add_service(told.service()).health(Readiness::new())).await;
    let answer = client(&server.url()).check(ask("")).await.expect("an answer").into_inner();
    assert_eq!(answer.status(), ServingStatus::NotServing);
    assert_eq!(told.calls.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn a_method_of_health_that_is_bound_already_is_refused() {
    let other = by(async |request: Request<Note>| Ok::<_, kit_base::Error>(Response::new(request.into_message())));
    let server = server(&Readiness::new()).endpoint(check(), other);
    let error = server.build().expect_err("two of them");
    assert!(error.to_string().contains("/grpc.health.v1.Health/Check"), "{error}");
}

#[tokio::test]
async fn a_watcher_is_told_at_once_and_of_each_change() {
    let readiness = Readiness::new();
    let server = serve(server(&readiness)).await;
    let mut client = client(&server.url());
    for service in ["", "test.Notes"] {
        readiness.set(false);
        let mut watched = client.watch(ask(service)).await.expect("a stream").into_inner();
        for status in [ServingStatus::NotServing, ServingStatus::Serving, ServingStatus::NotServing] {
            readiness.set(status == ServingStatus::Serving);
            let told = tokio::time::timeout(HANGS, watched.message()).await.expect("no hang");
            assert_eq!(told.expect("a message").expect("no end").status(), status, "{service:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_is_told_nothing_where_nothing_changes() {
    // In this process, where time can be paused.
    let readiness = Readiness::new();
    let mut client = HealthClient::new(server(&readiness).build().expect("a service"));
    readiness.set(true);
    for (service, status) in [("", ServingStatus::Serving), ("test.Other", ServingStatus::ServiceUnknown)] {
        let mut watched = client.watch(ask(service)).await.expect("a stream").into_inner();
        assert_eq!(watched.message().await.expect("a message").expect("no end").status(), status);
        let more = tokio::time::timeout(Duration::from_secs(3600), watched.message()).await;
        assert!(more.is_err(), "{service:?}: {more:?}");
    }
    let mut watched = client.watch(ask("")).await.expect("a stream").into_inner();
    watched.message().await.expect("a message");
    readiness.set(false);
    let before = tokio::time::Instant::now();
    assert_eq!(watched.message().await.expect("a message").expect("no end").status(), ServingStatus::NotServing);
    assert!(before.elapsed() <= Duration::from_millis(250), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_watcher_is_let_go_when_the_process_is_not_ready_for_long_so_that_it_holds_up_no_stop() {
    let readiness = Readiness::new();
    readiness.set(true);
    let mut client = HealthClient::new(server(&readiness).build().expect("a service"));
    let mut watched = client.watch(ask("test.Notes")).await.expect("a stream").into_inner();
    let mut unknown = client.watch(ask("test.Other")).await.expect("a stream").into_inner();
    for watched in [&mut watched, &mut unknown] {
        watched.message().await.expect("a message");
    }
    // A moment that passes lets nobody go.
    for (ready, status) in [(false, ServingStatus::NotServing), (true, ServingStatus::Serving)] {
        readiness.set(ready);
        assert_eq!(watched.message().await.expect("a message").expect("no end").status(), status);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    readiness.set(false);
    let since = tokio::time::Instant::now();
    assert_eq!(watched.message().await.expect("a message").expect("no end").status(), ServingStatus::NotServing);
    // The second was not looked at until now.
    let mut since = since;
    for watched in [&mut watched, &mut unknown] {
        let end = tokio::time::timeout(Duration::from_secs(60), watched.message()).await.expect("no end");
        assert!(end.expect("no error").is_none(), "another change");
        let took = since.elapsed();
        assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(4), "{took:?}");
        since = tokio::time::Instant::now();
    }
}
