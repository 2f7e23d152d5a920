//! REST and gRPC: on one port, beside each other on every version of HTTP, and on two ports, each its own.

use std::time::{Duration, Instant};

use addsvc::{Add as _, AddError, ConcatRequest, SumRequest, grpc_client, http_client};
use kit_base::{Context, Endpoint as _, Kind, Operation, Request, ServerStream, Streaming};
use kit_testing::http::curl;
use kit_testing::process::Signal;
use kit_testing::tools::skip_unless;
use kit_transport_grpc::GrpcClient;

use crate::{Addsvc, start, start_on};

const VERSIONS: [&str; 2] = ["--http1.1", "--http2-prior-knowledge"];

async fn start_on_one_port() -> Addsvc {
    start_on(["--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0"]).await
}

#[tokio::test]
async fn one_port_answers_rest_over_both_versions_of_http_and_grpc_beside_it() {
    if !skip_unless("curl") {
        return;
    }
    let mut addsvc = start_on_one_port().await;
    assert_eq!(addsvc.http, addsvc.grpc);
    let url = format!("http://{}", addsvc.http);
    let (over_http, over_grpc) = (http_client(&url).unwrap(), grpc_client(&url).unwrap());
    let cx = Context::new();
    for version in VERSIONS {
        let (json, sum) = ("content-type: application/json", format!("{url}/sum"));
        let answer = curl([version, "-H", json, "-d", r#"{"a":1,"b":2}"#, &sum]).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &br#"{"v":3}"#[..]));
        assert_eq!(over_grpc.sum(&cx, SumRequest { a: 3, b: 4 }).await.unwrap().v, 7);
        assert_eq!(over_http.sum(&cx, SumRequest { a: 5, b: 6 }).await.unwrap().v, 11);

        // The errors of each are its own.
        let answer = curl([version, "-H", json, "-d", "{}", &sum]).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (400, &br#"{"error":"can't sum two zeroes"}"#[..]));
        assert!(matches!(over_grpc.sum(&cx, SumRequest { a: 0, b: 0 }).await, Err(AddError::TwoZeroes)));
        let answer = curl([version, &format!("{url}/openapi.json")]).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(curl([version, &format!("{url}/pb.Add/Sum")]).await.unwrap().status(), 404);
    }
    let long = ConcatRequest { a: "12345".into(), b: "678901".into() };
    assert!(matches!(over_grpc.concat(&cx, long).await, Err(AddError::MaxSizeExceeded)));
    // All of them: five of curl's over each version, and five of the clients'.
    let stats = curl([format!("http://{}/stats", addsvc.debug)]).await.unwrap();
    assert_eq!(&stats.body()[..], b"requests 15\npanics 0\n");

    addsvc.child.signal(Signal::Terminate).unwrap();
    let status = tokio::task::spawn_blocking(move || addsvc.child.wait(Duration::from_secs(5)).unwrap());
    assert_eq!(status.await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn of_two_ports_each_speaks_its_own() {
    if !skip_unless("curl") {
        return;
    }
    let addsvc = start().await;
    let (http, grpc) = (format!("http://{}", addsvc.http), format!("http://{}", addsvc.grpc));
    let answer = curl([&format!("{grpc}/openapi.json")]).await.unwrap();
    assert_eq!(answer.status(), 415);
    let sum = SumRequest { a: 1, b: 2 };
    assert!(matches!(grpc_client(&http).unwrap().sum(&Context::new(), sum).await, Err(AddError::Other(_))));
    assert_eq!(grpc_client(&grpc).unwrap().sum(&Context::new(), sum).await.unwrap().v, 3);
}

/// `grpc.health.v1.HealthCheckResponse`.
#[derive(prost::Message)]
struct Health {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[tokio::test]
async fn the_health_service_tells_whether_the_program_is_ready() {
    for mut addsvc in [start().await, start_on_one_port().await] {
        let client = GrpcClient::new(format!("http://{}", addsvc.grpc)).unwrap();
        // The name of a service is the request's field 1, as the one field of a `String`.
        let check = client.endpoint::<String, Health>(Operation::new("grpc.health.v1.Health", "Check"));
        for name in ["", "pb.Add"] {
            assert_eq!(check.call(Request::new(name.to_owned())).await.unwrap().message().status, 1, "{name:?}");
        }
        assert_eq!(check.call(Request::new("pb.Sub".to_owned())).await.unwrap_err().kind(), Kind::NotFound);

        // Who watches hears of the stop, on a connection that is still there.
        let watch = client.endpoint::<String, Streaming<Health>>(Operation::new("grpc.health.v1.Health", "Watch"));
        let request = Request::<String, ServerStream>::from_parts(Context::new(), "pb.Add".to_owned());
        let answer = watch.call(request).await.unwrap();
        let mut states = answer.into_message();
        assert_eq!(states.message().await.unwrap().unwrap().status, 1);
        addsvc.child.signal(Signal::Terminate).unwrap();
        assert_eq!(states.message().await.unwrap().unwrap().status, 2);
        // It may go on to watch: it is let go, and holds up no stop, which would be cut after 10 s.
        let since = Instant::now();
        assert!(states.message().await.unwrap().is_none());
        let status = tokio::task::spawn_blocking(move || addsvc.child.wait(Duration::from_secs(5)).unwrap());
        assert_eq!(status.await.unwrap().code(), Some(0));
        assert!(since.elapsed() < Duration::from_secs(9), "{:?}", since.elapsed());
    }
}
